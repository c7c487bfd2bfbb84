"""Pictures of lesson 09: clouds of points, a permutation test, costs that grow, what alignment reached."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure

from ...data import LabelledImages
from ...evaluation.cost import Cost, repeated_cost
from ...evaluation.intervals import Interval, mean_and_interval
from ...techniques.mmd import SCALES, Distance, gaussian_kernel, mean_kernel, median_bandwidth, mmd
from ...techniques.two_sample_tests import divided, p_value, permutation_test
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


def shuffled(
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], statistic: Distance, xlabel: str, divisions: int
) -> tuple[Figure, str, dict[str, float]]:
    """Draw how a statistic is distributed over random divisions, a panel a pair, and where the real division lies.

    Returns:
        The figure, its alternative text, and the p-value of each pair.
    """
    figure, grid = plt.subplots(1, len(pairs), figsize=(12, 3.8), squeeze=False)
    p = {}
    for axes, (title, two) in zip(grid.flat, pairs.items(), strict=True):
        real, *random = values = divided(statistic, *two, divisions)
        p[title] = p_value(values)
        axes.hist(random, bins=25, color=plots.GREY, alpha=0.6, label="random divisions")
        axes.axvline(real, color=plots.RED, lw=3, label="the real one")
        axes.set(title=f"{title}: p = {p[title]:.3f}", xlabel=xlabel)
    grid[0, 0].set_ylabel("divisions")
    grid[0, -1].legend()
    told = ", ".join(f"{title} {value:.3f}" for title, value in p.items())
    return figure, f"The {xlabel} of random divisions, and of the real one. The p-values: {told}.", p


def bias_of_estimates(counts: Sequence[int], pairs: int) -> tuple[Figure, dict[str, list[Interval]]]:
    """Draw the mean of both estimates of MMD², with its interval, by size, for two samples of one distribution.

    Returns:
        The figure, and for "biased" and "unbiased" one interval a size.
    """
    rows, random = {"biased": [], "unbiased": []}, torch.Generator().manual_seed(0)
    for count in counts:
        draws = torch.randn(pairs, 2, count, 2, generator=random)
        for name, estimates in rows.items():
            values = [float(mmd(x, y, bandwidth=4.0, unbiased=name == "unbiased")) for x, y in draws]
            estimates.append(mean_and_interval(values))
    labels = {"xlabel": "points in each sample (log scale)", "ylabel": "estimate of MMD²"}
    return plots.interval_curves(rows, counts, [0] * len(counts), "the truth", **labels), rows


def by_differences(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the biased MMD² as much code computes it: with a block (N, M, D) of differences for each two samples."""
    width = median_bandwidth(x, y)
    apart = [(a[:, None] - b[None]).square().sum(2) for a, b in ((x, x), (y, y), (x, y))]
    k = [sum(torch.exp(-one / (scale * width)) for scale in SCALES).mean() / len(SCALES) for one in apart]
    return k[0] + k[1] - 2 * k[2]


def costs(sizes: Sequence[int], dimensions: Sequence[int]) -> tuple[Figure, Cost, Cost]:
    """Measure value and gradient of MMD² by all differences and by matrix products, and draw :func:`growth`.

    Returns:
        The figure, and the cost of each at the largest size and dimension.
    """
    found = {}
    for dimension in dimensions:
        for name, way in {"all differences": by_differences, "matrix product": mmd}.items():
            random = torch.Generator().manual_seed(dimension)
            drawn = [torch.randn(2, size, dimension, generator=random).requires_grad_() for size in sizes]
            done = [repeated_cost(lambda two=two, way=way: way(*two).backward(), repeats=5) for two in drawn]
            found[f"{name}, D = {dimension}"] = done
    slow, fast = (of_way[-1] for of_way in list(found.values())[-2:])
    return growth(sizes, found), slow, fast


def witness_and_random(x: torch.Tensor, y: torch.Tensor, width: float, tries: int) -> tuple[float, float]:
    """Return how far apart the witness tells the means of two samples, and the best of ``tries`` random functions.

    All are sums of Gaussians on the points, of length one in the space of the kernel: Gretton et al. 2012, section 2.3.
    """
    together, count = torch.cat([x, y]).double(), len(x)
    kernel = gaussian_kernel(together, together, float(width), (1.0,))
    random = torch.randn(tries, len(together), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    sign = torch.cat([torch.full((len(x),), 1 / len(x)), torch.full((len(y),), -1 / len(y))]).double()
    functions = torch.cat([sign[None], random])  # (1 + tries, N + M) weights on the kernels
    values = functions @ kernel
    apart = values[:, :count].mean(1) - values[:, count:].mean(1)
    apart = apart / (functions * values).sum(1).sqrt()
    return float(apart[0]), float(apart[1:].max())


def power_of_the_test(
    pairs: Mapping[str, tuple[torch.Tensor, torch.Tensor]], counts: Sequence[int], draws: int
) -> tuple[Figure, dict[str, list[float]]]:
    """Draw in which share of ``draws`` the permutation test is significant, by the number of items of each sample."""
    rates: dict[str, list[float]] = {}
    for name, samples in pairs.items():
        random = torch.Generator().manual_seed(0)

        def significant(count: int, samples=samples, random=random) -> bool:
            parts = [sample[torch.randperm(len(sample), generator=random)[:count]] for sample in samples]
            return permutation_test(*parts)[1] <= 0.05

        rates[name] = [float(np.mean([significant(count) for _ in range(draws)])) for count in counts]
    return power(counts, rates, 0.05), rates


def growth(sizes: Sequence[int], costs: Mapping[str, Sequence[Cost]]) -> Figure:
    """Draw milliseconds and megabytes against the size of the batch for several ways, on log scales.

    Less than a megabyte is below what can be measured, and is drawn as one.
    """
    figure, grid = plt.subplots(1, 2, figsize=(11.5, 4.2))
    for place, (name, values) in enumerate(costs.items()):
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "ls": ("-", "--")[place % 2]}
        grid[0].plot(sizes, [1000 * cost.seconds for cost in values], label=name, **style)
        grid[1].plot(sizes, [max(1.0, cost.peak_mb) for cost in values], label=name, **style)
    for axes, what in zip(grid, ("milliseconds (log scale)", "MB beyond the samples (log scale)"), strict=True):
        plots.log_axis(axes, sizes)
        axes.set(yscale="log", xlabel="points in each sample (log scale)", ylabel=what)
    figure.legend(*grid[0].get_legend_handles_labels(), loc="outside upper center", ncols=4)
    return figure


def two_grounds(domains: Mapping[str, LabelledImages], credit: str) -> Figure:
    """Draw each digit once, a row a domain."""
    figure, grid = plt.subplots(len(domains), 10, figsize=(11, 1.25 * len(domains) + 0.6), squeeze=False)
    for row, (name, images) in zip(grid, domains.items(), strict=True):
        plain = images.with_transform(None)
        for digit, axes in enumerate(row):
            axes.imshow(plain[int((images.labels == digit).nonzero()[0])][0])
            axes.set(xticks=[], yticks=[])
        row[0].set_ylabel(name, rotation=0, ha="right", va="center")
    plots.write_credit(figure, credit)
    return figure


def reached(runs: Mapping[str, Mapping[str, Sequence[float]]], xlabel: str, limits: Mapping[str, float]) -> Figure:
    """Draw one row a way and one panel a data set: every seed, the mean and its 95 % interval, the mean in numbers.

    Args:
        runs: title -> way -> one value a seed.
        limits: title -> where guessing is, a dashed line.
    """
    rows = max(map(len, runs.values()))
    figure, grid = plt.subplots(1, len(runs), figsize=(max(8.0, 5.7 * len(runs)), 1.2 + 0.55 * rows), squeeze=False)
    for axes, (title, ways) in zip(grid.flat, runs.items(), strict=True):
        for place, (way, values) in enumerate(ways.items()):
            colour, marker = _style(way, place)
            interval = mean_and_interval(values)
            half = interval.high - interval.mean if np.isfinite(interval.high) else 0
            axes.plot(values, np.full(len(values), place + 0.2), ".", color=colour, alpha=0.5, markersize=6)
            axes.errorbar(interval.mean, place, xerr=half, color=colour, marker=marker, markersize=11, capsize=5)
            white = {"facecolor": "white", "edgecolor": "none", "pad": 0.8, "alpha": 0.8}
            above = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "fontsize": 11, "bbox": white}
            axes.annotate(f"{interval.mean:.3f}", (interval.mean, place), **above)
        axes.axvline(limits[title], color="black", ls="--", lw=1.3)
        inside = {"xytext": (4, 4), "textcoords": "offset points", "fontsize": 11}
        axes.annotate("guessing", (limits[title], len(ways) - 0.5), **inside)
        axes.set_yticks(range(len(ways)), ways)
        axes.set(title=title, xlabel=xlabel, ylim=(len(ways) - 0.4, -0.8))
        axes.margins(x=0.1)
        axes.grid(axis="y", visible=False)
    return figure


def distance_and_accuracy(
    panels: Mapping[str, Mapping[str, tuple[Sequence[float], Sequence[float]]]],
) -> Figure:
    """Draw how far the features of two domains are apart against what is reached on the target, a panel a data set.

    Args:
        panels: title -> way -> (distance, what is reached), one of each a seed; the mean is the large marker.
    """
    figure, grid = plt.subplots(1, len(panels), figsize=(3.8 * len(panels), 5.0), squeeze=False)
    for axes, (title, ways) in zip(grid.flat, panels.items(), strict=True):
        for place, (way, (distance, value)) in enumerate(ways.items()):
            colour, marker = _style(way, place)
            axes.plot(distance, value, ls="none", color=colour, marker=marker, alpha=0.3, markersize=6)
            style = {"ls": "none", "color": colour, "marker": marker, "markersize": 13, "label": way}
            axes.plot(float(np.mean(np.asarray(distance))), float(np.mean(value)), **style)
        axes.set(title=title, xlabel="MMD² between the domains")
    grid[0, 0].set_ylabel("accuracy on the target, balanced for cells")
    found = [axes.get_legend_handles_labels() for axes in grid.flat]
    handles = {label: handle for both in found for handle, label in zip(*both, strict=True)}
    figure.legend(handles.values(), handles, loc="outside upper center", ncols=4)
    return figure


def training(history: Sequence[Mapping[str, float]]) -> tuple[Figure, str]:
    """Draw the loss of the classes and the MMD² of the training batches by epoch, a panel each, with its text."""
    figure, grid = plt.subplots(1, 2, figsize=(11, 3.8))
    rows = [{**row, "loss of the classes": row["train_loss"] - row["train_distance"]} for row in history]
    for axes, key, colour in zip(grid, ("loss of the classes", "train_distance"), (plots.BLUE, plots.RED), strict=True):
        plots.learning_curve(axes, rows, key, color=colour, marker=".")
    grid[1].set_ylabel("MMD² of the batches")
    first, last = history[0]["train_distance"], history[-1]["train_distance"]
    return figure, f"Both fall and flatten; the MMD² of the batches goes from {first:.3f} to {last:.3f}."


def power(counts: Sequence[int], shares: Mapping[str, Sequence[float]], level: float) -> Figure:
    """Draw in which share of the draws a test is significant, by the number of items."""
    figure, axes = plt.subplots(figsize=(8, 4))
    for place, (name, values) in enumerate(shares.items()):
        style = {"color": plots.PALETTE[place], "marker": plots.MARKERS[place], "ls": ("-", "--")[place % 2]}
        axes.plot(counts, values, label=name, **style)
    axes.axhline(level, color="black", ls=":", label="false alarms that the test allows")
    plots.log_axis(axes, counts)
    axes.set(xlabel="items of each sample (log scale)", ylabel="share of draws with p ≤ 0.05", ylim=(-0.03, 1.05))
    axes.legend()
    return figure


def _style(way: str, place: int) -> tuple[str, str]:
    if way == "CORAL with means":
        return plots.GREEN, "<"
    return plots.METHODS.get(way, (plots.PALETTE[place % 7], plots.MARKERS[place % 7]))


def witness(x: torch.Tensor, y: torch.Tensor, bandwidth: float, title: str) -> Figure:
    """Colour the plane by the witness of ``x`` and ``y`` (N, 2), of length one: Gretton et al. 2012, section 2.3."""
    side = torch.linspace(-4, 4, 81)
    plane = torch.cartesian_prod(side, side)
    height = mean_kernel(plane, x, bandwidth, (1.0,)) - mean_kernel(plane, y, bandwidth, (1.0,))
    height = height / mmd(x, y, bandwidth, (1.0,)).clamp_min(1e-12).sqrt()
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


def witness_of_moved(
    x: torch.Tensor, y: torch.Tensor, width_factor: float, moved: float, divisions: int
) -> tuple[Figure, str]:
    """Draw :func:`witness` where ``y`` is moved to the right, with the biased MMD² and its p-value, and its text."""
    y = y + torch.tensor([moved, 0.0])
    width = width_factor * median_bandwidth(x, y)
    values = divided(lambda a, b: mmd(a, b, width, (1.0,)), x, y, divisions)
    title = f"MMD² {values[0]:.4f}, p = {p_value(values):.3f}"
    return witness(x, y, width, title), f"The witness, kernel {width_factor:g} times the median; {title}."
