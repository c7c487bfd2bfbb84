"""Pictures of lessons 08 and 09: two domains, their scores, and methods in both directions."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from ...evaluation.intervals import Interval
from .. import plots


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
