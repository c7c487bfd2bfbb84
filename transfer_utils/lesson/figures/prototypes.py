"""Pictures of lesson 10: an episode, a plane cut by distances, prototypes that move, what studies found."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...data import LabelledImages
from ...techniques.episodes import Episode
from ...techniques.prototypes import by_prototype
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
    figure.suptitle("Stars: prototypes. White lines: equal probability, 0.1 to 0.9.", fontsize=12)
    return figure


def accuracy_by_steps(curves: dict[str, torch.Tensor], steps: Sequence[int], chance: float) -> tuple[Figure, str]:
    """Draw validation accuracy against training steps, mean and band over the seeds, and say where each method stands.

    Args:
        curves: method -> (seeds, looks).
        steps: (looks,) training steps done at each look.
        chance: accuracy of guessing, dotted.
    """
    figure, axes = plt.subplots(figsize=(9.5, 4.8))
    for place, (name, runs) in enumerate(curves.items()):
        plots.band(axes, steps, runs.tolist(), dots=False, ls=("-", "--", "-.", ":")[place % 4],
                   **plots.method_style(name))  # fmt: skip
    axes.axhline(chance, color="black", ls=":", lw=1.2)
    axes.set(xlabel="training steps of 100 images", ylabel="accuracy, validation alphabets")
    axes.set_ylim(min(float(runs.min()) for runs in curves.values()) - 0.03, None)
    axes.legend(loc="lower right", title="5-way 1-shot")
    means = {name: runs.double().mean(0) for name, runs in curves.items()}
    ends = {name: f"{mean[0]:.2f} at the first look, {mean[-1]:.2f} at the last" for name, mean in means.items()}
    return figure, "; ".join(f"{name} {told}" for name, told in ends.items())


def by_shape(accuracies: dict[str, dict[str, torch.Tensor]]) -> Figure:
    """Draw, for each shape of the training episodes, the test accuracy of each seed and their mean, a panel a setting.

    Args:
        accuracies: setting of the test -> shape in training -> (seeds,).
    """
    figure, panels = plt.subplots(1, len(accuracies), figsize=(5.4 * len(accuracies), 4.3), squeeze=False, sharey=False)
    for axes, (setting, shapes) in zip(panels[0], accuracies.items(), strict=True):
        for place, values in enumerate(shapes.values()):
            axes.plot(values, [place] * len(values), ".", color=plots.GREY, markersize=9, alpha=0.7)
            axes.plot(values.mean(), place, "*", color=plots.RED, markersize=17, mec="white")
        axes.set_yticks(range(len(shapes)), list(shapes))
        axes.invert_yaxis()
        axes.set(xlabel="test accuracy", title=f"tested {setting}")
    panels[0][0].set_ylabel("episodes in training")
    for axes in panels[0][1:]:
        axes.set_yticklabels([])
    return figure


def by_shots(curves: dict[str, torch.Tensor], shots: Sequence[int]) -> tuple[Figure, str]:
    """Draw balanced accuracy against labelled examples a class, mean and band over draws, and say where each ends.

    Args:
        curves: classifier -> (draws, shots).
    """
    figure, axes = plt.subplots(figsize=(9, 5))
    for place, (name, values) in enumerate(curves.items()):
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "label": name}
        plots.band(axes, shots, values.tolist(), dots=False, ls=("-", "--", "-.", ":")[place % 4], **style)
    axes.axhline(0.5, color="black", ls=":", lw=1.2)
    plots.log_axis(axes, shots)
    axes.set(xlabel="labelled cells of each class (log scale)", ylabel="balanced accuracy, test cells")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper center", ncols=3)
    ends = {name: f"{values[:, 0].mean():.2f} to {values[:, -1].mean():.2f}" for name, values in curves.items()}
    return figure, ", ".join(f"{name} {told}" for name, told in ends.items())


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
        axes.scatter(*centre, s=330, color=colour, marker="*", ec="black", label=f"{number + 1}  {name}", zorder=3)
        axes.annotate(str(number + 1), centre.tolist(), ha="center", va="center", zorder=4, fontsize=11, weight="bold")
    axes.set(xlabel="first direction", ylabel="second direction", title=title)
    axes.legend(title="prototypes", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def moved(by_class: torch.Tensor, shots: int, wrong_label: int, names: Sequence[str]) -> tuple[Figure, float]:
    """Draw :func:`prototype_map` of the first ``shots`` examples of each class, and return the share that is right.

    Args:
        by_class: (ways, examples, D); the examples after the first ``shots`` are queries.
        wrong_label: 1 puts the first example of the first class into the second, where there are several shots.
        names: of the classes, in order.
    """
    ways, examples, _ = by_class.shape
    support, queries = by_class[:, :shots].flatten(0, 1), by_class[:, shots:].flatten(0, 1)
    labels, truth = (torch.arange(ways).repeat_interleave(count) for count in (shots, examples - shots))
    if wrong_label and shots > 1:
        labels[0] = 1
    said = by_prototype(support, labels, queries).argmax(1)
    share = float((said == truth).double().mean())
    title = f"{share:.0%} of {len(queries)} queries right"
    return prototype_map(support, labels, queries, truth, said, names[:ways], title), share
