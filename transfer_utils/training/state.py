"""Where a run of ``fit`` stands: its result so far, its best weights, and how far the epoch has come."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field

import torch
from torch import nn

from .steps import Metrics


@dataclass
class FitResult:
    """What came out of a run. The weights are in the model that was given to ``fit``.

    Attributes:
        history: one row an epoch, e.g. ``epoch, train_loss, train_accuracy, validation_accuracy``.
        best_epoch: the epoch whose weights the model has now; the last one without validation.
        seconds: time in training and validation, over all sessions.
        peak_mb: what this session added to the memory at its highest, in MB, as ``evaluation/cost.py`` measures it.
        steps: optimizer steps made, over all sessions.
    """

    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    steps: int = 0

    @property
    def best(self) -> Metrics:
        """The row of the history whose weights the model has now."""
        return self.history[self.best_epoch]


class RunState:
    """All that a run needs to go on, beside the weights and the optimizer.

    Attributes:
        result: what ``fit`` will return.
        best_weights: of the best epoch so far, on the CPU; ``None`` without validation.
        sums: metric -> sum over the items of this epoch that this process has seen.
        next_batch: number of the first batch of this epoch that was not yet learned from.
    """

    def __init__(self) -> None:
        self.result = FitResult()
        self.best_weights: dict[str, torch.Tensor] | None = None
        self.sums: Metrics = {}
        self.next_batch = 0

    @property
    def epoch(self) -> int:
        """The epoch that is under way, counted from 0."""
        return len(self.result.history)

    def count(self, metrics: Metrics, items: float) -> None:
        """Add the means over one batch, of so many items, to the sums of the epoch."""
        for name, value in metrics.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * items
        self.result.steps += 1
        self.next_batch += 1

    def end_epoch(self, row: Metrics, model: nn.Module, monitor: str | None) -> None:
        """Write the row of the history; keep the weights where they are the best yet, or nothing is monitored."""
        if monitor:
            value, *earlier = (monitored(one, monitor) for one in (row, *self.result.history))
        if not monitor or not earlier or value > max(earlier):
            self.result.best_epoch = self.epoch
            if monitor:
                weights = model.state_dict().items()
                self.best_weights = {name: value.detach().to("cpu", copy=True) for name, value in weights}
        self.result.history.append(row)
        self.sums, self.next_batch = {}, 0

    def as_dict(self) -> dict:
        """Return everything as plain values and tensors, for a checkpoint."""
        return {
            **asdict(self.result),
            "best_weights": self.best_weights,
            "sums": self.sums,
            "next_batch": self.next_batch,
        }

    def restore(self, saved: dict) -> None:
        """Go back to what :meth:`as_dict` gave."""
        self.result = FitResult(**{name: saved[name] for name in asdict(FitResult())})
        self.best_weights, self.sums, self.next_batch = saved["best_weights"], saved["sums"], saved["next_batch"]


def monitored(row: Metrics, monitor: str) -> float:
    """Return the validation metric that decides, larger is better; ``"-loss"`` is the loss with its sign turned.

    Raises:
        ValueError: the row has no such metric, or it is not a number.
    """
    name = monitor.removeprefix("-")
    if f"validation_{name}" not in row:
        known = ", ".join(key.removeprefix("validation_") for key in row if key.startswith("validation_"))
        raise ValueError(f"There is no metric {monitor!r} to monitor; there are {known}, and each with '-'.")
    value = row[f"validation_{name}"]
    if math.isnan(value):
        raise ValueError(
            f"The validation {name} is not a number, perhaps because a class is absent from the validation data. "
            "Monitor another metric."
        )
    return -value if monitor.startswith("-") else value
