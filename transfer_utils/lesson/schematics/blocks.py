"""The blocks of a schematic, how they hang together, and where the gradient goes.

The gradient is not drawn by hand: it is derived from what is frozen, trained and stored, by the rule that PyTorch
follows, so that a picture and its alternative text cannot claim a gradient that is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

STATES = (None, "frozen", "trained")
KINDS = ("part", "data", "stored", "loss", "reversal")


@dataclass(frozen=True)
class Block:
    """One box of a schematic.

    Attributes:
        name: what is written in it.
        note: a second line, e.g. a number of parameters from :func:`parameters` or a learning rate.
        state: ``"frozen"``, ``"trained"``, or ``None`` for what has no weights, or only holds the blocks inside.
        kind: ``"part"`` of a network, ``"data"``, ``"stored"`` (computed once and kept, so no gradient goes through),
            ``"loss"`` (a gradient starts here), or ``"reversal"`` (changes the sign of the gradient).
        inside: blocks drawn inside this one, one below the other, such as an adapter in a frozen layer.

    Raises:
        ValueError: no name, an unknown state or kind, a state on what has no weights.

    Example:
        >>> Block("linear head", "2,562", state="trained").state
        'trained'
    """

    name: str
    note: str = ""
    state: str | None = field(default=None, kw_only=True)
    kind: str = field(default="part", kw_only=True)
    inside: Sequence[Block] = field(default=(), kw_only=True)

    def __post_init__(self):
        if not self.name.strip():
            raise ValueError("A block needs a name.")
        if self.state not in STATES:
            raise ValueError(f"{self.name} has the state {self.state!r}. There are 'frozen', 'trained' and None.")
        if self.kind not in KINDS:
            raise ValueError(f"{self.name} is of the kind {self.kind!r}. There are {', '.join(map(repr, KINDS))}.")
        if self.kind != "part" and (self.state or self.inside):
            raise ValueError(f"{self.name} is {self.kind}: it has no weights, so neither a state nor blocks inside.")

    @property
    def trains(self) -> bool:
        """Whether something learns in this block or inside it."""
        return self.state == "trained" or any(block.trains for block in self.inside)

    def in_words(self) -> str:
        """Return name, note, state and what is inside."""
        kept = "stored" if self.kind == "stored" else self.state
        known = ", ".join(filter(None, [self.note.replace("\n", " "), kept]))
        within = f", inside it {' and '.join(block.in_words() for block in self.inside)}" if self.inside else ""
        return f"{self.name}{f' ({known})' if known else ''}{within}".replace("\n", " ")


@dataclass(eq=False)
class Place:
    """A block where it stands: ``column`` from the left, ``height`` from 0 (top) to 1, ``tall`` beside branches."""

    block: Block
    column: int
    height: float = 0.5
    tall: bool = False


Edge = tuple[Place, Place]


@dataclass
class Diagram:
    """What is drawn.

    Attributes:
        parts: for each part its branches, each a list of places; a block alone is one branch.
        edges: the arrows, first those between parts and along branches, then the links.
        links: those that were asked for by name.
        row_names: where the rows are diagrams of their own.
        gradient: the arrows along which a gradient comes back.
    """

    parts: list[list[list[Place]]]
    edges: list[Edge]
    links: list[Edge]
    row_names: tuple[str, ...] = ()
    gradient: set[Edge] = field(default_factory=set)

    @property
    def places(self) -> list[Place]:
        """All places, in the order of their columns."""
        everything = [place for chains in self.parts for chain in chains for place in chain]
        return sorted(everything, key=lambda place: place.column)

    @property
    def lanes(self) -> int:
        """The number of branches where there are most."""
        return max(map(len, self.parts))


def diagram_of(parts: Sequence[object], links: Sequence[tuple[str, str]] = ()) -> Diagram:
    """Return where the blocks stand, what leads where, and along which arrows a gradient comes back.

    Args:
        parts, links: see :func:`transfer_utils.lesson.schematics.drawing.schematic`.

    Raises:
        ValueError: nothing to draw; two lists in a row; something after a loss; a link to a name that is not there,
            or not in the next column; a block that is trained but that no gradient reaches.
        TypeError: a part is neither a block nor a list of branches.
    """
    row_names: tuple[str, ...] = ()
    if len(parts) == 1 and isinstance(parts[0], Mapping):
        row_names, parts = tuple(parts[0]), [list(parts[0].values())]
    if not parts or not all(parts):
        raise ValueError("There is nothing to draw: give blocks, in the order in which data pass through them.")
    placed, column = [], 0
    for number, part in enumerate(parts):
        chains = _chains(part)
        beside = [*parts[max(number - 1, 0) : number], *parts[number + 1 : number + 2]]
        tall = isinstance(part, Block) and any(not isinstance(other, Block) for other in beside)
        placed.append([_placed(chain, column, (i + 0.5) / len(chains), tall) for i, chain in enumerate(chains)])
        column += max(map(len, chains))
    for chain in placed[-1]:
        chain[-1].column = column - 1  # losses stand below each other
    diagram = Diagram(placed, _edges(placed), [], row_names)
    diagram.links = [_link(diagram.places, *link) for link in links]
    diagram.edges += diagram.links
    diagram.gradient = _gradient(diagram)
    return diagram


def _chains(part: object) -> list[list[Block]]:
    """Return the branches of a part, each a list of blocks; a block alone is one branch."""
    branches = [part] if isinstance(part, Block) else part
    if not isinstance(branches, (list, tuple)):
        raise TypeError(f"{part!r} is neither a Block nor a list of branches.")
    chains = [[branch] if isinstance(branch, Block) else list(branch) for branch in branches]
    for chain in chains:
        if not chain:
            raise ValueError("A branch has no blocks.")
        if wrong := [block for block in chain if not isinstance(block, Block)]:
            raise TypeError(f"A branch is a list of blocks; {wrong[0]!r} is none.")
    return chains


def _placed(chain: list[Block], column: int, height: float, tall: bool) -> list[Place]:
    return [Place(block, column + i, height, tall) for i, block in enumerate(chain)]


def _edges(columns: list[list[list[Place]]]) -> list[Edge]:
    edges = [pair for chains in columns for chain in chains for pair in zip(chain, chain[1:], strict=False)]
    for before, after in zip(columns, columns[1:], strict=False):
        if len(before) > 1 and len(after) > 1:
            raise ValueError("Two lists of branches follow each other. Write each branch as one list of its blocks.")
        edges += [(left[-1], right[0]) for left in before for right in after]
    if ended := [left.block.name for left, _ in edges if left.block.kind == "loss"]:
        raise ValueError(f"Nothing comes after a loss, but something comes after {ended[0]}.")
    return edges


def _link(places: list[Place], source: str, target: str) -> Edge:
    """Return the arrow between two blocks named in ``links``."""
    ends = []
    for name in (source, target):
        found = [place for place in places if place.block.name == name]
        if len(found) != 1:
            raise ValueError(f"A link names {name!r}; {len(found)} blocks have that name, it must be one.")
        ends += found
    if ends[0].column + 1 != ends[1].column:
        raise ValueError(f"{target} does not stand in the column after {source}, so no arrow can link them.")
    return ends[0], ends[1]


def _gradient(diagram: Diagram) -> set[Edge]:
    """Return the arrows along which a gradient comes back, by the rule of ``requires_grad``.

    What comes out of a block needs a gradient when the block learns or when what went in needs one. Data need none,
    and what was stored is cut off from where it came from.
    """
    needs: dict[Place, bool] = {}
    for place in diagram.places:
        passed_on = place.block.kind not in ("data", "stored")
        before = [left for left, right in diagram.edges if right is place]
        needs[place] = place.block.trains or (passed_on and any(needs[left] for left in before))
    found: set[Edge] = set()
    for place in reversed(diagram.places):
        if place.block.kind == "loss" or any(left is place for left, _ in found):
            found |= {(left, right) for left, right in diagram.edges if right is place and needs[left]}
    reached = {left for left, _ in found}
    if lost := [place.block.name for place in diagram.places if place.block.trains and place not in reached]:
        raise ValueError(f"{lost[0]} is trained, but no gradient reaches it: a loss has to come after it.")
    return found


# ------------------------------------------------------------------ in words


def in_words(diagram: Diagram) -> str:
    """Return the alternative text: what stands where, what is frozen and trained, where the gradient goes."""
    if not diagram.row_names:
        return f"Schematic, from left to right: {_structure(diagram)}. {_states(diagram)}"
    rows = []
    for name, chain in zip(diagram.row_names, diagram.parts[0], strict=True):
        edges = [edge for edge in diagram.edges if edge[0] in chain]
        row = Diagram([[chain]], edges, [], gradient={edge for edge in diagram.gradient if edge[0] in chain})
        rows.append(f"Row '{name}': {_structure(row)}. {_states(row)}")
    return f"Schematic in {len(rows)} rows, each from left to right. {' '.join(rows)}"


def _structure(diagram: Diagram) -> str:
    said = []
    for chains in diagram.parts:
        branches = [", then ".join(place.block.in_words() for place in chain) for chain in chains]
        numbered = "; ".join(f"{number}: {branch}" for number, branch in enumerate(branches, 1))
        said.append(branches[0] if len(branches) == 1 else f"{len(branches)} branches ({numbered})")
    links = "".join(f"; an arrow also from {left.block.name} to {right.block.name}" for left, right in diagram.links)
    return ", then ".join(said) + links


def _states(diagram: Diagram) -> str:
    everything = [block for place in diagram.places for block in (place.block, *place.block.inside)]
    text = []
    for state in ("frozen", "trained"):
        named = _list(block.name for block in everything if block.state == state)
        text.append(f"{state.capitalize()}: {named or 'nothing'}.")
    if not diagram.gradient:
        return " ".join([*text, "There is no gradient."])
    losses = _list(place.block.name for place in diagram.places if place.block.kind == "loss")
    reached = [place for place in reversed(diagram.places) if any(left is place for left, _ in diagram.gradient)]
    text.append(f"The gradient goes back from {losses} to {_list(_where_it_learns(p.block) for p in reached)}.")
    if through := _list(place.block.name for place in reached if not place.block.trains and place.block.state):
        text.append(f"It passes through {through} and changes nothing there.")
    if turned := _list(place.block.name for place in reached if place.block.kind == "reversal"):
        text.append(f"At {turned} it changes its sign.")
    others = [
        place.block for place in diagram.places if place not in reached and place.block.kind in ("part", "stored")
    ]
    if others:
        text.append(f"It does not reach {_list((block.name for block in others), 'or')}.")
    return " ".join(text)


def _where_it_learns(block: Block) -> str:
    inside = _list(inner.name for inner in block.inside if inner.trains)
    return f"{block.name} ({inside} inside)" if inside else block.name


def _list(names: Iterable[str], last_word: str = "and") -> str:
    """Return names once each, in order, as a reader says them."""
    *most, last = dict.fromkeys(name.replace("\n", " ") for name in names) or [""]
    return f"{', '.join(most)} {last_word} {last}" if most else last
