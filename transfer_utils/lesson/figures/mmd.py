"""Pictures of lesson 09: clouds of points, a permutation test, kernels that are too narrow, costs that grow."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...data import LabelledImages
from ...techniques.mmd import SCALES, mean_kernel
from .. import plots


def clouds(pairs: dict[str, tuple[torch.Tensor, torch.Tensor]]) -> Figure:
    """Draw two clouds of points (N, 2) in a panel each."""
    figure, grid = plt.subplots(1, len(pairs), figsize=(12, 4.3), sharex=True, sharey=True)
    for axes, (title, (x, y)) in zip(grid, pairs.items(), strict=True):
        axes.scatter(*x.T, s=22, color=plots.BLUE, alpha=0.7, label="x")
        axes.scatter(*y.T, s=22, color=plots.RED, alpha=0.7, marker="^", label="y")
        axes.set(title=title, xlabel="first feature", aspect="equal")
    grid[0].set_ylabel("second feature")
    grid[-1].legend()
    return figure


def shuffled(values: dict[str, Sequence[float]], xlabel: str) -> Figure:
    """Draw how a statistic is distributed over random divisions, a panel each, and where the real division lies.

    Args:
        values: title -> the value of the real division first, then those of the random ones.
    """
    figure, grid = plt.subplots(1, len(values), figsize=(12, 3.6))
    for axes, (title, (real, *random)) in zip(grid, values.items(), strict=True):
        axes.hist(random, bins=25, color=plots.GREY, alpha=0.6, label="random divisions")
        axes.axvline(real, color=plots.RED, lw=3, label="the real one")
        axes.set(title=title, xlabel=xlabel)
    grid[0].set_ylabel("divisions")
    grid[-1].legend()
    return figure


def gradient_by_bandwidth(bandwidths: Sequence[float], lengths: dict[str, Sequence[float]], median: float) -> Figure:
    """Draw the length of the gradient against the bandwidth for several kernels, both on log scales.

    A gradient of exactly 0 has no place on a log scale; the line begins where it is larger.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.2))
    for place, (name, values) in enumerate(lengths.items()):
        shown = np.where(np.asarray(values) > 0, values, np.nan)
        axes.plot(bandwidths, shown, color=plots.PALETTE[place], ls=("-", "--")[place % 2], label=name)
    axes.axvline(median, color="black", ls=":", lw=2, label="median squared distance")
    axes.axvline(1, color=plots.GREY, ls="-.", lw=2, label="γ = 1")
    axes.set(xscale="log", yscale="log", xlabel="bandwidth (log scale)", ylabel="length of the gradient (log scale)")
    axes.legend(fontsize=11)
    return figure


def growth(sizes: Sequence[int], seconds: dict[str, Sequence[float]]) -> Figure:
    """Draw milliseconds against the size of the batch for several ways, both on log scales."""
    figure, axes = plt.subplots(figsize=(8.5, 4))
    for place, (name, values) in enumerate(seconds.items()):
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "label": name}
        axes.plot(sizes, 1000 * np.asarray(values), **style)
    plots.log_axis(axes, sizes)
    axes.set(yscale="log", xlabel="features of each domain (log scale)", ylabel="ms (log scale)")
    axes.legend()
    return figure


def pairs_of_digits(domains: dict[str, LabelledImages], per_domain: int = 10) -> Figure:
    """Draw each digit once, a row a domain."""
    figure, grid = plt.subplots(len(domains), per_domain, figsize=(12, 1.35 * len(domains) + 0.4))
    for row, (name, images) in zip(grid, domains.items(), strict=True):
        plain = images.with_transform(None)
        for digit, axes in enumerate(row):
            axes.imshow(plain[int((images.labels == digit).nonzero()[0])][0], cmap="gray")
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    return figure


def witness(x: torch.Tensor, y: torch.Tensor, bandwidth: float, title: str) -> Figure:
    """Colour the plane by where a kernel sees more of ``x`` than of ``y`` (N, 2): Gretton et al. 2012, section 2.3."""
    side = torch.linspace(-4, 4, 81)
    plane = torch.cartesian_prod(side, side)
    height = mean_kernel(plane, x, bandwidth, SCALES) - mean_kernel(plane, y, bandwidth, SCALES)
    height = height.view(81, 81).T.numpy()
    most = max(float(np.abs(height).max()), 1e-9)
    figure, axes = plt.subplots(figsize=(7.5, 5.6))
    shown = axes.contourf(side, side, height, levels=np.linspace(-most, most, 21), cmap="PuOr")
    axes.scatter(*x.T, s=20, color=plots.BLUE, label="x", edgecolor="white", lw=0.5)
    axes.scatter(*y.T, s=24, color=plots.RED, marker="^", label="y", edgecolor="white", lw=0.5)
    axes.set(xlabel="first feature", ylabel="second feature", aspect="equal", title=title, xlim=(-4, 4), ylim=(-4, 4))
    axes.legend(loc="upper left")
    figure.colorbar(shown, label="more of x (above 0), more of y (below)", format="%.2f")
    return figure
