"""The schematic of a lesson: what is frozen, what is trained, what is stored, and where the gradient goes.

    schematic(
        Block("image", kind="data"),
        Block("EfficientNet-Lite0", parameters(body), state="frozen"),
        Block("features", kind="stored"),
        Block("linear head", parameters(head), state="trained"),
        Block("loss", kind="loss"),
    )

``blocks.py`` says what the blocks mean and where the gradient goes, ``layout.py`` where they stand. Here they are
drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from torch import nn

from ..plots import BLUE, GREEN, GREY, ORANGE, RED, show
from .blocks import Block, Diagram, Edge, diagram_of, in_words
from .layout import (
    APART,
    LABELLED_GAP,
    LEGEND,
    LINE,
    MARGIN,
    NAME_SIZE,
    NOTE_SIZE,
    PAD,
    PILE,
    ROW_WRAP,
    SIGNS,
    WIDEST,
    Layout,
    backward_label,
    box_size,
    box_text,
    layout_of,
    legend_entries,
    look_of,
    wrapped,
)

# Colour and border, so that nothing is told by colour alone.
LOOKS = {
    "frozen": {"facecolor": "#E9EDF1", "edgecolor": GREY, "linestyle": (0, (4, 2.5)), "linewidth": 1.8},
    "trained": {"facecolor": "#CBEADF", "edgecolor": GREEN, "linestyle": "-", "linewidth": 3},
    "stored": {"facecolor": "#DCEBF6", "edgecolor": BLUE, "linestyle": "-", "linewidth": 1.4},
    "loss": {"facecolor": "#FBE9C6", "edgecolor": ORANGE, "linestyle": "-", "linewidth": 1.8},
    "reversal": {"facecolor": "white", "edgecolor": RED, "linestyle": ":", "linewidth": 2.4},
    "data": {"facecolor": "white", "edgecolor": "black", "linestyle": "-", "linewidth": 1.2},
    "no weights": {"facecolor": "white", "edgecolor": GREY, "linestyle": "-", "linewidth": 1.2},
    "frame": {"facecolor": "white", "edgecolor": GREY, "linestyle": "-", "linewidth": 1.2},
}


def schematic(
    *parts: Block | Sequence[Block | Sequence[Block]] | Mapping[str, Sequence[Block]],
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Show how data pass through blocks, from left to right, and how far the gradient comes back.

    Where the gradient goes follows from the states (see :func:`~transfer_utils.lesson.schematics.blocks.diagram_of`),
    and the alternative text from the same blocks, so neither can differ from what is drawn.

    Args:
        parts: blocks in order. A list in between holds branches, each a block or a list of blocks; the block before
            and after it belongs to all of them. One dict instead: rows, each under its name, that are not connected.
        links: more arrows, from a block to one in the next column, by their names.

    Raises:
        ValueError: the blocks make no sense together, see ``diagram_of``; or they are too many for the width of a page.
        TypeError: a part is neither a block nor a list of branches.

    Example:
        >>> schematic(                                                          # doctest: +SKIP
        ...     Block("image", kind="data"),
        ...     Block("body", state="frozen"),
        ...     [[Block("head A", state="trained"), Block("loss A", kind="loss")],
        ...      [Block("head B", state="trained"), Block("loss B", kind="loss")]],
        ... )
    """
    diagram = diagram_of(parts, links)
    show(draw(diagram), in_words(diagram))


def parameters(module: nn.Module, *, without: nn.Module | None = None) -> str:
    """Return the number of parameters of a module for the note of a block: ``"2,562"``, ``"222 k"`` or ``"3.4 M"``.

    Args:
        without: a part of the module that is not counted, e.g. the head of the pretraining.
    """
    left_out = {id(parameter) for parameter in without.parameters()} if without is not None else set()
    count = sum(parameter.numel() for parameter in module.parameters() if id(parameter) not in left_out)
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.1f} M"


def draw(diagram: Diagram) -> Figure:
    """Return the figure of a diagram, at most ``WIDEST`` inches wide.

    Raises:
        ValueError: it does not fit, however the names are broken into lines.
    """
    layouts = (layout_of(diagram, wrap) for wrap in (18, 15, 12, 10))
    layout = next((tried for tried in layouts if tried.width <= WIDEST), None)
    if layout is None:
        raise ValueError(
            f"The blocks are too wide for a page ({WIDEST:.0f} inches). Use fewer blocks or shorter names, or rows: "
            "schematic({'first': [...], 'second': [...]})."
        )
    figure = Figure(figsize=(layout.width, layout.height), layout="none")
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, layout.width), ylim=(0, layout.height))  # so that 1 is an inch
    axes.axis("off")
    for name, chain in zip(diagram.row_names, diagram.parts[0], strict=False):
        lines = wrapped(name, ROW_WRAP)
        _write(axes, [(line, NAME_SIZE, "black", "bold") for line in lines], MARGIN, layout.y(chain[0]), ha="left")
    for place in diagram.places:
        _box(axes, place.block, layout.box(place), layout.wrap)
    for edge in diagram.edges:
        _arrows(axes, edge, layout, edge in diagram.gradient, edge in diagram.links)
    _legend(axes, diagram, layout.width)
    return figure


# ------------------------------------------------------------------ what is drawn


def _box(axes: Axes, block: Block, box: tuple[float, float, float, float], wrap: int) -> None:
    left, bottom, width, height = box
    look = look_of(block)
    if look == "stored":  # a pile of sheets
        width -= PILE
        _patch(axes, (left + PILE, bottom - PILE, width, height), look)
    _patch(axes, (left, bottom, width, height), look)
    text, sizes = box_text(block, wrap), [box_size(inner, wrap) for inner in block.inside]
    content = len(text) * LINE + sum(inner + 0.1 for _, inner in sizes)
    top = bottom + height / 2 + content / 2
    _write(axes, text, left + width / 2, top - len(text) * LINE / 2)
    top -= len(text) * LINE
    for inner, (_, inner_height) in zip(block.inside, sizes, strict=True):
        top -= inner_height + 0.1
        _box(axes, inner, (left + PAD, top + 0.02, width - 2 * PAD, inner_height), wrap)


def _patch(axes: Axes, box: tuple[float, float, float, float], look: str) -> None:
    left, bottom, width, height = box
    rounding = {"data": 0.001, "stored": 0.001, "loss": 0.3}.get(look, 0.1)
    style = f"round,pad=0,rounding_size={min(rounding, height / 2)}"
    axes.add_patch(FancyBboxPatch((left, bottom), width, height, boxstyle=style, zorder=2, **LOOKS[look]))


def _write(axes: Axes, text: list[tuple[str, int, str, str]], x: float, y: float, ha: str = "center") -> None:
    """Write lines below each other, their middle at ``y``."""
    for number, (words, size, colour, weight) in enumerate(text):
        line = y + (len(text) / 2 - number - 0.5) * LINE
        font = {"fontsize": size, "color": colour, "fontweight": weight, "fontfamily": "DejaVu Sans"}
        axes.text(x, line, words, ha=ha, va="center_baseline", zorder=4, parse_math=False, **font)


def _arrows(axes: Axes, edge: Edge, layout: Layout, gradient: bool, linked: bool) -> None:
    """Draw the way forward, thin and grey, and the gradient's way back, thick, below it."""
    start, _, start_width, _ = layout.box(edge[0])
    end, *_ = layout.box(edge[1])
    (x0, x1), (y0, y1) = (start + start_width, end), (layout.y(edge[0]), layout.y(edge[1]))
    if not linked:  # level: a tall box stands beside all lanes
        y0 = y1 = y1 if edge[0].tall else y0
    rise = 0.3 * ((y1 > y0) - (y1 < y0))
    y0, y1, apart = y0 + rise, y1 - rise, APART if gradient and not linked else 0.1 * gradient
    _arrow(axes, (x0, y0 + apart), (x1, y1 + apart), forward=True)
    if not gradient:
        return
    _arrow(axes, (x1, y1 - apart), (x0, y0 - apart), forward=False)
    if not linked and (label := backward_label(edge)):
        lines = [(line, NOTE_SIZE, RED, "bold") for line in label]
        _write(axes, lines, x1 - LABELLED_GAP / 2, y0 - APART - 0.1 - len(lines) * LINE / 2)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float], *, forward: bool) -> None:
    look = {"color": GREY, "linewidth": 1.6, "mutation_scale": 14} if forward else {
        "color": RED, "linewidth": 4, "mutation_scale": 20}  # fmt: skip
    arrow = "-|>" if forward else "-|>,head_length=0.45,head_width=0.3"
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle=arrow, shrinkA=3, shrinkB=3, zorder=3, joinstyle="miter",
                                   **look))  # fmt: skip


def _legend(axes: Axes, diagram: Diagram, width: float) -> None:
    entries = legend_entries(diagram)
    x, y = (width - sum(size for _, size in entries) + 0.3) / 2, LEGEND / 2 - 0.05
    for name, size in entries:
        if name in LOOKS:
            _patch(axes, (x, y - 0.11, 0.42, 0.22), name)
        else:
            ends = (x, y), (x + 0.45, y)
            _arrow(axes, *(ends if name == "forward" else ends[::-1]), forward=name == "forward")
        _write(axes, [(SIGNS.get(name, name), NOTE_SIZE, "black", "normal")], x + 0.55, y, ha="left")
        x += size
