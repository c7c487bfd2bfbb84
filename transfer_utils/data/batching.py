"""How items become a batch: what a data set may bring for that, and what happens where it brings nothing."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch.utils.data import DataLoader, Dataset, Subset, TensorDataset, default_collate


@runtime_checkable
class Batched(Protocol):
    """A data set that puts its own batches together, such as texts, which are padded to the longest of their batch.

    Any class with these two methods is one; to inherit from it brings the default of the second. A data set without
    them is batched by PyTorch's ``default_collate``.
    """

    def collect(self, indices: Sequence[int]) -> Any:
        """Return one batch: the items at ``indices``, put together."""
        ...

    def item_lengths(self) -> Sequence[int] | None:
        """Return how long each item is, so that batches can be of similar length; ``None`` where all are alike."""
        return None


def collect(dataset: Dataset, indices: Sequence[int]) -> Any:
    """Return one batch: the items at ``indices``, put together as the data set wants it.

    Example:
        >>> collect([(1.0, 0), (2.0, 1)], [1, 0])
        [tensor([2., 1.], dtype=torch.float64), tensor([1, 0])]
    """
    indices = list(indices)
    if isinstance(dataset, Batched):
        return dataset.collect(indices)
    if isinstance(dataset, Subset):
        return collect(dataset.dataset, [dataset.indices[i] for i in indices])
    if isinstance(dataset, TensorDataset):  # features and other tensors: one look-up, not one an item
        return tuple(tensor[indices] for tensor in dataset.tensors)
    return default_collate([dataset[i] for i in indices])


def item_lengths(dataset: Dataset) -> Sequence[int] | None:
    """Return the length of every item where they differ, else ``None``."""
    if isinstance(dataset, Batched):
        return dataset.item_lengths()
    if isinstance(dataset, Subset) and (lengths := item_lengths(dataset.dataset)) is not None:
        return [lengths[i] for i in dataset.indices]
    return None


def ordered_loader(
    batches: Dataset, numbers: Sequence[int], workers: int = 0, device: torch.device | None = None
) -> DataLoader:
    """Return the items of ``batches`` (whole batches) at ``numbers``, in that order, prepared ahead by processes.

    For a GPU they are put into pinned memory, from which they are copied while the GPU computes. The global random
    numbers are left alone.
    """
    # Inherited or not, workers leave Ctrl-C to the main process, which lets the step end and saves.
    pinned = device is not None and device.type == "cuda"
    own = torch.Generator()  # or the loader would draw from the global one
    return DataLoader(
        batches, None, sampler=numbers, num_workers=workers, pin_memory=pinned, generator=own,
        worker_init_fn=_ignore_interrupts,
    )  # fmt: skip


def _ignore_interrupts(worker: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def all_finite(batch: Any) -> bool:
    """Return whether no tensor of a batch (tensors in tuples, lists and dictionaries) holds NaN or infinity."""
    if isinstance(batch, torch.Tensor):
        return not batch.is_floating_point() or bool(torch.isfinite(batch).all())
    if isinstance(batch, dict):
        return all(map(all_finite, batch.values()))
    return all(map(all_finite, batch)) if isinstance(batch, (list, tuple)) else True
