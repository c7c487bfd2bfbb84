"""Pictures of lesson 00: what a number of labels buys, and what a threshold trades."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...evaluation.metrics import accuracy, recall
from ..plots import METHODS, band, log_axis

LINES = ("-", "--", "-.")
MEASURES = {"accuracy": accuracy, "defects missed": lambda scores, labels: 1 - recall(scores, labels)}


def label_budgets(
    reached: Mapping[str, Sequence[torch.Tensor]], labels: torch.Tensor, budgets: Sequence[int]
) -> tuple[Figure, str]:
    """Return a figure of accuracy and of defects missed against the number of labels, and its alternative text.

    Each method is a line with a band, mean and standard deviation over the seeds; a baseline is a line without one, and
    the majority class a level.

    Args:
        reached: method -> for each budget test scores (seeds, N, 2); a method without a colour of its own is black.
        labels: (N,), 1 for a defect.
        budgets: the numbers of labels.
    """
    figure, row = plt.subplots(1, 2, figsize=(11.4, 4.9))
    majority = torch.eye(2)[labels.mode().values].expand(len(labels), 2)
    told = []
    for axes, (measure, of) in zip(row, MEASURES.items(), strict=True):
        for place, (method, by_budget) in enumerate(reached.items()):
            values = np.array([[of(scores, labels) for scores in of_seeds] for of_seeds in by_budget]).T
            colour, marker = METHODS.get(method, ("black", "x"))
            line = LINES[place] if place < len(LINES) else ":"
            style = {"color": colour, "marker": marker, "ls": line, "label": method}
            if method in METHODS:
                band(axes, budgets, values, dots=False, **style)
            else:  # a baseline: its band would hide those of the methods
                axes.plot(budgets, values.mean(0), **style)
            told.append(f"{method} {values[:, 0].mean():.2f} to {values[:, -1].mean():.2f}")
        axes.axhline(of(majority, labels), color="black", lw=1.2, label="majority class")
        log_axis(axes, budgets)
        axes.set(xlabel="labelled cells", ylabel=f"{measure}, test cells")
    handles, names = row[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=3)
    half = len(told) // 2
    return figure, (
        "Two panels against the number of labelled cells on a log axis, one line a method with its band. From the "
        f"fewest to the most labels, accuracy: {'; '.join(told[:half])}. Defects missed: {'; '.join(told[half:])}."
    )


def threshold_bars(scores: Mapping[str, torch.Tensor], labels: torch.Tensor, threshold: float) -> tuple[Figure, str]:
    """Return a figure of defects missed and of false alarms at a threshold, a bar a method, and what it shows in words.

    Args:
        scores: method -> test scores (seeds, N, 2); shares are averaged over the seeds.
        labels: (N,), 1 for a defect.
        threshold: a cell is called defective where softmax gives class 1 at least this much.
    """
    called = {method: of_seeds.softmax(-1)[..., 1] >= threshold for method, of_seeds in scores.items()}
    shares = {
        "defects missed": [float((~one[:, labels == 1]).double().mean()) for one in called.values()],
        "false alarms": [float(one[:, labels == 0].double().mean()) for one in called.values()],
    }
    figure, row = plt.subplots(1, 2, figsize=(12, 1.3 + 0.6 * len(scores)), sharey=True)
    for axes, (name, values), of in zip(row, shares.items(), ("defective", "functional"), strict=True):
        axes.barh(list(scores), values, color=[METHODS[method][0] for method in scores], height=0.6)
        for height, value in enumerate(values):
            inside = value > 0.85
            place = {"x": value - 0.02, "ha": "right", "color": "white"} if inside else {"x": value + 0.02}
            axes.text(y=height, s=f"{value:.0%}", va="center", **place)
        axes.set(xlim=(0, 1), title=name, xlabel=f"share of the {of} cells")
        axes.grid(axis="y", visible=False)
    row[0].invert_yaxis()
    pairs = zip(scores, *shares.values(), strict=True)
    told = "; ".join(f"{method} misses {lost:.0%}, false alarms {alarms:.0%}" for method, lost, alarms in pairs)
    return figure, f"Bars of defects missed and of false alarms, threshold {threshold:.2f}: {told}."
