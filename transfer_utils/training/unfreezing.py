"""Unfreezing schedules: which layer groups learn in which epoch."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

from ..models.freezing import freeze, unfreeze
from ..models.layer_groups import layer_groups


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
