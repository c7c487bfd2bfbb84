"""Pictures that belong to one lesson and would be long cells there; the general ones are in ``plots``.

Each returns a figure for ``plots.show``, which asks for its alternative text.
"""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from . import plots
from .calibration import Bin
from .freezing import LayerGroup, UnfreezingSchedule
from .metrics import Interval
from .training import FitResult

# ------------------------------------------------------ lesson 02: fine-tuning


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
        baseline: accuracy of the more frequent name.
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
        axes.set(xscale="log", xlabel="learning rate of the head")
        axes.set_xticks(rates, [f"{rate:g}" for rate in rates])
        axes.minorticks_off()
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


def differences(intervals: dict[str, Interval]) -> Figure:
    """Draw differences in test accuracy between methods, one row each, and a line where they are equal."""
    figure, axes = plt.subplots(figsize=(8.5, 3.8))
    plots.interval_rows(axes, intervals)
    axes.axvline(0, color="black", lw=1.5)
    axes.set(xlabel="difference in test accuracy, 95 % interval over the cells", title="Who is better, and is it sure?")
    return figure


# ----------------------------------------------- lesson 03: progressive unfreezing


def schedule_grid(schedule: UnfreezingSchedule, groups: Sequence[LayerGroup], epochs: int, title: str = "") -> Figure:
    """Draw layer groups by epoch: dark where a group learns, pale where it is frozen."""
    learns = [[i >= len(groups) - schedule.groups_at(e) for e in range(epochs)] for i in range(len(groups))]
    figure, axes = plt.subplots(figsize=(8, 4))
    axes.pcolormesh(np.arange(epochs + 1) + 0.5, np.arange(len(groups) + 1), np.array(learns, dtype=float),
                    cmap="Blues", vmin=-0.3, vmax=1.4, edgecolor="white", linewidth=2)  # fmt: skip
    axes.set_yticks(np.arange(len(groups)) + 0.5, [group.name for group in groups])
    axes.set(xlabel="epoch", title=title or "dark: learns, pale: frozen", xticks=range(1, epochs + 1))
    axes.grid(visible=False)
    return figure


# ------------------------------------------------- lessons 06 and 07: small changes


def accuracy_and_parameters(rows: dict[str, dict], baseline: float) -> Figure:
    """Draw accuracy against the number of parameters that learn, one method a point, each run a dot.

    Args:
        rows: method -> ``parameters`` and ``runs`` (accuracies, one a seed).
        baseline: accuracy of the more frequent name.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    for method, row in rows.items():
        style = plots.method_style(method)
        axes.plot([row["parameters"]] * len(row["runs"]), row["runs"], ".", color=style["color"], ms=6, alpha=0.7)
        axes.plot(row["parameters"], np.mean(row["runs"]), ls="", ms=11, **style)
    axes.axhline(baseline, color="black", ls="--", lw=1.5)
    axes.annotate("more frequent name", (1, baseline), xycoords=("axes fraction", "data"), xytext=(-4, 4),
                  textcoords="offset points", ha="right", fontsize=11)  # fmt: skip
    axes.set(xscale="log", xlabel="parameters that learn (log scale)", ylabel="test accuracy")
    axes.legend(loc="center right", fontsize=11)
    return figure


def lora_explorer(counts: dict[str, int], matrices: int, values: np.ndarray, rank: float) -> Figure:
    """Draw how many parameters learn, and the singular values of a learned update.

    Args:
        counts: name -> number of parameters, drawn as bars on a log scale.
        matrices: how many weight matrices have a LoRA beside them.
        values: singular values of one update, the largest first.
        rank: effective rank of that update.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    bars = left.barh(list(counts), list(counts.values()), color=[plots.PINK, plots.RED])
    left.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=4, fontsize=11)
    left.set(xscale="log", xlim=(1e3, 1e9), xlabel="parameters (log scale)", title=f"{matrices} matrices changed")
    left.grid(axis="y", visible=False)
    right.bar(range(1, len(values) + 1), values, color=plots.PINK)
    right.set(xlabel="direction", ylabel="singular value", title=f"One learned update: effective rank {rank:.1f}")
    right.xaxis.get_major_locator().set_params(integer=True)
    return figure


# ------------------------------------------------------ lesson 15: BERT for classification


def token_grid(rows: Sequence[Sequence[str]]) -> Figure:
    """Draw a padded batch as a grid: one row a text, its tokens written into the cells, padding dark and empty."""
    longest = max(map(len, rows))
    figure, axes = plt.subplots(figsize=(min(14, 1.05 * longest), 0.3 + 0.55 * len(rows)))
    axes.imshow([[j >= len(row) for j in range(longest)] for row in rows], cmap="Greys", vmin=0, vmax=2, aspect="auto")
    for i, row in enumerate(rows):
        for j in range(longest):
            axes.text(j, i, row[j] if j < len(row) else "[PAD]", ha="center", va="center", fontsize=12)
    axes.set(xlabel="place in the text", ylabel="text", xticks=range(longest), yticks=range(len(rows)))
    axes.grid(visible=False)
    return figure


def attention_map(weights: np.ndarray, tokens: Sequence[str]) -> Figure:
    """Draw the attention weights (T, T) of one head: the token in a row looks at those in the columns."""
    figure, axes = plt.subplots(figsize=(6.6, 5.6))
    axes.imshow(weights, cmap="Blues", vmin=0)
    axes.set_xticks(range(len(tokens)), tokens, rotation=60, ha="right")
    axes.set_yticks(range(len(tokens)), tokens)
    axes.set(xlabel="looked at", ylabel="looks")
    axes.grid(visible=False)
    return figure


def accuracy_by_layer(runs: Sequence[Sequence[float]], chosen: int, title: str) -> Figure:
    """Draw validation accuracy by layer, a row of ``runs`` a seed, and circle the layer that was chosen."""
    figure, axes = plt.subplots(figsize=(8, 4))
    layers, mean = range(len(runs[0])), np.mean(runs, axis=0)
    plots.band(axes, layers, runs, color=plots.BLUE, marker="o")
    axes.plot(chosen, mean[chosen], "o", ms=18, mfc="none", mec="black", mew=1.5)
    axes.set(xlabel="layer (0: embedding)", ylabel="validation accuracy", title=title)
    return figure


def reliability_pair(before: Sequence[Bin], after: Sequence[Bin]) -> Figure:
    """Draw confidence against accuracy, beside each other before and after temperature scaling."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    reliability(left, before, "as it comes out")
    reliability(right, after, "divided by the temperature", plots.GREEN)
    return figure


def reliability(axes: Axes, bins: Sequence[Bin], title: str, colour: str = plots.RED) -> None:
    """Draw confidence against accuracy, one point a bin, its size by the number of predictions in it."""
    total = sum(part.count for part in bins)
    axes.plot([0.5, 1], [0.5, 1], color="black", ls="--", lw=1.5, label="as sure as right")
    axes.plot([part.confidence for part in bins], [part.accuracy for part in bins], color=colour, lw=1.5)
    axes.scatter([part.confidence for part in bins], [part.accuracy for part in bins],
                 s=[20 + 900 * part.count / total for part in bins], color=colour, alpha=0.6)  # fmt: skip
    axes.set(xlabel="mean confidence", ylabel="share that is right", title=title, xlim=(0.45, 1.03))
    axes.legend(loc="upper left")


def adapter_places() -> Figure:
    """Draw one transformer layer as boxes, from its input at the bottom, with its two adapters."""
    boxes = [("multi-head attention", plots.SKY), ("adapter", plots.GREEN), ("sum, LayerNorm", "white"),
             ("two dense layers", plots.SKY), ("adapter", plots.GREEN), ("sum, LayerNorm", "white")]  # fmt: skip
    figure, axes = plt.subplots(figsize=(7, 5.2))
    for level, (name, colour) in enumerate(boxes):
        axes.add_patch(plt.Rectangle((0, level), 4, 0.62, facecolor=colour, edgecolor="black", alpha=0.75))
        axes.text(2, level + 0.31, name, ha="center", va="center")
        axes.annotate("", (2, level), (2, level - 0.38), arrowprops={"arrowstyle": "->", "lw": 1.8})
    for start, end in ((-0.2, 2.31), (2.81, 5.31)):  # the input of each part goes round it, to its sum
        axes.plot([2, 4.8, 4.8], [start, start, end], color="black", lw=1.5)
        axes.annotate("", (4, end), (4.8, end), arrowprops={"arrowstyle": "->", "lw": 1.5})
    axes.text(5, 1.1, "blue: frozen\ngreen: learns\nwhite: the norm learns", va="center")
    axes.set(xlim=(-0.2, 7.4), ylim=(-0.6, 5.9))
    axes.axis("off")
    return figure


def task_matrix(accuracies: np.ndarray, names: Sequence[str]) -> Figure:
    """Draw accuracies of each task's weights (rows) on each task's test data (columns)."""
    figure, axes = plt.subplots(figsize=(6.2, 4.6))
    picture = axes.imshow(accuracies, vmin=0.5, vmax=1, cmap="Blues")
    for (row, column), value in np.ndenumerate(accuracies):
        colour = "white" if value > 0.8 else "black"
        axes.text(column, row, f"{value:.3f}", ha="center", va="center", color=colour, fontsize=15)
    axes.set_xticks(range(len(names)), names)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="asked about", ylabel="learned on")
    axes.grid(visible=False)
    figure.colorbar(picture, label="test accuracy")
    return figure


def storage(copy_mb: float, task_mb: float, tasks: int) -> Figure:
    """Draw the megabytes of 1 to ``tasks`` tasks, as full copies and as one body with small files."""
    figure, axes = plt.subplots(figsize=(8, 4))
    count = np.arange(1, tasks + 1)
    axes.plot(count, copy_mb * count, **plots.method_style("fine-tuning") | {"label": "fine-tuned copies"})
    axes.plot(count, copy_mb + task_mb * count, **plots.method_style("adapters") | {"label": "one body and adapters"})
    totals = f"{tasks} tasks: {copy_mb * tasks:.0f} MB or {copy_mb + task_mb * tasks:.0f} MB"
    axes.set(xlabel="tasks", ylabel="MB", title=totals)
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend()
    return figure


def share_cut(lengths: dict[str, np.ndarray], cut: int) -> Figure:
    """Draw which share of the texts loses something, by the number of tokens after which they are cut.

    Args:
        lengths: name -> number of tokens of each text, one line each.
        cut: drawn as a vertical line.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4))
    places = np.arange(3, 80)
    for (name, counts), colour, line in zip(lengths.items(), plots.PALETTE, ("-", "--", ":", "-."), strict=False):
        axes.plot(places, [np.mean(counts > place) for place in places], color=colour, ls=line, label=name)
    axes.axvline(cut, color="black", lw=1, ls=":", label="cut in this lesson")
    axes.set(xlabel="cut after so many tokens", ylabel="share of texts that lose something")
    axes.legend()
    return figure


def label_budgets(curves: dict[str, Sequence[Sequence[float]]], budgets: Sequence[int], baseline: float) -> Figure:
    """Draw accuracy by the number of labelled sentences, a line with a band over runs for each name.

    Args:
        curves: name -> one row a seed, as long as ``budgets``.
        baseline: accuracy of the more frequent name.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    looks = (("black", "x"), (plots.SKY, "v"), (plots.BLUE, "o"))
    for (name, runs), (colour, marker) in zip(curves.items(), looks, strict=False):
        plots.band(axes, budgets, runs, color=colour, marker=marker, label=name)
    axes.axhline(baseline, color="black", ls="--", lw=1.5, label="more frequent name")
    axes.set(xscale="log", xlabel="labelled sentences (log scale)", ylabel="test accuracy")
    axes.minorticks_off()
    axes.set_xticks(budgets, budgets)
    axes.legend(loc="lower right")
    return figure


_SAME = {"all layers": "fine-tuning", "random weights": "from scratch", "TF-IDF": "baseline"}  # -> plots.METHODS


def seed_dots(runs: dict[str, Sequence[float]], learned: dict[str, int], baseline: float) -> Figure:
    """Draw one row a way of training: a dot a seed, a bar at the mean, and what could learn below the name."""
    figure, axes = plt.subplots(figsize=(8.5, 0.9 + 0.58 * len(runs)))
    for place, (way, values) in enumerate(runs.items()):
        colour, marker = plots.METHODS[_SAME.get(way, way)]
        axes.plot(values, [place] * len(values), marker, color=colour, alpha=0.5)
        axes.plot(np.mean(values), place, "|", color=colour, ms=26, mew=3)
    axes.axvline(baseline, color="black", ls="--", lw=1.5, label="more frequent name")
    names = [f"{way}\n{learned[way]:,}" if learned.get(way) else way for way in runs]
    axes.set_yticks(range(len(runs)), names, fontsize=11)
    axes.set(xlabel="test accuracy (a sign a seed, the bar: mean)", ylim=(-0.6, len(runs) - 0.4))
    axes.grid(axis="y", visible=False)
    axes.legend(loc="lower right")
    return figure


def domain_dots(values: dict[str, np.ndarray], domains: Sequence[str]) -> Figure:
    """Draw test accuracy by domain: for each kind of model, (domains, seeds), small dots and a large mean."""
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    looks = zip((-0.15, 0, 0.15), (plots.RED, plots.BLUE, plots.GREEN), "so^", strict=True)
    for (name, runs), (shift, colour, marker) in zip(values.items(), looks, strict=True):
        places = np.arange(len(domains)) + shift
        axes.plot(places, runs, marker, color=colour, alpha=0.4, ms=6)
        axes.plot(places, runs.mean(1), marker, color=colour, ms=12, label=name)
    axes.set_xticks(range(len(domains)), domains)
    axes.set(ylabel="test accuracy", xlabel="domain of the test sentences")
    figure.legend(loc="outside upper center", ncols=3, fontsize=11)
    return figure


# ------------------------------------------------- lessons 08 and 09: domains


def domain_map(points: np.ndarray, domains: np.ndarray, labels: np.ndarray, class_names: Sequence[str]) -> Figure:
    """Draw (N, 2) points twice: coloured by domain, and by class.

    Args:
        domains: (N,) names such as ``"mono"``.
        labels: (N,) class numbers.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), sharex=True, sharey=True)
    names = list(dict.fromkeys(domains.tolist()))
    plots.embedding_map(left, points, np.array([names.index(d) for d in domains]), names)
    plots.embedding_map(right, points, labels, class_names)
    left.set_title("which kind of cell?")
    right.set_title("which class?")
    return figure


def score_histograms(
    scores: dict[str, tuple[np.ndarray, np.ndarray]], threshold: float, names: Sequence[str]
) -> Figure:
    """Draw histograms of the probability of class 1, one panel a domain, and the threshold.

    Args:
        scores: domain -> (probabilities (N,), labels (N,)).
    """
    figure, grid = plt.subplots(1, len(scores), figsize=(11, 4), squeeze=False)
    bins = np.linspace(0, 1, 21)
    for axes, (domain, (probability, labels)) in zip(grid.flat, scores.items(), strict=True):
        for number, colour in enumerate((plots.BLUE, plots.RED)):
            axes.hist(probability[labels == number], bins, color=colour, alpha=0.55, label=f"really {names[number]}",
                      hatch=("", "//")[number], edgecolor="white")  # fmt: skip
        axes.axvline(threshold, color="black", ls="--")
        axes.set(xlabel=f"predicted probability of {names[1]}", ylabel="cells", title=domain)
        axes.legend(fontsize=11)
    return figure


def adaptation_history(histories: dict[str, Sequence[Sequence[dict]]], metric: str, level: float, text: str) -> Figure:
    """Draw one metric of training over the epochs for several methods, each run a thin line.

    Args:
        histories: method -> one history a seed.
        level: a dashed line, with ``text`` on it.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4))
    for method, runs in histories.items():
        values = [[row[metric] for row in history] for history in runs]
        plots.band(axes, range(1, len(values[0]) + 1), values, **plots.method_style(method) | {"markersize": 5})
    axes.axhline(level, color="black", ls="--", lw=1.5)
    axes.annotate(text, (1, level), xycoords=("axes fraction", "data"), xytext=(-4, 4), textcoords="offset points",
                  ha="right", fontsize=11)  # fmt: skip
    axes.set(xlabel="epoch", ylabel=metric.replace("train_", "").replace("_", " "))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(fontsize=11)
    return figure


def both_directions(rows: dict[str, dict[str, Interval]], chance: float, **labels: object) -> Figure:
    """Draw intervals of several methods, one panel a direction of adaptation.

    Args:
        rows: direction -> method -> interval.
        chance: what guessing reaches, a dashed line.
    """
    count = max(len(methods) for methods in rows.values())
    figure, grid = plt.subplots(1, len(rows), figsize=(12, 1.5 + 0.62 * count), squeeze=False, sharex=True)
    for axes, (direction, methods) in zip(grid.flat, rows.items(), strict=True):
        plots.interval_rows(axes, methods)
        axes.axvline(chance, color="black", ls="--", lw=1.5)
        axes.set(title=direction, **labels)
    return figure


# ------------------------------------------------------ lesson 13: distillation


def soft_answers(
    photograph: Image.Image, answers: dict[float, torch.Tensor], words: Sequence[str], count: int = 6
) -> Figure:
    """Draw a photograph, and beside it the most probable names at each temperature.

    Args:
        answers: temperature -> probabilities (C,).
        words: C names.
    """
    figure, (left, *panels) = plt.subplots(1, 1 + len(answers), figsize=(12, 1.4 + 0.34 * count))
    left.imshow(photograph)
    left.axis("off")
    for axes, (temperature, probability) in zip(panels, answers.items(), strict=True):
        top = torch.topk(probability, count)
        axes.barh([words[i] for i in top.indices.tolist()][::-1], top.values.tolist()[::-1], color=plots.BLUE)
        axes.set(xlabel="probability", title=f"temperature {temperature:g}", xlim=(0, 1.1 * float(top.values[0])))
        axes.grid(axis="y", visible=False)
    return figure
