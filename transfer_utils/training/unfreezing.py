"""Unfreezing schedules: which layer groups learn in which epoch, and how the rate goes in each stage."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from ..models.freezing import freeze, unfreeze
from ..models.layer_groups import layer_groups
from .rates import Schedule, one_cycle


@dataclass(frozen=True)
class UnfreezingSchedule:
    """A table from epoch to the number of layer groups that learn, counted from the head.

    ``UnfreezingSchedule({0: 1, 2: 3, 4: 9})`` trains the head, from epoch 2 the last three
    groups, from epoch 4 all nine. Gradual unfreezing: Howard and Ruder 2018, section 3.3.

    The state of a model depends on the epoch alone, so training resumes in the right stage.
    """

    table: dict[int, int]

    def __post_init__(self) -> None:
        if 0 not in self.table or min(self.table) < 0 or min(self.table.values()) < 1:
            raise ValueError(f"The schedule must start at epoch 0 and train one group or more; got {self.table}.")

    def groups_at(self, epoch: int) -> int:
        """Return how many groups learn in ``epoch`` (counted from 0)."""
        return self.table[max(start for start in self.table if start <= epoch)]

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Freeze and unfreeze the groups of ``model`` as ``epoch`` wants it."""
        groups = layer_groups(model)
        count = min(self.groups_at(epoch), len(groups))
        freeze(*groups[: len(groups) - count])
        unfreeze(*groups[len(groups) - count :])

    def own_cycles(self, epochs: int, cycle: Callable[[float], float] = one_cycle) -> Schedule:
        """Return the schedule of rates for ``fit`` in which each stage has a cycle of its own.

        With one cycle over the whole run, the groups that wake late would begin when the rate is falling already.

        Args:
            epochs: of the whole run; stages that begin later are left out.
            cycle: progress of a stage from 0 to 1 -> factor.

        Raises:
            ValueError: ``epochs`` is not positive.

        Example:
            >>> rates = UnfreezingSchedule({0: 1, 2: 9}).own_cycles(4)
            >>> [round(rates(progress), 2) for progress in (0, 0.15, 0.49, 0.5, 0.65, 0.99)]
            [0.04, 1.0, 0.0, 0.04, 1.0, 0.0]
        """
        if epochs < 1:
            raise ValueError(f"The number of epochs must be 1 or more, not {epochs}.")
        starts = [start for start in sorted(self.table) if start < epochs]

        def factor(progress: float) -> float:
            epoch = progress * epochs + 1e-9  # a step that begins a stage may come out just below it
            place = sum(start <= epoch for start in starts)
            start, end = starts[place - 1], [*starts, epochs][place]
            return cycle(min((epoch - start) / (end - start), 1.0))

        return factor
