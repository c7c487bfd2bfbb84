"""Steps: what a technique brings to the training loop.

A step is a function ``(model, batch, state) -> (mean loss over the batch, metrics)``.
Fine-tuning, distillation, domain adaptation: each is one step, and ``fit`` does the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..evaluation.metrics import check_labels
from ..evaluation.predict import call

Metrics = dict[str, float]


@dataclass
class TrainState:
    """Where a run stands. Schedules of any technique depend on ``progress``, which grows every step.

    Attributes:
        step, total_steps: optimizer steps done, and in all.
        epoch, epochs: the same for passes over the data, counted from 0.
    """

    step: int
    total_steps: int
    epoch: int
    epochs: int

    @property
    def progress(self) -> float:
        """Share of the run that is done, from 0 at the first step to 1 after the last."""
        return self.step / self.total_steps


Step = Callable[[nn.Module, Any, TrainState], tuple[torch.Tensor, Metrics]]


def classification_step(model: nn.Module, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
    """Cross-entropy of ``batch = (inputs, labels)``: the step of all ordinary training.

    Raises:
        ValueError: labels that are no class numbers of the model, or features of another width than it takes.
    """
    inputs, labels = batch
    outputs = call(model, inputs)
    outputs, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
    check_labels(labels, outputs.shape[1])
    loss = F.cross_entropy(outputs, labels)
    if auxiliary:  # Inception in training: its second head counts 0.4 (torchvision's recipe)
        loss = loss + 0.4 * F.cross_entropy(auxiliary[0], labels)
    return loss, {"accuracy": float((outputs.argmax(1) == labels).float().mean())}
