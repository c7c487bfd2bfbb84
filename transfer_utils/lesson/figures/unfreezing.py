"""Pictures of lesson 03: a schedule of unfreezing, rates by depth, and what was reached with each schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...data import LabelledImages
from ...evaluation.intervals import mean_and_interval
from .. import plots

STYLES = (
    (plots.RED, "s", "-"),
    (plots.PINK, "P", (0, (1, 1))),
    (plots.GREEN, "^", "--"),
    (plots.SKY, "v", "-."),
    (plots.ORANGE, "D", "-"),
    (plots.GREY, "X", ":"),
)


def of_each_kind(part: LabelledImages, credit: str) -> Figure:
    """Show three solar cells of each kind of silicon in each class."""
    kinds, labels = np.asarray(part.extra["module_type"]), part.labels.numpy()
    pairs = [(label, kind) for label in (0, 1) for kind in ("mono", "poly")]
    shown = np.concatenate([np.flatnonzero((labels == label) & (kinds == kind))[:3] for label, kind in pairs])
    titles = [f"{part.class_names[labels[i]]}\n{kinds[i]}" for i in shown]
    return plots.image_grid(part, shown, titles, columns=6, credit=credit)


def schedule(
    names: Sequence[str], table: Mapping[int, int], epochs: int, cycle: Callable[[float], float], title: str = ""
) -> Figure:
    """Draw which groups learn in which epoch, and below it the factor on all rates.

    Args:
        names: of the groups, from the stem to the head.
        table: first epoch of each stage -> how many groups learn.
        cycle: progress of a stage, from 0 to 1 -> factor.
    """
    learns = [table[max(start for start in table if start <= epoch)] for epoch in range(epochs)]
    count, starts = len(names), [start for start in sorted(table) if start < epochs]
    grid = np.array([[place >= count - number for number in learns] for place in range(count)], dtype=float)
    figure, (upper, lower) = plt.subplots(2, 1, figsize=(8.5, 4.6), sharex=True, height_ratios=(3, 2))
    upper.pcolormesh(grid, cmap="Blues", vmin=-0.3, vmax=1.4, edgecolor="white", linewidth=2)
    for (row, column), on in np.ndenumerate(grid):
        if epochs <= 20 and on:
            upper.text(column + 0.5, row + 0.5, "•", color="white", ha="center", va="center")
    upper.set_yticks(np.arange(count) + 0.5, names)
    upper.set(title=title or "dark, with a dot: learns; pale: waits, frozen")
    for start, end in zip(starts, [*starts[1:], epochs], strict=True):
        progress = np.linspace(0, 1, 60)
        lower.plot(start + progress * (end - start), [cycle(place) for place in progress], color=plots.RED)
    lower.set(xlabel="epoch", ylabel="factor on\nevery rate", ylim=(0, 1.05))
    lower.set_xticks(np.arange(epochs) + 0.5, range(1, epochs + 1))
    for axes in (upper, lower):
        axes.grid(visible=False)
    return figure


def dial(steps: Mapping[str, tuple[float, float]]) -> Figure:
    """Draw what each position of the freeze dial costs.

    Args:
        steps: number of groups that learn -> (milliseconds of a step, millions of parameters that learn).
    """
    figure, grid = plt.subplots(1, 2, figsize=(10, 3.6))
    panels = (("milliseconds of a step", plots.RED, "{:.0f}"), ("million parameters that learn", plots.BLUE, "{:.3g}"))
    for axes, (label, colour, form), values in zip(grid, panels, zip(*steps.values(), strict=True), strict=True):
        bars = axes.bar(list(steps), values, color=colour, width=0.6)
        axes.bar_label(bars, [form.format(value) for value in values], padding=2)
        axes.set(xlabel="groups that learn, counted from the head", ylabel=label, ylim=(0, 1.15 * max(values)))
        axes.grid(axis="x", visible=False)
    return figure


def rates_by_group(names: Sequence[str], rates: Mapping[str, Sequence[float]], base: float) -> Figure:
    """Draw the rates that several rules give to the groups, from the stem to the head, on a log scale."""
    figure, axes = plt.subplots(figsize=(8.5, 4.2))
    for place, (rule, values) in enumerate(rates.items()):
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "ls": ("-", "--")[place % 2]}
        axes.plot(names, values, label=rule, **style)
    axes.axhline(base, color="black", lw=1, ls=":")
    axes.annotate("base rate", (0, base), (0, 5), textcoords="offset points")
    axes.set(yscale="log", ylabel="learning rate (log scale)", xlabel="layer group, from the image to the answer")
    axes.tick_params(axis="x", rotation=30)
    axes.legend()
    return figure


def by_rate(
    precision: Mapping[str, Sequence[float]], rates: Sequence[float], ways: Sequence[str]
) -> tuple[Figure, str]:
    """Draw what each way reaches against the rate of the body: every seed, the mean and its 95 % interval.

    The axis ends .16 below the head alone, so that differences of a few hundredths can be seen; a mean below is written
    beside an arrow.

    Args:
        precision: ``"way, rate"``, and ``"head alone"`` -> average precision, one a seed.

    Returns:
        The figure, and the means in words.
    """
    figure, axes = plt.subplots(figsize=(11.5, 5.6))
    places, level, told = np.arange(len(rates)), float(np.mean(precision["head alone"])), []
    lowest = level - 0.16
    for shift, way, (colour, marker, _) in zip(np.linspace(-0.33, 0.33, len(ways)), ways, STYLES, strict=False):
        values = [np.asarray(precision[f"{way}, {rate:g}"], dtype=float) for rate in rates]
        intervals = [mean_and_interval(of_rate) for of_rate in values]
        means = np.array([interval.mean for interval in intervals])
        half = [interval.high - interval.mean if np.isfinite(interval.high) else 0 for interval in intervals]
        for place, of_rate in zip(places, values, strict=True):
            axes.plot(np.full(len(of_rate), place + shift), of_rate, ".", color=colour, alpha=0.45, markersize=6)
        style = {"color": colour, "marker": marker, "markersize": 12, "ls": "none", "elinewidth": 3, "capsize": 5}
        axes.errorbar(places + shift, means, half, **style, label=way)
        for place in places[means < lowest]:
            down = {"arrowprops": {"arrowstyle": "->", "color": colour, "lw": 2}, "color": colour}
            above = {"xytext": (0, 34), "textcoords": "offset points", "ha": "center"}
            axes.annotate(f"{means[place]:.2f}", (place + shift, lowest), **above, **down)
        told.append(f"{way} {', '.join(f'{mean:.3f}' for mean in means)}")
    axes.axhline(level, color="black", ls="--", lw=1.5, label=f"head alone: {level:.3f}")
    for border in places[:-1] + 0.5:
        axes.axvline(border, color=plots.GREY, lw=0.8)
    axes.set_xticks(places, [f"{rate:g}" for rate in rates])
    axes.set(xlabel="rate of the body", ylabel="average precision, test cells", xlim=(-0.5, len(rates) - 0.5))
    axes.set_ylim(bottom=lowest)
    axes.grid(axis="x", visible=False)
    figure.legend(loc="outside upper center", ncols=3)
    return figure, f"Means, from the lowest rate to the highest: {'; '.join(told)}; head alone {level:.3f}."


def curves(runs: Mapping[str, Sequence[Sequence[float]]], starts: Sequence[int], metric: str) -> Figure:
    """Draw the mean of each way by epoch, counted from 1, with a band over the seeds; dotted where a stage begins."""
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    for (way, values), (colour, marker, line) in zip(runs.items(), STYLES[0::4], strict=False):
        epochs = range(1, len(values[0]) + 1)
        plots.band(axes, epochs, values, dots=False, color=colour, marker=marker, ls=line, label=way, markersize=6)
    for start in starts:
        axes.axvline(start + 0.5, color=plots.GREY, ls=":", lw=1.5)
    axes.set(xlabel="epoch; dotted: a stage of gradual unfreezing begins", ylabel=f"{metric}, validation")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure
