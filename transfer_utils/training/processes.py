"""Training on several processes (``accelerate launch``); on one, nothing here does anything.

Each process learns from its share of every batch, and the gradients are averaged, so the weights stay the same in all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from ..runtime.devices import accelerator
from .steps import Metrics, Step, TrainState

BoundStep = Callable[[Any, TrainState], tuple[torch.Tensor, Metrics]]


class _StepOf(nn.Module):
    """A step together with its model: what PyTorch must see whole to average every gradient."""

    def __init__(self, model: nn.Module, step: Step):
        super().__init__()
        self.model, self.step = model, step

    def forward(self, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        return self.step(self.model, batch, state)


class Processes:
    """This process among those that train together.

    Attributes:
        machine: Accelerate's view: device, precision, backward pass.
        rank, count: which process this is, of how many.
    """

    def __init__(self) -> None:
        self.machine = accelerator()
        self.rank, self.count = self.machine.process_index, self.machine.num_processes

    def bind(self, step: Step, model: nn.Module) -> BoundStep:
        """Return ``step`` with its model; on several processes its gradients are averaged over them.

        The step is wrapped, not the model, so that it may use any part of the model (DANN: body, head and domain
        classifier). Bound anew each epoch, because what is frozen may have changed.
        """
        if self.count == 1:
            return lambda batch, state: step(model, batch, state)
        gpu = [self.machine.device] if self.machine.device.type == "cuda" else None
        return DistributedDataParallel(_StepOf(model, step), device_ids=gpu, find_unused_parameters=True)

    def total(self, sums: Metrics) -> Metrics:
        """Return the sums over all processes."""
        from accelerate.utils import gather_object

        everyone = gather_object([sums])
        return {name: sum(part.get(name, 0.0) for part in everyone) for name in everyone[0]}

    def any(self, *wishes: bool) -> tuple[bool, ...]:
        """Return for each wish whether a process has it: clocks differ, so all decide together."""
        from accelerate.utils import gather_object

        return tuple(map(any, zip(*gather_object([wishes]), strict=True)))

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the BatchNorm statistics of the first, which is the one that is saved."""
        from accelerate.utils import broadcast

        if self.count > 1:
            for buffer in model.buffers():
                buffer.copy_(broadcast(buffer))
