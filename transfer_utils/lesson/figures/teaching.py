"""Pictures of lesson 13: what a teacher says, who recognises a digit never seen, and what softness and images gain."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...evaluation.differences import Difference
from .. import plots

STYLES = ("soft targets", "hard targets", "labels", "teacher")


def _look(arm: str) -> dict[str, str]:
    """Return colour and marker of an arm: those of the method that its name begins with."""
    known = next((name for name in STYLES if arm.startswith(name)), None)
    colour, marker = plots.METHODS[known] if known else (plots.PINK, "X")
    return {"color": colour, "marker": marker}


def shares(study: Mapping, arms: Sequence[str], reading: str, items: torch.Tensor) -> dict[str, torch.Tensor]:
    """Return the share of right answers of each arm among ``items`` (N,), a value a seed."""
    return {arm: study[arm][reading][:, items].double().mean(1) for arm in arms}


def as_scores(right: torch.Tensor) -> torch.Tensor:
    """Return scores (S, N, 2) whose class 1 wins where an answer, (S, N), is right: for the tools that compare."""
    return torch.stack([~right, right], -1).double()


def ten_digits(images: torch.Tensor, names: torch.Tensor) -> Figure:
    """Show four images (8, 8) of each digit, a column a digit; the threes, which no student sees, are framed."""
    figure, grid = plt.subplots(4, 10, figsize=(10, 4.2))
    for digit in range(10):
        found = torch.nonzero(names == digit).flatten()[:4]
        for axes, place in zip(grid[:, digit], found, strict=True):
            axes.imshow(images[place], cmap="gray_r")
            axes.set(xticks=[], yticks=[])
            axes.grid(visible=False)
            for side in axes.spines.values():
                side.set(visible=digit == 3, color=plots.RED, linewidth=3)
    grid[0, 3].set_title("not for\nthe student", color=plots.RED, fontsize=12)
    return figure


def soft_answers(images: torch.Tensor, scores: torch.Tensor, temperatures: Sequence[float]) -> tuple[Figure, str]:
    """Draw each image (8, 8) and beside it the softened answer at each temperature, all on one axis.

    Returns:
        The figure, and in words what each answer gives to a 3.
    """
    shape = {"width_ratios": [0.6, *[1] * len(temperatures)]}
    figure, grid = plt.subplots(len(images), 1 + len(temperatures), figsize=(12, 2.3 * len(images)), gridspec_kw=shape)
    told = []
    for row, (image, score) in zip(grid, zip(images, scores, strict=True), strict=True):
        row[0].imshow(image, cmap="gray_r")
        row[0].axis("off")
        for axes, temperature in zip(row[1:], temperatures, strict=True):
            shares = torch.softmax(score / temperature, 0)
            bars = axes.bar(range(10), shares, color=plots.BLUE)
            bars[3].set(color=plots.RED, hatch="//", edgecolor="white")
            axes.set(ylim=(0, 1), xticks=range(10))
            axes.text(3, float(shares[3]) + 0.03, f"{shares[3]:.3f}", ha="center", fontsize=11, color=plots.RED)
            axes.grid(axis="x", visible=False)
            told.append(f"T = {temperature}: {shares[3]:.3f}")
        row[1].set_ylabel("probability")
    for axes, temperature in zip(grid[0, 1:], temperatures, strict=True):
        axes.set_title(f"T = {temperature}")
    for axes in grid[-1, 1:]:
        axes.set_xlabel("digit")
    return figure, "probability of a 3, row by row: " + ", ".join(told)


def recognised(panels: Mapping[str, Mapping[str, torch.Tensor]]) -> tuple[Figure, str]:
    """Draw the share of threes recognised by each arm, a panel a reading: each seed a dot, the mean a marker.

    Args:
        panels: title -> arm -> shares (S,), the same arms in each panel.
    """
    arms = list(next(iter(panels.values())))
    figure, grid = plt.subplots(1, len(panels), figsize=(12, 1.5 + 0.5 * len(arms)), sharey=True, sharex=True)
    told = []
    for axes, (title, values) in zip(grid, panels.items(), strict=True):
        for place, (arm, shares) in enumerate(values.items()):
            look = _look(arm)
            axes.plot(shares, np.full(len(shares), place), ".", color=look["color"], ms=7, alpha=0.5)
            axes.plot(shares.mean(), place, **look, ms=12, mec="black", ls="")
            axes.text(1.05, place, f"{shares.mean():.2f}", va="center", fontsize=12)
        axes.set(title=title, xlabel="share of threes recognised", xlim=(-0.04, 1.18))
        axes.set_xticks(np.linspace(0, 1, 5))
        told.append(f"{title}: " + ", ".join(f"{arm} {shares.mean():.2f}" for arm, shares in values.items()))
    grid[0].set_yticks(range(len(arms)), arms)
    grid[0].set_ylim(len(arms) - 0.5, -0.5)
    return figure, "; ".join(told)


def bias_mover(shares: Sequence[float], arms: Mapping[str, Mapping[str, torch.Tensor]]) -> Callable[[float], None]:
    """Return a function that shows threes and other digits recognised, (S, len(shares)), at a share that it is given.

    Between two shares it draws the straight line.
    """

    def draw(share: float) -> None:
        figure, grid = plt.subplots(1, 2, figsize=(12, 4.2), sharey=True)
        told = []
        for axes, what in zip(grid, ("threes", "others"), strict=True):
            here = []
            for arm, found in arms.items():
                means = found[what].double().mean(0).numpy()
                axes.plot(shares, means, **_look(arm), label=arm)
                here.append(f"{arm} {np.interp(share, shares, means):.2f}")
            axes.axvline(share, color="black", ls="--")
            axes.set(xlabel="share of training images called 3", ylim=(-0.03, 1.03))
            axes.set_title(f"{what}: " + "\n".join(here), fontsize=12)
            told.append(f"{what}: {', '.join(here)}")
        grid[0].set_ylabel("share recognised")
        grid[0].legend(fontsize=11)
        plots.show(figure, f"Digits recognised by the share of images called 3. At {share:.2f}, {'; '.join(told)}.")

    return draw


def gains(rows: Mapping[str, Sequence[Difference]]) -> tuple[Figure, str]:
    """Draw differences with their intervals over items and seeds, one panel a metric, against a line at 0.

    Args:
        rows: name -> differences, one for each metric, in one order.
    """
    metrics = [one.metric for one in next(iter(rows.values()))]
    size = (12, 1.4 + 0.55 * len(rows))
    figure, grid = plt.subplots(1, len(metrics), figsize=size, sharey=True, squeeze=False)
    for column, (axes, metric) in enumerate(zip(grid[0], metrics, strict=True)):
        for place, found in enumerate(rows.values()):
            one = found[column]
            colour, marker = (plots.RED, "o") if one.separated else (plots.GREY, "d")
            axes.plot([one.over_both.low, one.over_both.high], [place, place], color=colour, lw=5, alpha=0.4)
            axes.plot(one.mean, place, marker, color=colour, ms=10)
            axes.annotate(f"{one.mean:+.3f}", (one.mean, place), (0, 9), textcoords="offset points", ha="center")
        axes.axvline(0, color="black", ls="--", lw=1.5)
        axes.set(xlabel=f"difference in {metric}")
        axes.grid(axis="y", visible=False)
    grid[0, 0].set_yticks(range(len(rows)), list(rows))
    grid[0, 0].set_ylim(len(rows) - 0.5, -0.7)
    figure.suptitle("round and red: separated from 0; grey: not", fontsize=12)
    told = [f"{name}: " + ", ".join(f"{d.metric} {d.mean:+.3f} ({d.verdict})" for d in r) for name, r in rows.items()]
    return figure, "; ".join(told)
