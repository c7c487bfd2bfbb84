"""Batches that can be made again: each is a function of the seed, the epoch and its number.

The order of an epoch and the augmentation of its images do not depend on what ran
before, so a run that was killed goes on with exactly the batches it would have seen,
whatever the number of worker processes.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from ..data.batching import collect, item_lengths, ordered_loader
from ..runtime.seeding import generator, named_seed, set_seed

POOL = 8  # batches sorted by length together: more saves more padding, and mixes less


def batch_bounds(count: int, batch_size: int) -> list[tuple[int, int]]:
    """Return start and end of each batch of an epoch over ``count`` items.

    All items are used. A last batch of one item joins the batch before it, because
    BatchNorm has no variance for a single image.

    Raises:
        ValueError: there are no items, or the batch size is not positive.
    """
    if count == 0:
        raise ValueError("The training data is empty: there is nothing to learn from.")
    if batch_size < 1:
        raise ValueError(f"The batch size must be 1 or more, not {batch_size}.")
    if batch_size > count:
        warnings.warn(f"The batch size {batch_size} is larger than the data; using all {count} items.", stacklevel=3)
    starts = list(range(0, count, batch_size))
    if len(starts) > 1 and count - starts[-1] == 1 and batch_size > 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], count], strict=True))


def similar_lengths(order: list[int], lengths: Sequence[int], bounds: list[tuple[int, int]], pool: int) -> list[int]:
    """Return a random ``order`` rearranged so that the items of a batch are of similar length.

    Texts are padded to the longest of their batch, and the padding is computed with. So ``pool`` batches are
    taken at a time and their items sorted by length, and the batches of the pool are visited in random order,
    that of their first items in ``order``. What is together in a pool is still drawn anew each epoch.

    Args:
        bounds: start and end of each batch; all but the last have the same size.
    """
    arranged: list[int] = []
    for first in range(0, len(bounds), pool):
        inside = bounds[first : first + pool]
        drawn = order[inside[0][0] : inside[-1][1]]
        ordered = sorted(drawn, key=lambda i: lengths[i])
        batches = [ordered[start - inside[0][0] : end - inside[0][0]] for start, end in inside]
        full, odd = [b for b in batches if len(b) == len(batches[0])], [b for b in batches if len(b) != len(batches[0])]
        place = {item: i for i, item in enumerate(drawn)}
        full.sort(key=lambda batch: place[batch[0]])
        arranged += [item for batch in full + odd for item in batch]
    return arranged


class TrainingBatches(Dataset):
    """The batches of one epoch; item ``i`` is ``(batch i of this process, its share of the whole batch)``.

    Where items have lengths, batches are made of items of similar length.

    Args:
        dataset: items to draw from.
        batch_size: items in a batch, over all processes together.
        seed, epoch: decide order and augmentation.
        rank, processes: which process this is, of how many.
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int, epoch: int, rank: int = 0, processes: int = 1):
        self.dataset, self.seed, self.epoch, self.rank, self.processes = dataset, seed, epoch, rank, processes
        self.order = torch.randperm(len(dataset), generator=generator(seed, "order", epoch)).tolist()
        self.bounds = batch_bounds(len(dataset), batch_size)
        if (lengths := item_lengths(dataset)) is not None:
            self.order = similar_lengths(self.order, lengths, self.bounds, pool=POOL)

    def __len__(self) -> int:
        return len(self.bounds)

    def __getitem__(self, number: int) -> tuple[Any, float]:
        start, end = self.bounds[number]
        whole = self.order[start:end]
        mine = whole[self.rank :: self.processes]
        set_seed(named_seed(self.seed, "augmentation", self.epoch, number, self.rank))
        # A process left without an item still takes part in the step, with an item that counts for nothing.
        return collect(self.dataset, mine or whole[:1]), len(mine) / len(whole)

    def size(self, number: int) -> int:
        """Return how many items batch ``number`` has, over all processes together."""
        start, end = self.bounds[number]
        return end - start

    def loader(self, first: int = 0, workers: int = 0, device: torch.device | None = None) -> DataLoader:
        """Return the batches from number ``first`` on, prepared by ``workers`` extra processes for ``device``."""
        return ordered_loader(self, range(first, len(self)), workers, device)


class BatchOrder:
    """The batches that ``fit`` draws, as indices, for a ``DataLoader`` of one's own; each pass is the next epoch.

    With it a loop written by hand sees what ``fit(..., batch_size=batch_size, seed=seed)`` sees.

    Args:
        dataset: the items to learn from.
        batch_size: items in a batch.
        seed: decides the order of every epoch.

    Example:
        >>> numbers = torch.utils.data.TensorDataset(torch.arange(5.0))
        >>> loader = DataLoader(numbers, batch_sampler=BatchOrder(numbers, 2, seed=0))
        >>> [len(batch) for (batch,) in loader]     # BatchNorm has no variance for a single item
        [2, 3]
    """

    def __init__(self, dataset: Dataset, batch_size: int, seed: int):
        self.dataset, self.batch_size, self.seed, self.epoch = dataset, batch_size, seed, 0

    def __len__(self) -> int:
        return len(batch_bounds(len(self.dataset), self.batch_size))

    def __iter__(self) -> Iterator[list[int]]:
        batches = TrainingBatches(self.dataset, self.batch_size, self.seed, self.epoch)
        self.epoch += 1
        yield from (batches.order[start:end] for start, end in batches.bounds)
