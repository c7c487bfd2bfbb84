"""Pictures of lesson 10: an episode, a plane cut by distances, prototypes that move, accuracies by setting."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...data import LabelledImages
from ...evaluation.intervals import Interval
from ...techniques.episodes import Episode
from ...techniques.prototypes import SETTINGS
from .. import plots


def episode_grid(images: LabelledImages, episode: Episode, credit: str = "") -> Figure:
    """Draw one row a class: its support on the left, then a line, then its queries."""
    ways = len(episode.classes)
    support, queries = episode.support.view(ways, -1), episode.queries.view(ways, -1)
    columns = support.shape[1] + queries.shape[1]
    figure, grid = plt.subplots(ways, columns, figsize=(1.05 * columns + 1.6, 1.05 * ways + 0.7), squeeze=False)
    plain = images.with_transform(None)
    for row, items in enumerate(torch.cat([support, queries], 1).tolist()):
        for column, item in enumerate(items):
            axes = grid[row, column]
            axes.imshow(plain[item][0])
            axes.set(xticks=[], yticks=[])
            asked = column >= support.shape[1]
            for side in axes.spines.values():
                side.set(visible=True, color=plots.GREY if asked else plots.RED, linewidth=1 if asked else 3)
        grid[row, 0].set_ylabel(f"class {row}", rotation=0, ha="right", va="center")
    grid[0, 0].set_title("support", color=plots.RED)
    grid[0, support.shape[1]].set_title("queries", color=plots.GREY)
    plots.write_credit(figure, credit)
    return figure


def halfway_lines() -> Figure:
    """Draw the probability of one of two prototypes over the plane, from squared and from plain distances."""
    x, y = np.meshgrid(np.linspace(-3, 3, 161), np.linspace(-3, 3, 161))
    figure, panels = plt.subplots(1, 2, figsize=(9.5, 4.6), sharey=True)
    for axes, power, name in zip(panels, (1.0, 0.5), ("squared distance", "plain distance"), strict=True):
        near, far = (((x - c) ** 2 + y**2) ** power for c in (-1, 1))
        probability = 1 / (1 + np.exp(near - far))
        shown = axes.contourf(x, y, probability, levels=np.linspace(0, 1, 11), cmap="cividis")
        axes.contour(x, y, probability, levels=[0.1, 0.3, 0.5, 0.7, 0.9], colors="white", linewidths=1.5)
        axes.plot([-1, 1], [0, 0], "*", color=plots.RED, markersize=16, mec="white")
        axes.set(title=name, xlabel="first feature", aspect="equal")
    panels[0].set_ylabel("second feature")
    figure.colorbar(shown, ax=panels, label="probability of the left prototype")
    return figure


def accuracies_by_setting(rows: dict[str, Sequence[Interval]]) -> Figure:
    """Draw the interval of each method in each of the SETTINGS of techniques/prototypes.py, guessing dotted."""
    figure, axes = plt.subplots(figsize=(10, 5.2))
    for place, (name, intervals) in enumerate(rows.items()):
        x = np.arange(len(SETTINGS)) + 0.11 * (place - (len(rows) - 1) / 2)
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "ls": "none", "label": name}
        plots.points(axes, x, intervals, **style)
    for place, (ways, _) in enumerate(SETTINGS.values()):
        axes.hlines(1 / ways, place - 0.4, place + 0.4, color="black", ls=":")
    axes.set_xticks(range(len(SETTINGS)), list(SETTINGS))
    axes.grid(axis="x", visible=False)
    axes.set(ylabel="accuracy on test alphabets", ylim=(0, 1), title="Bars: 95 % interval; dotted: guessing")
    axes.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def prototype_map(
    support: torch.Tensor, support_labels: torch.Tensor, queries: torch.Tensor, labels: torch.Tensor,
    said: torch.Tensor, names: Sequence[str], title: str,
) -> Figure:  # fmt: skip
    """Scatter queries by class, wrong ones as crosses; support and prototypes on top, joined by lines.

    The plane is that of the two directions in which all points together vary most.

    Args:
        support, support_labels: (N, D) and (N,) 0 to C-1.
        queries, labels, said: (Q, D), and (Q,) the class of each and what it was taken for.
    """
    together = torch.cat([support, queries])
    centred = together - together.mean(0)
    flat = centred @ torch.linalg.svd(centred, full_matrices=False)[2][:2].T
    support, points = flat[: len(support)], flat[len(support) :]
    figure, axes = plt.subplots(figsize=(8.5, 5.4))
    wrong = labels != said
    for number, name in enumerate(names):
        colour, mine = plots.PALETTE[number % 7], labels == number
        axes.scatter(*points[mine & ~wrong].T, s=28, color=colour, alpha=0.6, lw=0)
        axes.scatter(*points[mine & wrong].T, s=40, color=colour, marker="x")
        examples = support[support_labels == number]
        centre = examples.mean(0)
        for example in examples:
            axes.plot(*torch.stack([centre, example]).T, color=colour, lw=1.2)
        axes.scatter(*examples.T, s=60, color=colour, marker="s", ec="black")
        axes.scatter(*centre, s=330, color=colour, marker="*", ec="black", label=name, zorder=3)
    axes.set(xlabel="first direction", ylabel="second direction", title=title)
    axes.legend(title="prototypes", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
