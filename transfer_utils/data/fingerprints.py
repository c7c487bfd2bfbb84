"""Which data is this? A text that changes when an item, a label, the order or the transform does."""

from __future__ import annotations

import hashlib
import re
from typing import Protocol, runtime_checkable

from torch.utils.data import Dataset, Subset, TensorDataset

from ..runtime.digests import weights_digest


@runtime_checkable
class Fingerprinted(Protocol):
    """A data set that knows what makes it unmistakable."""

    def fingerprint(self) -> str:
        """Return a text that changes when any item, any label or their order does."""
        ...


def fingerprint(dataset: Dataset | None) -> str:
    """Return a short hash of a data set and its transform; the same in every process.

    Of a data set of any other class only class and size are known. Functions in a transform count by their name.

    Example:
        >>> import torch
        >>> ones, twos = (TensorDataset(torch.full((3,), value)) for value in (1, 2))
        >>> fingerprint(ones) == fingerprint(twos)
        False
    """
    return hashlib.sha256(_description(dataset).encode()).hexdigest()[:16]


def _description(dataset: Dataset | None) -> str:
    kind = type(dataset).__name__
    if dataset is None:
        return kind
    if isinstance(dataset, Fingerprinted):
        transform = re.sub(r" at 0x[0-9a-f]+", "", repr(getattr(dataset, "transform", None)))
        return f"{kind} {dataset.fingerprint()} {transform}"
    if isinstance(dataset, Subset):
        return f"{kind} {list(dataset.indices)} of {_description(dataset.dataset)}"
    if isinstance(dataset, TensorDataset):
        return f"{kind} {weights_digest((str(i), tensor) for i, tensor in enumerate(dataset.tensors))}"
    return f"{kind} of {len(dataset)}"
