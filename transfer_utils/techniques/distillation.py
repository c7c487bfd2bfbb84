"""Distillation: a student that learns what a teacher says, not only what is right (Hinton et al. 2015).

soft = teacher_outputs(teacher, cells.train)                       # once, cached
fit(student, TransferSet(cells.train, soft), cells.validation, epochs=20, step=Distillation(temperature=4.0))
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ..data import Labelled
from ..data.batching import Batched, collect, item_lengths
from ..data.fingerprints import fingerprint
from ..runtime.digests import weights_digest
from ..training.steps import Metrics, TrainState
from .features import stored_outputs


def soft_targets(logits: torch.Tensor, temperature: float) -> torch.Tensor:
    """Return ``softmax(logits / T)``, (N, C): the larger T, the more of the second-best answers is seen.

    Raises:
        ValueError: the temperature is not positive.
    """
    if temperature <= 0:
        raise ValueError(f"The temperature must be larger than 0, not {temperature}.")
    return (logits / temperature).softmax(-1)


def distillation_loss(student: torch.Tensor, teacher: torch.Tensor, temperature: float = 4.0) -> torch.Tensor:
    """Return ``T**2`` times KL(teacher || student), both softened, mean over the batch (Hinton et al. 2015, section 2).

    The gradient of the softened divergence shrinks with ``1 / T**2``; the factor keeps its size. The mean is over
    the N rows (``batchmean``): ``mean`` would divide by the number of classes once more.

    Args:
        student, teacher: logits (N, C).

    Raises:
        ValueError: the shapes differ: a teacher with other classes cannot be imitated.
    """
    if student.shape != teacher.shape:
        raise ValueError(
            f"The student's scores are {tuple(student.shape)}, the teacher's {tuple(teacher.shape)}. Both must "
            "score the same items and the same classes, in the same order."
        )
    log_student = (student / temperature).log_softmax(-1)
    return F.kl_div(log_student, soft_targets(teacher, temperature), reduction="batchmean") * temperature**2


@dataclass(frozen=True)
class Distillation:
    """A step for ``fit``: ``share`` of :func:`distillation_loss`, the rest cross-entropy with the labels.

    Its batches come from :class:`TransferSet`: ``(inputs, (labels, teacher's logits))``.

    Attributes:
        temperature: T.
        share: weight of the teacher, from 0 (labels only) to 1 (no label is looked at).
    """

    temperature: float = 4.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"The teacher's share must be between 0 and 1, not {self.share}.")
        soft_targets(torch.zeros(1), self.temperature)

    def __call__(self, model: nn.Module, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        """Return the loss and how often student and teacher agree."""
        inputs, (labels, teacher) = batch
        student = model(inputs)
        loss = self.share * distillation_loss(student, teacher, self.temperature)
        if self.share < 1:
            loss = loss + (1 - self.share) * F.cross_entropy(student, labels)
        return loss, {"agreement": float((student.argmax(1) == teacher.argmax(1)).float().mean())}


class TransferSet(Dataset, Batched):
    """A data set with what a teacher says of each item: ``(input, (label, teacher's logits))`` (Hinton et al. 2015).

    Args:
        data: items ``(input, label)``, as the student is to see them. Labels are passed on; whether they are
            looked at is the step's affair.
        teacher: logits (N, C), in the order of ``data``.

    Raises:
        ValueError: the teacher did not score each item once.
    """

    def __init__(self, data: Dataset, teacher: torch.Tensor):
        if len(data) != len(teacher):
            raise ValueError(f"The teacher scored {len(teacher)} items, the data has {len(data)}.")
        self.data, self.teacher = data, teacher

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Any, tuple[Any, torch.Tensor]]:
        inputs, label = self.data[index]
        return inputs, (label, self.teacher[index])

    def collect(self, indices: Sequence[int]) -> tuple[Any, tuple[torch.Tensor, torch.Tensor]]:
        """Return one batch, as the data set below makes it."""
        inputs, labels = collect(self.data, indices)
        return inputs, (labels, self.teacher[list(indices)])

    def item_lengths(self) -> Sequence[int] | None:
        """Return the lengths of the items below."""
        return item_lengths(self.data)

    def fingerprint(self) -> str:
        """Return a text that changes with an item or with what the teacher says of it."""
        return f"{fingerprint(self.data)} {weights_digest([('teacher', self.teacher)])}"


def teacher_outputs(teacher: nn.Module, data: Labelled, *, progress: str = "asking the teacher") -> torch.Tensor:
    """Return the teacher's logits (N, C) for every item, in ``eval()`` mode, computed once and cached on disk.

    The student's images may be smaller, as long as the items and their order are the same. For students that
    see augmented images the teacher says what it says of the plain ones.

    Raises:
        ValueError: the transform is random or missing.
    """
    return stored_outputs(teacher, data, progress=progress)
