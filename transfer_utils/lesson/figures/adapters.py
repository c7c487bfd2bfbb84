"""Pictures of lessons 06 and 07: where adapters stand, methods by what learns, LoRA and its ranks."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from .. import plots


def accuracy_and_parameters(rows: dict[str, dict], baseline: float) -> Figure:
    """Draw accuracy against the number of parameters that learn, one method a point, each run a dot.

    Args:
        rows: method -> ``parameters`` and ``runs`` (accuracies, one a seed).
        baseline: accuracy of the majority class.
    """
    figure, axes = plt.subplots(figsize=(8.5, 4.6))
    for method, row in rows.items():
        style = plots.method_style(method)
        axes.plot([row["parameters"]] * len(row["runs"]), row["runs"], ".", color=style["color"], ms=6, alpha=0.7)
        axes.plot(row["parameters"], np.mean(row["runs"]), ls="", ms=11, **style)
    axes.axhline(baseline, color="black", ls="--", lw=1.5)
    axes.annotate("more frequent name", (1, baseline), xycoords=("axes fraction", "data"), xytext=(-4, 4),
                  textcoords="offset points", ha="right", fontsize=11)  # fmt: skip
    axes.set(xscale="log", xlabel="parameters that learn (log scale)", ylabel="test accuracy")
    axes.legend(loc="center right", fontsize=11)
    return figure


def lora_explorer(counts: dict[str, int], matrices: int, values: np.ndarray, rank: float) -> Figure:
    """Draw how many parameters learn, and the singular values of a learned update.

    Args:
        counts: name -> number of parameters, drawn as bars on a log scale.
        matrices: how many weight matrices have a LoRA beside them.
        values: singular values of one update, the largest first.
        rank: effective rank of that update.
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4))
    bars = left.barh(list(counts), list(counts.values()), color=[plots.PINK, plots.RED])
    left.bar_label(bars, [f"{count:,}" for count in counts.values()], padding=4, fontsize=11)
    left.set(xscale="log", xlim=(1e3, 1e9), xlabel="parameters (log scale)", title=f"{matrices} matrices changed")
    left.grid(axis="y", visible=False)
    right.bar(range(1, len(values) + 1), values, color=plots.PINK)
    right.set(xlabel="direction", ylabel="singular value", title=f"One learned update: effective rank {rank:.1f}")
    right.xaxis.get_major_locator().set_params(integer=True)
    return figure


def adapter_places() -> Figure:
    """Draw one transformer layer as boxes, from its input at the bottom, with its two adapters."""
    boxes = [("multi-head attention", plots.SKY), ("adapter", plots.GREEN), ("sum, LayerNorm", "white"),
             ("two dense layers", plots.SKY), ("adapter", plots.GREEN), ("sum, LayerNorm", "white")]  # fmt: skip
    figure, axes = plt.subplots(figsize=(7, 5.2))
    for level, (name, colour) in enumerate(boxes):
        axes.add_patch(plt.Rectangle((0, level), 4, 0.62, facecolor=colour, edgecolor="black", alpha=0.75))
        axes.text(2, level + 0.31, name, ha="center", va="center")
        axes.annotate("", (2, level), (2, level - 0.38), arrowprops={"arrowstyle": "->", "lw": 1.8})
    for start, end in ((-0.2, 2.31), (2.81, 5.31)):  # the input of each part goes round it, to its sum
        axes.plot([2, 4.8, 4.8], [start, start, end], color="black", lw=1.5)
        axes.annotate("", (4, end), (4.8, end), arrowprops={"arrowstyle": "->", "lw": 1.5})
    axes.text(5, 1.1, "blue: frozen\ngreen: learns\nwhite: the norm learns", va="center")
    axes.set(xlim=(-0.2, 7.4), ylim=(-0.6, 5.9))
    axes.axis("off")
    return figure


def by_rate(rates: Sequence[float], ends: dict[str, list]) -> Figure:
    """Draw validation accuracy by learning rate, a line a method, each seed a dot.

    Args:
        ends: method -> one sequence of accuracies, one a seed, for each rate.
    """
    figure, axes = plt.subplots(figsize=(8, 4.2))
    for method, values in ends.items():
        plots.band(axes, rates, np.array([np.asarray(v) for v in values]).T, **plots.method_style(method))
    axes.set(xlabel="learning rate (log scale)", ylabel="validation accuracy")
    plots.log_axis(axes, rates)
    axes.legend()
    return figure
