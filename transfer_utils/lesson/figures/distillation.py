"""Pictures of lesson 13: soft answers of a teacher."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import torch
from matplotlib.figure import Figure
from PIL import Image

from .. import plots


def soft_answers(
    photograph: Image.Image, answers: dict[float, torch.Tensor], words: Sequence[str], count: int = 6
) -> Figure:
    """Draw a photograph, and beside it the most probable names at each temperature.

    Args:
        answers: temperature -> probabilities (C,).
        words: C names.
    """
    figure, (left, *panels) = plt.subplots(1, 1 + len(answers), figsize=(12, 1.4 + 0.34 * count))
    left.imshow(photograph)
    left.axis("off")
    for axes, (temperature, probability) in zip(panels, answers.items(), strict=True):
        top = torch.topk(probability, count)
        axes.barh([words[i] for i in top.indices.tolist()][::-1], top.values.tolist()[::-1], color=plots.BLUE)
        axes.set(xlabel="probability", title=f"temperature {temperature:g}", xlim=(0, 1.1 * float(top.values[0])))
        axes.grid(axis="y", visible=False)
    return figure
