"""Pictures of lesson 02: learning rates (15 draws them, too), frozen layers, runs, what was forgotten."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ...evaluation.intervals import Interval
from ...models.layer_groups import LayerGroup
from ...training.loop import FitResult
from .. import plots


def rates_and_schedule(rates: dict[str, float], factor: Sequence[float], lines: Sequence[str]) -> Figure:
    """Draw a bar a layer group for its rate, and beside it the rate over the steps for the groups in ``lines``.

    Args:
        rates: group name -> highest learning rate, from the stem to the head.
        factor: of the schedule, one a step.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    bars = left.barh(list(rates), list(rates.values()), color=plots.RED)
    left.bar_label(bars, [f"{rate:.1e}" for rate in rates.values()], padding=4, fontsize=11)
    left.set(xscale="log", xlim=(min(rates.values()) / 2, max(rates.values()) * 4), title="A rate for each layer group")
    left.set(xlabel="highest learning rate (log scale)")
    left.grid(axis="y", visible=False)
    left.xaxis.set_minor_formatter("")
    for name, colour, line in zip(lines, plots.PALETTE, ("-", "--", ":", "-."), strict=False):
        right.plot(1000 * rates[name] * np.asarray(factor), color=colour, ls=line, label=name)
    right.set(xlabel="optimizer step", ylabel="learning rate in thousandths", title="One cycle")
    right.legend()
    return figure


def rate_sweep(by_rate: dict[float, dict], baseline: float) -> Figure:
    """Draw what each learning rate did: accuracy, how far the weights moved, what is left of the old names.

    Args:
        by_rate: rate -> ``accuracy``, ``old statistics``, ``as it is`` (intervals) and ``moved`` (a share).
        baseline: accuracy of the majority class.
    """
    rates, rows = list(by_rate), list(by_rate.values())
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4))
    plots.points(left, rates, [row["accuracy"] for row in rows], color=plots.RED, marker="s")
    left.axhline(baseline, color="black", ls="--", lw=1.5, label="more frequent name")
    left.margins(y=0.2)
    middle.plot(rates, [100 * row["moved"] for row in rows], color=plots.GREY, marker="o")
    for kind, colour, marker in [("old statistics", plots.BLUE, "o"), ("as it is", plots.ORANGE, "v")]:
        plots.points(right, rates, [row[kind] for row in rows], color=colour, marker=marker, label=kind)
    left.set(ylabel="validation accuracy", title="on solar cells")
    middle.set(ylabel="% of their length", yscale="log", title="how far the weights moved")
    right.set(ylabel="share of old names kept", ylim=(-0.05, 1.05), title="on photographs")
    for axes in (left, middle, right):
        plots.log_axis(axes, rates)
        axes.set(xlabel="learning rate of the head")
    left.legend(loc="upper right")
    right.legend(loc="upper right")
    return figure


def freeze_sweep(accuracy: dict[int, Interval], cost_of: dict[int, dict], images: int) -> Figure:
    """Draw validation accuracy, milliseconds a step and memory by kind against the number of frozen groups.

    Args:
        accuracy: number of frozen groups -> interval.
        cost_of: the same -> ``step`` (seconds) and ``memory`` (kind -> MB).
        images: in a batch.
    """
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 4))
    plots.points(left, list(accuracy), list(accuracy.values()), color=plots.RED, marker="s")
    middle.plot(list(cost_of), [1000 * cost["step"] for cost in cost_of.values()], color=plots.GREY, marker="o")
    plots.stacked_bars(right, {k: cost["memory"] for k, cost in cost_of.items()})
    left.set(ylabel="validation accuracy", title="short runs")
    middle.set(ylabel="milliseconds a step", title=f"time, {images} images")
    middle.set_ylim(bottom=0)
    right.set(ylabel="MB", title=f"memory, {images} images")
    for axes in (left, middle, right):
        axes.set(xlabel="first groups frozen", xticks=list(accuracy))
    return figure


def freeze_explorer(groups: Sequence[LayerGroup], cost_of: dict[int, dict], k: int) -> Figure:
    """Draw which groups learn with the first ``k`` frozen, what a step keeps in memory and how long it takes.

    Args:
        cost_of: number of frozen groups -> ``learns`` (parameters), ``step`` (seconds), ``memory`` (kind -> MB).
    """
    cost = cost_of[k]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), width_ratios=(3, 2))
    for name, colour, part in [("frozen", plots.SKY, groups[:k]), ("learns", plots.RED, groups[k:])]:
        bars = left.barh([g.name for g in part], [g.count() for g in part], color=colour, label=name)
        left.bar_label(bars, [f"{g.count():,}" for g in part], padding=4, fontsize=10)
    left.set(xscale="log", xlabel="parameters (log scale)", title=f"{cost['learns']:,} parameters learn")
    left.set_xlim(right=30 * max(g.count() for g in groups))
    left.grid(axis="y", visible=False)
    left.legend(loc="center right")
    bars = right.bar(list(cost["memory"]), list(cost["memory"].values()), color=plots.PALETTE[:4])
    right.bar_label(bars, [f"{mb:.0f}" for mb in cost["memory"].values()])
    right.set(ylabel="MB", title=f"a step: {1000 * cost['step']:.0f} ms, {sum(cost['memory'].values()):.0f} MB")
    right.set_ylim(0, 1.15 * max(max(other["memory"].values()) for other in cost_of.values()))
    right.tick_params(axis="x", labelsize=11)
    return figure


def runs_by_epoch(runs: dict[str, Sequence[FitResult]]) -> Figure:
    """Draw validation accuracy after each epoch, a line a run, with a circle where its weights were kept.

    Args:
        runs: method, one of ``plots.METHODS``, -> its runs.
    """
    figure, axes = plt.subplots(figsize=(8, 4.4))
    for method, results in runs.items():
        for number, result in enumerate(results):
            style = plots.method_style(method) | {"label": method if number == 0 else None}
            style["ls"] = ("-", "--", ":", "-.", (0, (5, 1)))[number % 5]
            plots.learning_curve(axes, result.history, "validation_accuracy", result.best_epoch, **style)
    _circle_in_legend(axes, "lower right")
    axes.set(title="Validation after each epoch, a line a seed")
    return figure


def training_and_validation(result: FitResult, title: str) -> Figure:
    """Draw accuracy and loss by epoch, in training and validation, with a circle where the weights were kept."""
    figure, grid = plt.subplots(1, 2, figsize=(11, 4.2))
    for axes, metric in zip(grid, ("accuracy", "loss"), strict=True):
        plots.learning_curve(axes, result.history, f"train_{metric}", color=plots.GREY, ls="--", label="training")
        plots.learning_curve(axes, result.history, f"validation_{metric}", result.best_epoch, color=plots.RED,
                             marker="s", ms=5, label="validation")  # fmt: skip
        axes.set(ylabel=metric)
    _circle_in_legend(grid[1], "best")
    figure.suptitle(title)
    return figure


def _circle_in_legend(axes: Axes, place: str) -> None:
    axes.plot([], [], "o", ms=12, mfc="none", mec="black", label="weights kept")
    axes.legend(loc=place)


def kept_names(kept: dict[str, tuple[Interval, Interval]]) -> Figure:
    """Draw the share of old names that each body keeps: with the old BatchNorm statistics, and as it is."""
    figure, axes = plt.subplots(figsize=(9, 4.2))
    kinds = [(-0.2, plots.BLUE, "old BatchNorm statistics put back"), (0.2, plots.ORANGE, "as it is")]
    for column, (shift, colour, label) in enumerate(kinds):
        intervals = [both[column] for both in kept.values()]
        mean = np.array([interval.mean for interval in intervals])
        ends = np.abs(np.array([[i.low, i.high] for i in intervals]).T - mean)
        places = np.arange(len(kept)) + shift
        axes.barh(places, mean, xerr=ends, height=0.36, color=colour, label=label, error_kw={"capsize": 3})
        for place, interval in zip(places, intervals, strict=True):
            axes.annotate(f"{interval.mean:.0%}", (max(interval.high, 0), place), (6, 0), va="center", fontsize=11,
                          textcoords="offset points")  # fmt: skip
    axes.set_yticks(range(len(kept)), list(kept))
    axes.set(xlim=(0, 1.15), xlabel="share of pieces of photographs with the old name")
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    return figure
