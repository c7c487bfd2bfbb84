"""Pictures of lesson 03: a schedule of unfreezing, rates by depth, and what was reached with each schedule."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from torch import Tensor

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


def reached(
    grid: Mapping[str, Mapping[str, Tensor]],
    precision: Mapping[str, Sequence[float]],
    rates: Sequence[float],
    ways: Sequence[str],
) -> tuple[Figure, str]:
    """Draw a panel for each rate with a row for each way: every seed, the mean, its 95 % interval; and the means.

    Args:
        grid: the study: ``"way, rate"`` -> ``"last"``, the average precision after the last epoch, one a seed.
        precision: ``"way, rate"``, and ``"head alone"`` -> that of the weights that validation chose, one a seed.
    """
    kept = {f"body rate {rate:g}": {way: precision[f"{way}, {rate:g}"] for way in ways} for rate in rates}
    last = {f"body rate {rate:g}": {way: grid[f"{way}, {rate:g}"]["last"] for way in ways} for rate in rates}
    level = precision["head alone"]
    count = len(next(iter(kept.values())))
    figure, grid = plt.subplots(1, len(kept), figsize=(12, 2 + 0.7 * count), sharex=True, sharey=True, squeeze=False)
    for axes, (title, ways) in zip(grid.flat, kept.items(), strict=True):
        for place, ((way, values), (colour, marker, _)) in enumerate(zip(ways.items(), STYLES, strict=False)):
            interval = mean_and_interval(values)
            low, high = (end if np.isfinite(end) else interval.mean for end in (interval.low, interval.high))
            axes.plot(values, np.full(len(values), place + 0.2), ".", color=colour, alpha=0.6, markersize=6)
            axes.plot([low, high], [place, place], color=colour, lw=5, alpha=0.4, solid_capstyle="round")
            axes.plot(interval.mean, place, marker=marker, color=colour, markersize=11, ls="none")
            hollow = {"color": colour, "markerfacecolor": "white", "markersize": 9, "markeredgewidth": 2, "ls": "none"}
            axes.plot(float(np.asarray(last[title][way]).mean()), place + 0.36, marker=marker, **hollow)
            beside = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "fontsize": 12}
            axes.annotate(f"{interval.mean:.3f}", (interval.mean, place), **beside)
        axes.axvline(float(np.mean(level)), color="black", ls="--", lw=1.5)
        axes.set(title=title, xlabel="average precision, test cells")
        axes.set_yticks(range(count), list(ways))
        axes.grid(axis="y", visible=False)
        axes.set_ylim(count - 0.4, -0.7)
    black = {"color": "black", "ls": "none", "marker": "o", "markersize": 9}
    lines = [
        Line2D([], [], **black, label="weights that validation chose: mean, 95 % interval"),
        Line2D([], [], **black, markerfacecolor="white", markeredgewidth=2, label="weights of the last epoch: mean"),
        Line2D([], [], color="black", ls="--", label=f"head alone: {np.mean(level):.3f}"),
    ]
    figure.legend(handles=lines, loc="outside lower center", ncols=3, fontsize=11)
    means = (
        f"{t}: " + ", ".join(f"{way} {np.mean(values):.3f}" for way, values in row.items()) for t, row in kept.items()
    )
    return figure, f"Means: {'; '.join(means)}; head alone {np.mean(level):.3f}."


def curves(runs: Mapping[str, Sequence[Sequence[float]]], starts: Sequence[int], metric: str) -> Figure:
    """Draw the mean of each way by epoch, counted from 1, with a band over the seeds; dotted where a stage begins."""
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    for (way, values), (colour, marker, line) in zip(runs.items(), STYLES[0::4], strict=False):
        epochs = range(1, len(values[0]) + 1)
        plots.band(axes, epochs, values, dots=False, color=colour, marker=marker, ls=line, label=way, markersize=6)
    for start in starts:
        axes.axvline(start + 0.5, color=plots.GREY, ls=":", lw=1.5)
    axes.set(xlabel="epoch; dotted: a stage of gradual unfreezing begins", ylabel=metric)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure
