"""Pictures of lesson 15: tokens, attention, layers, calibration, domains of texts."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...evaluation.calibration import Bin
from .. import plots


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
    plots.matrix(axes, weights, tokens, tokens)
    axes.tick_params(axis="x", rotation=60)
    axes.set(xlabel="looked at", ylabel="looks")
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
    """Draw confidence against accuracy before and after temperature scaling.

    One point is a bin, its size tells the number of predictions in it.
    """
    figure, grid = plt.subplots(1, 2, figsize=(11, 4.6), sharey=True)
    kinds = ((before, "as it comes out", plots.RED), (after, "divided by the temperature", plots.GREEN))
    for axes, (bins, title, colour) in zip(grid, kinds, strict=True):
        sure, right = [part.confidence for part in bins], [part.accuracy for part in bins]
        areas = [20 + 900 * part.count / sum(part.count for part in bins) for part in bins]
        axes.plot([0.5, 1], [0.5, 1], color="black", ls="--", lw=1.5, label="as sure as right")
        axes.plot(sure, right, color=colour, lw=1.5)
        axes.scatter(sure, right, s=areas, color=colour, alpha=0.6)
        axes.set(xlabel="mean confidence", ylabel="share that is right", title=title, xlim=(0.45, 1.03))
        axes.legend(loc="upper left")
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
        baseline: accuracy of the majority class.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    looks = (("black", "x"), (plots.SKY, "v"), (plots.BLUE, "o"))
    for (name, runs), (colour, marker) in zip(curves.items(), looks, strict=False):
        plots.band(axes, budgets, runs, color=colour, marker=marker, label=name)
    axes.axhline(baseline, color="black", ls="--", lw=1.5, label="more frequent name")
    plots.log_axis(axes, budgets)
    axes.set(xlabel="labelled sentences (log scale)", ylabel="test accuracy")
    axes.legend(loc="lower right")
    return figure


# Lesson 15 names two methods by what they are there; colour and marker stay those of the other lessons.
_SAME = {"all layers": "fine-tuning", "random weights": "from scratch", "TF-IDF": "baseline"}


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
