"""Pictures: one style, colours that the colour-blind can tell apart, an alternative text for each."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from IPython.display import Image, display
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..data import LabelledImages
from ..evaluation.intervals import Interval

# Okabe and Ito 2008, "Color Universal Design"; yellow is left out, too pale on white.
BLUE, ORANGE, GREEN, PINK, SKY, RED, GREY = "#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#5F5F5F"
PALETTE = (BLUE, RED, GREEN, PINK, ORANGE, SKY, GREY)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

# The same method has the same colour and marker in every lesson.
METHODS = {
    "frozen features": (BLUE, "o"),
    "fine-tuning": (RED, "s"),
    "from scratch": (GREY, "^"),
    "gradual unfreezing": (ORANGE, "D"),
    "last two layers": (SKY, "D"),
    "adapters": (ORANGE, "v"),
    "LoRA": (PINK, "P"),
    "source only": (GREY, "X"),
    "own statistics": (ORANGE, "o"),
    "AdaBN": (ORANGE, "h"),
    "DANN": (RED, "P"),
    "own statistics + DANN": (BLUE, "d"),
    "MMD": (PINK, "v"),
    "own statistics + MMD": (BLUE, "s"),
    "CORAL": (SKY, "p"),
    "prototypical": (RED, "*"),
    "matching": (ORANGE, ">"),
    "ordinary": (BLUE, "p"),
    "triplets": (PINK, "^"),
    "linear head": (BLUE, "^"),
    "MLP head": (ORANGE, "<"),
    "random weights": (GREY, "d"),
    **{"soft targets": (RED, "D"), "hard targets": (BLUE, "X"), "labels": (GREY, "s"), "teacher": ("black", "D")},
    "oracle": ("black", "*"),
    "baseline": ("black", "x"),
}


def use_course_style() -> None:
    """Set fonts that can be read at the back of a lecture hall, and the colours of the course."""
    plt.rcParams.update({
        "figure.dpi": 100, "figure.constrained_layout.use": True, "figure.figsize": (8, 4.5),
        "font.size": 13, "axes.titlesize": 14, "axes.labelsize": 13, "legend.fontsize": 12,
        "xtick.labelsize": 12, "ytick.labelsize": 12, "axes.spines.top": False, "axes.spines.right": False,
        "axes.grid": True, "grid.alpha": 0.3, "lines.linewidth": 2.2, "lines.markersize": 8,
        "axes.prop_cycle": plt.cycler(color=PALETTE), "image.cmap": "cividis", "savefig.dpi": 100,
        "svg.hashsalt": "course",
    })  # fmt: skip


def show(figure: Figure, alt: str) -> None:
    """Show a figure with an alternative text for those who cannot see it, and close it.

    Raises:
        ValueError: the text is too short to say what the picture shows.
    """
    if len(alt) < 30:
        raise ValueError("Say in a sentence what the picture shows: axes, and what a reader should see in it.")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    plt.close(figure)
    display(Image(buffer.getvalue(), format="png", alt=alt))


def method_style(method: str) -> dict[str, str]:
    """Return colour, marker and label of a method; the same in every lesson."""
    colour, marker = METHODS[method]
    return {"color": colour, "marker": marker, "label": method}


def band(
    axes: Axes, x: Sequence[float], runs: Sequence[Sequence[float]], *, dots: bool = True, **style: object
) -> None:
    """Draw the mean over runs as a line, one standard deviation as a band, and each run as small dots.

    Args:
        runs: one sequence a seed, each as long as ``x``.
        dots: ``False`` leaves the single runs out, where there are many points.
    """
    values = np.asarray(runs, dtype=float)  # (runs, len(x))
    mean, deviation = values.mean(0), values.std(0, ddof=1) if len(values) > 1 else np.zeros(values.shape[1])
    (line,) = axes.plot(x, mean, **style)
    axes.fill_between(x, mean - deviation, mean + deviation, color=line.get_color(), alpha=0.2, lw=0)
    if dots:
        axes.plot(x, values.T, ".", color=line.get_color(), markersize=5, alpha=0.6)


def interval_rows(axes: Axes, rows: dict[str, Interval], colours: Sequence[str] = PALETTE) -> None:
    """Draw one row a method: a point at the mean, a bar for the interval, the number beside it."""
    names = list(rows)
    for place, name in enumerate(names):
        interval, colour = rows[name], METHODS.get(name, (colours[place % len(colours)],))[0]
        low, high = (v if np.isfinite(v) else interval.mean for v in (interval.low, interval.high))
        axes.plot([low, high], [place, place], color=colour, lw=5, alpha=0.4, solid_capstyle="round")
        axes.plot(interval.mean, place, marker=MARKERS[place % len(MARKERS)], color=colour, markersize=10)
        above = {"xytext": (0, 10), "textcoords": "offset points", "ha": "center"}
        white = {"facecolor": "white", "edgecolor": "none", "pad": 1}
        axes.annotate(f"{interval.mean:.3f}", (interval.mean, place), bbox=white, **above)
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.4, -0.7)
    axes.grid(axis="y", visible=False)


def interval_figure(
    rows: dict[str, Interval], baseline: float, baseline_name: str = "baseline", **labels: object
) -> Figure:
    """Return a figure of :func:`interval_rows` with a dashed line, usually at the accuracy of the majority class.

    Args:
        labels: as in ``Axes.set``, e.g. ``xlabel`` and ``title``.
    """
    figure, axes = plt.subplots(figsize=(8.5, 1.4 + 0.6 * len(rows)))
    interval_rows(axes, rows)
    axes.axvline(baseline, color="black", ls="--", lw=1.5)
    beside = {"xytext": (4, -4), "textcoords": "offset points", "va": "top", "fontsize": 11}
    axes.annotate(baseline_name, (baseline, 1), xycoords=("data", "axes fraction"), **beside)
    axes.set(**labels)
    return figure


def interval_panels(rows: dict[str, dict[str, Interval]], baseline: float, **labels: object) -> Figure:
    """Return a figure of :func:`interval_rows`, one panel a key of ``rows``, with a dashed line at the baseline."""
    count = max(map(len, rows.values()))
    figure, grid = plt.subplots(1, len(rows), figsize=(12, 1.5 + 0.62 * count), squeeze=False, sharex=True)
    for axes, (title, methods) in zip(grid.flat, rows.items(), strict=True):
        interval_rows(axes, methods)
        axes.axvline(baseline, color="black", ls="--", lw=1.5)
        axes.set(title=title, **labels)
    return figure


def image_grid(
    images: LabelledImages,
    indices: Sequence[int],
    titles: Sequence[str] | None = None,
    *,
    columns: int = 6,
    credit: str = "",
    size: float = 1.7,
) -> Figure:
    """Return a figure of images with a title each and the credit that their licence asks for.

    Args:
        images: their transform is not applied: the picture shows what was photographed.
        titles: the class names, where not given.
    """
    rows, title_lines = -(-len(indices) // columns), 1 + max((t.count("\n") for t in titles or []), default=0)
    height = rows * (size + 0.15 + 0.22 * title_lines) + 0.3
    figure, grid = plt.subplots(rows, columns, figsize=(columns * size, height), squeeze=False)
    plain = images.with_transform(None)
    for place, axes in enumerate(grid.flat):
        axes.axis("off")
        if place < len(indices):
            image, label = plain[int(indices[place])]
            axes.imshow(image)
            axes.set_title(titles[place] if titles else images.class_names[label], fontsize=11)
    write_credit(figure, credit)
    return figure


def embedding_map(axes: Axes, points: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> None:
    """Scatter (N, 2) points, one colour and marker a class."""
    for number, name in enumerate(class_names):
        chosen = points[labels == number]
        axes.scatter(*chosen.T, s=22, color=PALETTE[number], marker=MARKERS[number], alpha=0.6, label=name, lw=0)
    axes.set(xlabel="first direction", ylabel="second direction")
    axes.legend()


def matrix(
    axes: Axes, shades: np.ndarray, rows: Sequence[str], columns: Sequence[str], numbers: np.ndarray | None = None
) -> None:
    """Draw a table of shares (R, C) as squares, the darker the larger, ``numbers`` (R, C) written into them."""
    axes.imshow(shades, vmin=0, vmax=1 if numbers is not None else None, cmap="Blues")
    for (row, column), number in np.ndenumerate(numbers if numbers is not None else np.empty((0, 0))):
        colour = "white" if shades[row, column] > 0.6 else "black"
        text = f"{number:.3f}" if isinstance(number, float) else str(number)
        axes.text(column, row, text, ha="center", va="center", color=colour, fontsize=15)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.grid(visible=False)


def log_axis(axes: Axes, x: Sequence[float]) -> None:
    """Give the x axis a log scale with a tick at each of ``x`` and nowhere else."""
    axes.set(xscale="log")
    axes.set_xticks(x, [f"{value:g}" for value in x])
    axes.xaxis.minorticks_off()


def points(axes: Axes, x: Sequence[float], intervals: Sequence[Interval], **style: object) -> None:
    """Draw intervals as points with bars, joined by a line; ``style`` as in ``Axes.errorbar``."""
    mean = np.array([interval.mean for interval in intervals])
    low, high = np.array([interval.low for interval in intervals]), np.array([interval.high for interval in intervals])
    axes.errorbar(x, mean, yerr=np.clip([mean - low, high - mean], 0, None), capsize=4, **style)


def interval_curves(
    rows: dict[str, Sequence[Interval]],
    x: Sequence[float],
    level: Sequence[float],
    level_name: str = "guessing",
    **labels: object,
) -> Figure:
    """Return a figure of intervals of each row over ``x`` on a log scale, a little apart from each other.

    Args:
        level: a dotted line, one value for each of ``x``, named ``level_name``; labels: as in ``Axes.set``.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    for place, (name, intervals) in enumerate(rows.items()):
        apart = np.asarray(x) * 1.03 ** (2 * place - len(rows) + 1)
        points(axes, apart, intervals, color=PALETTE[place], marker=MARKERS[place], label=name)
    axes.plot(x, level, "k:", label=level_name)
    log_axis(axes, x)
    axes.set(**labels)
    axes.legend()
    return figure


def learning_curve(
    axes: Axes, history: Sequence[dict[str, float]], metric: str, best_epoch: int | None = None, **style: object
) -> None:
    """Draw one metric of a training history by epoch, counted from 1, and circle the epoch whose weights were kept.

    Args:
        history, best_epoch: of :class:`transfer_utils.training.state.FitResult`; ``None`` for no circle.
        metric: a key of its rows, e.g. ``"validation_accuracy"``.
    """
    values = [row[metric] for row in history]
    axes.plot(range(1, len(values) + 1), values, **style)
    if best_epoch is not None:
        axes.plot(best_epoch + 1, values[best_epoch], "o", ms=16, mfc="none", mec="black", mew=1.5)
    axes.set(xlabel="epoch", ylabel=metric.replace("_", " "))
    axes.xaxis.get_major_locator().set_params(integer=True)


def training_curves(runs: Mapping[str, Sequence[Sequence[float]]], metric: str, **labels: object) -> tuple[Figure, str]:
    """Return a figure of :func:`band` by epoch, counted from 1, and in words where the mean of each method ends.

    Args:
        runs: method -> one curve a seed, all of the same length; methods of ``METHODS`` have their colours.
        metric: what the curves are, e.g. ``"validation accuracy"``.
        labels: as in ``Axes.set``, e.g. ``title``.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    for place, (name, curves) in enumerate(runs.items()):
        colour = METHODS.get(name, (PALETTE[place % len(PALETTE)],))[0]
        epochs = range(1, len(curves[0]) + 1)
        band(axes, epochs, curves, dots=False, color=colour, ls=("-", "--", "-.", ":")[place % 4], label=name)
    axes.set(xlabel="epoch", ylabel=metric, **labels)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure, ", ".join(
        f"{name} {float(np.mean([curve[-1] for curve in curves])):.3f}" for name, curves in runs.items()
    )


def stacked_bars(axes: Axes, parts: dict[object, dict[str, float]]) -> None:
    """Draw one bar a key of ``parts``, made of its named values on top of each other, with a legend."""
    bottom = np.zeros(len(parts))
    for place, name in enumerate(next(iter(parts.values()))):
        height = np.array([values[name] for values in parts.values()])
        axes.bar(list(parts), height, bottom=bottom, color=PALETTE[place % len(PALETTE)], label=name)
        bottom += height
    axes.legend(fontsize=10)


def picture_row(pictures: dict[str, object], *, columns: int, credit: str = "", size: float = 2.1) -> Figure:
    """Return a figure of pictures (PIL images or arrays), each under its name, with the credit of their licence."""
    rows = -(-len(pictures) // columns)
    figure, grid = plt.subplots(rows, columns, figsize=(columns * size, rows * (size + 0.3) + 0.3), squeeze=False)
    for axes, (name, picture) in zip(grid.flat, pictures.items(), strict=False):
        axes.imshow(picture, vmin=0, vmax=255)
        axes.set_title(name, fontsize=11)
    for axes in grid.flat:
        axes.axis("off")
    write_credit(figure, credit)
    return figure


def write_credit(figure: Figure, text: str) -> None:
    """Write the credit that a licence asks for below the pictures, in as many lines as the width needs."""
    if text:
        characters = int(figure.get_figwidth() / 0.062)
        figure.supxlabel(textwrap.fill(text, characters), fontsize=8, color=GREY)
