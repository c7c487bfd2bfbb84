"""Pictures of lesson 07: rates and curves, budgets, ranks, and the directions of a learned change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .. import plots


def search(grid: Sequence[float], curves: Mapping[str, np.ndarray]) -> Figure:
    """Draw the last validation accuracy by rate, and beside it the curve over epochs of each method's best rate.

    Args:
        grid: learning rates.
        curves: method -> validation accuracy (rates, epochs).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4), sharey=True)
    for method, found in curves.items():
        style = plots.method_style(method)
        left.plot(grid, found[:, -1], **style)
        best = found[:, -1].argmax()
        right.plot(range(1, found.shape[1] + 1), found[best], **style)
    left.set(xscale="log", xlabel="learning rate (log scale)", ylabel="validation accuracy", title="last epoch")
    right.set(xlabel="epoch", title="at the best rate")
    left.legend(fontsize=11)
    return figure


def by_budget(runs: Mapping[str, Mapping[int, np.ndarray]], majority: float) -> Figure:
    """Draw test accuracy by the number of labelled sentences: each run a dot, each mean a marker.

    Args:
        runs: method -> number of sentences -> accuracies, one a seed.
        majority: accuracy of the majority class.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    for shift, (method, found) in zip((0.93, 1.0, 1.07), runs.items(), strict=True):
        style, places = plots.method_style(method), [count * shift for count in found]
        for place, values in zip(places, found.values(), strict=True):
            axes.plot([place] * len(values), values, ".", color=style["color"], ms=5, alpha=0.6)
        axes.plot(places, [np.mean(values) for values in found.values()], **{**style, "ms": 11})
    axes.axhline(majority, color="black", ls="--", lw=1.5)
    axes.annotate("majority class", (1, majority), xycoords=("axes fraction", "data"), xytext=(-4, 5),
                  textcoords="offset points", ha="right", fontsize=11)  # fmt: skip
    axes.set(xlabel="labelled sentences (log scale)", ylabel="test accuracy")
    plots.log_axis(axes, list(next(iter(runs.values()))))
    axes.legend(loc="lower right", bbox_to_anchor=(1, 0.08), fontsize=11)
    return figure


def by_rank(ranks: Sequence[int], accuracies: np.ndarray, used: np.ndarray, null: Sequence[float]) -> Figure:
    """Draw test accuracy by rank, and the effective rank of the learned changes beside that of random ones.

    Args:
        ranks: as trained.
        accuracies: (seeds, ranks).
        used: effective ranks (seeds, ranks), each the mean over the changed matrices.
        null: the mean effective rank of a product of two random matrices of the same shapes, for each rank.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
    for axes, values in ((left, accuracies), (right, used)):
        for row in values:
            axes.plot(ranks, row, ".", color=plots.PINK, ms=6, alpha=0.6)
        axes.plot(ranks, values.mean(0), **{**plots.method_style("LoRA"), "label": "learned"})
        plots.log_axis(axes, list(ranks))
        axes.set(xlabel="rank (log scale)")
    right.plot(ranks, null, "k--x", label="random B A")
    left.set(ylabel="test accuracy", title="alpha / r is the same for all")
    right.set(ylabel="effective rank", title="directions of the change")
    right.legend(fontsize=11)
    return figure


def directions(values: np.ndarray, kept: int, accuracy: float) -> Figure:
    """Draw the singular values of one learned change, those that were kept in colour, and the accuracy with them."""
    figure, axes = plt.subplots(figsize=(8, 4.2))
    numbers = np.arange(1, len(values) + 1)
    axes.bar(numbers[:kept], values[:kept], color=plots.PINK, edgecolor="black", label="kept")
    axes.bar(numbers[kept:], values[kept:], color="white", edgecolor="black", hatch="//", label="taken out")
    axes.set(xlabel="direction", ylabel="singular value", title=f"{kept} kept in each matrix: accuracy {accuracy:.3f}")
    axes.set_xticks(numbers)
    axes.legend()
    return figure
