"""How items become a batch: what a data set may offer, and the default."""

from __future__ import annotations

from typing import Any

from torch.utils.data import Dataset, TensorDataset, default_collate


def collect(dataset: Dataset, indices: list[int]) -> Any:
    """Return one batch: the items at ``indices``, stacked; a data set with a ``collect`` does it itself."""
    if hasattr(dataset, "collect"):  # texts, which are padded to the longest of their batch
        return dataset.collect(indices)
    if isinstance(dataset, TensorDataset):  # features and other tensors: one look-up, not one an item
        return tuple(tensor[indices] for tensor in dataset.tensors)
    return default_collate([dataset[i] for i in indices])
