"""Pictures of lesson 02: a search for the learning rate, curves of training, what frozen layers save; rates, for 15."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from ...data import LabelledImages
from ...evaluation.cost import training_memory_mb, training_step_seconds
from ...evaluation.intervals import Interval
from ...models.freezing import freeze
from ...models.layer_groups import layer_groups
from .. import plots


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


def rate_search(
    rates: Sequence[float], precision: Mapping[str, Sequence[Interval]], level: float
) -> tuple[Figure, str]:
    """Draw average precision on validation over the learning rates, a line an arm, with 95 % intervals over the cells.

    Args:
        rates: of the body.
        precision: arm -> one interval for each rate.
        level: what a random order of the cells reaches, a dotted line.

    Returns:
        The figure, and in words what it shows.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.4))
    for place, (arm, intervals) in enumerate(precision.items()):
        style = {"color": (plots.RED, plots.GREEN)[place], "marker": plots.MARKERS[place + 1], "label": arm}
        plots.points(
            axes, [rate * 1.08 ** (2 * place - 1) for rate in rates], intervals, ls=("-", "--")[place], **style
        )
    axes.axhline(level, color="black", ls=":", lw=1.5, label="random order")
    plots.log_axis(axes, rates)
    axes.set(
        xlabel="highest learning rate of the body (log scale)", ylabel="average precision, validation", ylim=(0, 1)
    )
    axes.legend(loc="lower left")
    ends = "; ".join(f"{arm} " + ", ".join(f"{one.mean:.2f}" for one in row) for arm, row in precision.items())
    return figure, f"Average precision on validation over the learning rate, from low to high: {ends}."


def one_run(history: Sequence[Mapping[str, float]], best: int) -> Figure:
    """Draw accuracy and loss of one run by epoch, with a circle where the weights were kept.

    Args:
        history: rows with ``accuracy``, ``loss`` (both on validation) and ``training loss``.
        best: the epoch whose weights were kept, counted from 0.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
    plots.learning_curve(left, history, "accuracy", best, color=plots.RED, marker="s")
    plots.learning_curve(right, history, "training loss", color=plots.GREY, ls="--", marker="^", label="training")
    plots.learning_curve(right, history, "loss", best, color=plots.RED, marker="s", label="validation")
    left.set(ylabel="validation accuracy")
    right.set(ylabel="loss", ylim=(0, None))
    right.plot([], [], "o", ms=12, mfc="none", mec="black", label="weights kept")
    right.legend()
    return figure


def curves_of_arms(arms: Mapping[str, Mapping[str, np.ndarray]]) -> Figure:
    """Draw validation accuracy and both losses by epoch, mean and band over the seeds.

    Args:
        arms: arm -> ``accuracy``, ``loss`` and ``training loss``, each (seeds, epochs).
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11.5, 4.4))
    for place, (name, arm) in enumerate(arms.items()):
        style = {"color": (plots.RED, plots.GREEN)[place], "marker": plots.MARKERS[place + 1], "dots": False}
        epochs = range(1, len(arm["loss"][0]) + 1)
        plots.band(left, epochs, arm["accuracy"], label=name, **style)
        plots.band(right, epochs, arm["loss"], label=f"{name}: validation", **style)
        plots.band(right, epochs, arm["training loss"], ls="--", label=f"{name}: training", **style | {"marker": ""})
    left.set(xlabel="epoch", ylabel="validation accuracy")
    right.set(xlabel="epoch", ylabel="loss", ylim=(0, None))
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.legend(fontsize=10, handlelength=3.5)
    return figure


def freeze_costs(make: Callable[[], nn.Module], images: Tensor, upper: nn.Module, stored: Tensor) -> list[dict]:
    """Measure a training step with the first 0, 1, 2, ... groups frozen, and last one of the upper half alone.

    Args:
        make: returns a fresh network with a new head.
        images: (N, 3, height, width).
        upper, stored: the upper half, and activations of N images for it.

    Returns:
        For each: ``milliseconds``, ``MB`` of a step, and ``millions`` of parameters that learn.
    """
    found = []
    for frozen in range(len(layer_groups(make()))):
        network = make()
        freeze(*layer_groups(network)[:frozen])
        found.append(_cost_of_a_step(network.train(), images))
    return [*found, _cost_of_a_step(upper.train(), stored)]


def _cost_of_a_step(network: nn.Module, inputs: Tensor) -> dict[str, float]:
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    labels = torch.arange(len(inputs)) % 2
    seconds = training_step_seconds(network, torch.optim.AdamW(learning), inputs, labels, repeats=2)
    megabytes = sum(training_memory_mb(network, inputs).values())
    millions = sum(parameter.numel() for parameter in learning) / 1e6
    return {"milliseconds": 1000 * seconds, "MB": megabytes, "millions": millions}


def freeze_dial(groups: Sequence[str], costs: Sequence[Mapping[str, float]], k: int) -> tuple[Figure, str]:
    """Draw time, memory and trainable parameters of a step over the number of frozen groups, and mark ``k``.

    Args:
        groups: their names, from the stem to the head.
        costs: from :func:`freeze_costs`; its last, the upper half on stored activations, is a dashed line.

    Returns:
        The figure, and in words what it shows.
    """
    figure, grid = plt.subplots(1, 3, figsize=(12, 4.2))
    *whole, stored = costs
    titles = {"milliseconds": "time of a step", "MB": "memory of a step", "millions": "parameters that learn"}
    for axes, (unit, title), colour in zip(grid, titles.items(), plots.PALETTE, strict=False):
        axes.plot(range(len(whole)), [one[unit] for one in whole], color=colour, marker="o", label="whole network")
        axes.plot(k, whole[k][unit], "o", ms=16, mfc="none", mec="black", mew=2, ls="none", label=f"{k} frozen")
        axes.axhline(stored[unit], color=plots.GREY, ls="--", label="upper half, stored")
        axes.set(title=title, ylabel=unit, xlabel="groups frozen, from the stem", xticks=range(len(whole)))
        axes.set_ylim(bottom=0)
    grid[0].legend(fontsize=10)
    figure.suptitle(f"{k} groups frozen; these learn: {', '.join(groups[k:])}", fontsize=12)
    here = ", ".join(f"{value:.1f} {unit}" for unit, value in whole[k].items())
    return figure, f"Time, memory and trained parameters of a step by the number of frozen groups; with {k}: {here}."


def flips_of(images: LabelledImages, credit: str) -> Figure:
    """Draw a defective cell of each kind of silicon in its four flips, a row each.

    Args:
        images: of ELPV: their ``extra`` holds ``module_type``.
    """
    steps = {"as it is": (1, 1), "left and right": (1, -1), "top and bottom": (-1, 1), "both": (-1, -1)}
    plain, pictures = images.with_transform(None), {}
    for kind in ("mono", "poly"):
        found = np.flatnonzero((images.labels.numpy() == 1) & (images.extra["module_type"] == kind))
        cell = np.asarray(plain[int(found[len(found) // 2])][0])
        pictures |= {f"{kind}, {flip}": cell[::down, ::across] for flip, (down, across) in steps.items()}
    return plots.picture_row(pictures, columns=4, credit=credit)


def under_changes(
    images: LabelledImages, changes: Mapping[str, Callable], scores: Mapping[str, Tensor], credit: str
) -> tuple[Figure, str]:
    """Draw a monocrystalline cell under each change, with the probability of a defect, class 1, that a network gives.

    Args:
        changes: name -> function of a PIL image.
        scores: name -> scores (1, N, 2) of all images under that change.

    Returns:
        The figure, and in words what it shows.
    """
    mono = np.flatnonzero(images.extra["module_type"] == "mono")
    index = int(mono[len(mono) // 2])
    picture = images.with_transform(None)[index][0]
    shown = {f"{name}: {scores[name][0, index].softmax(0)[1]:.2f}": change(picture) for name, change in changes.items()}
    figure = plots.picture_row(shown, columns=len(shown), credit=credit)
    return (
        figure,
        f"One defective cell under {len(shown)} changes, with the probability of a defect: {', '.join(shown)}.",
    )
