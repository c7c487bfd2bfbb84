"""Where the boxes of a schematic stand and how large they are: all in inches, so that text can be measured."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath

from ..plots import BLUE, GREY
from .blocks import Block, Diagram, Edge, Place

WIDEST, USUAL = 11.0, 10.0  # inches: what a page and a slide hold
NAME_SIZE, NOTE_SIZE = 13, 12  # points
LINE, PAD, GAP, MARGIN, LANE_GAP, LEGEND = 0.23, 0.13, 0.42, 0.15, 0.3, 0.6
LABELLED_GAP, LINKED_GAP = 1.0, 1.1
ROW_WRAP = 14  # letters
PILE = 0.07  # how far the second sheet of what is stored looks out
APART = 0.13  # forward and backward arrow, from the middle of a lane
SIGNS = {"frozen": "❄ frozen", "trained": "trained", "stored": "stored"}
INK = {"frozen": GREY, "trained": "#00664A", "stored": BLUE}
LEGEND_ORDER = ("data", "frozen", "trained", "stored", "no weights", "reversal", "loss", "forward", "gradient")


@dataclass
class Layout:
    """Where the columns and lanes are; all in inches."""

    wrap: int
    starts: list[float]
    widths: list[float]
    sizes: dict[Place, tuple[float, float]]
    lane: float
    lanes: int
    width: float

    @property
    def height(self) -> float:
        """Of the figure."""
        return LEGEND + self.lane * self.lanes

    def y(self, place: Place) -> float:
        """Return the middle of a lane, or of all lanes."""
        return LEGEND + self.lane * self.lanes * (1 - place.height)

    def box(self, place: Place) -> tuple[float, float, float, float]:
        """Return left, bottom, width and height; a tall one stands beside all lanes."""
        column, (_, height) = place.column, self.sizes[place]
        height = self.lane * self.lanes - LANE_GAP if place.tall else height
        return self.starts[column], self.y(place) - height / 2, self.widths[column], height


def layout_of(diagram: Diagram, wrap: int) -> Layout:
    """Return where everything stands when names are broken into lines of at most ``wrap`` letters."""
    sizes = {place: box_size(place.block, wrap) for place in diagram.places}
    columns = range(1 + max(place.column for place in diagram.places))
    widths = [max(size[0] for place, size in sizes.items() if place.column == column) for column in columns]
    gaps = [max(_gap(edge, diagram) for edge in diagram.edges if edge[1].column == column) for column in columns[1:]]
    names = [_width(line, NAME_SIZE, "bold") for name in diagram.row_names for line in wrapped(name, ROW_WRAP)]
    left = MARGIN + max((width + 0.3 for width in names), default=0)
    taken = left + sum(widths) + sum(gaps) + MARGIN
    legend = sum(width for _, width in legend_entries(diagram)) + 2 * MARGIN
    if gaps and taken < max(USUAL, legend):  # a little more air, so that short rows are not lost on the page
        more = min(0.8, (max(USUAL, legend) - taken) / len(gaps))
        gaps, taken = [gap + more for gap in gaps], taken + more * len(gaps)
    width = max(taken, legend)
    left += (width - taken) / 2
    starts = [left + sum(widths[:column]) + sum(gaps[:column]) for column in columns]
    beside = max([0.9, *(size[1] for place, size in sizes.items() if not place.tall)])
    tall = max([0, *(size[1] for place, size in sizes.items() if place.tall)])
    lane = max(beside, tall / diagram.lanes) + LANE_GAP
    return Layout(wrap, starts, widths, sizes, lane, diagram.lanes, width)


def _gap(edge: Edge, diagram: Diagram) -> float:
    """Return the room that an arrow needs between two columns."""
    if edge in diagram.links:
        return LINKED_GAP
    return LABELLED_GAP if edge in diagram.gradient and backward_label(edge) else GAP


def backward_label(edge: Edge) -> list[str]:
    """Return the words at the backward arrow: where it starts, and where its sign changes."""
    return {"loss": ["gradient"], "reversal": ["gradient", "× (−λ)"]}.get(edge[1].block.kind, [])


def box_size(block: Block, wrap: int) -> tuple[float, float]:
    """Return width and height of a box that holds its text and what is inside it."""
    inside = [box_size(inner, wrap) for inner in block.inside]
    text = [_width(words, size, weight) for words, size, _, weight in box_text(block, wrap)]
    width = max([0.6, *text, *(width for width, _ in inside)]) + 2 * PAD
    width += PILE if look_of(block) == "stored" else 0
    return width, len(text) * LINE + sum(height + 0.1 for _, height in inside) + 2 * PAD


def box_text(block: Block, wrap: int) -> list[tuple[str, int, str, str]]:
    """Return the lines in a box: words, size in points, colour, weight."""
    name = [(line, NAME_SIZE, "black", "bold") for line in wrapped(block.name, wrap)]
    note = [(line, NOTE_SIZE, "black", "normal") for line in wrapped(block.note, wrap + 2)]
    look = look_of(block)
    return name + note + ([(SIGNS[look], NOTE_SIZE, INK[look], "normal")] if look in SIGNS else [])


def look_of(block: Block) -> str:
    """Return how a block looks; one that only holds others says nothing about itself."""
    if block.kind != "part":
        return block.kind
    return block.state or ("frame" if block.inside else "no weights")


def wrapped(text: str, wrap: int) -> list[str]:
    """Break a text into lines of at most ``wrap`` letters, at spaces, hyphens, underscores and slashes.

    A word of more than 16 letters is broken anyway.
    """
    lines = []
    for part in text.splitlines():
        pieces = [piece[i : i + 16] for piece in re.findall(r"[^\s\-_/]*[\s\-_/]*", part) if piece
                  for i in range(0, len(piece), 16)]  # fmt: skip
        line = ""
        for piece in pieces:
            if line and len((line + piece).strip()) > wrap:
                lines.append(line.strip())
                line = ""
            line += piece
        lines.append(line.strip())
    return [line for line in lines if line]


@cache
def _width(text: str, size: int, weight: str) -> float:
    """Return the width of one line in inches."""
    font = FontProperties(family="DejaVu Sans", size=size, weight=weight)
    return TextPath((0, 0), text, prop=font).get_extents().width / 72


def legend_entries(diagram: Diagram) -> list[tuple[str, float]]:
    """Return what the legend explains and the width of each entry: what occurs in the diagram, in a fixed order."""
    blocks = [block for place in diagram.places for block in (place.block, *place.block.inside)]
    looks = {look_of(block) for block in blocks} | {"forward"} | ({"gradient"} if diagram.gradient else set())
    return [(name, 0.55 + _width(SIGNS.get(name, name), NOTE_SIZE, "normal") + 0.3) for name in LEGEND_ORDER
            if name in looks]  # fmt: skip
