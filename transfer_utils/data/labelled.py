"""What all data sets of the course share: labels, draws, and three splits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np
import torch
from torch.utils.data import Dataset

from ..runtime.seeding import named_seed


class Labelled(Dataset):
    """Items with integer labels, and a transform that is applied on the way out.

    A frozen dataclass below has ``labels`` (int64 tensor (N,)), ``class_names``, ``transform``,
    and ``subset(indices)``, which returns the items at ``indices`` in that order.
    """

    labels: torch.Tensor
    class_names: tuple[str, ...]
    transform: Callable[[Any], Any] | None

    def __len__(self) -> int:
        return len(self.labels)

    def check_labels(self, items: int, kind: str) -> None:
        """Raise ``ValueError`` unless there is one label for each of ``items``, within the classes."""
        if items != len(self.labels):
            raise ValueError(f"{items} {kind} came with {len(self.labels)} labels.")
        low, high = (int(self.labels.min()), int(self.labels.max())) if len(self.labels) else (0, 0)
        if low < 0 or high >= len(self.class_names):
            raise ValueError(
                f"Labels run from {low} to {high}, but there are {len(self.class_names)} classes "
                f"({', '.join(self.class_names)}), so labels must be 0 to {len(self.class_names) - 1}."
            )

    def with_transform(self, transform: Callable[[Any], Any] | None) -> Self:
        """Return the same items with another transform."""
        return replace(self, transform=transform)

    def sample_indices(self, count: int, seed: int) -> np.ndarray:
        """Return ``count`` indices drawn at random, every class in its own proportion, at least one of each.

        Raises:
            ValueError: ``count`` is larger than the data, or smaller than the number of classes.
        """
        if not len(self.class_names) <= count <= len(self):
            raise ValueError(f"Cannot draw {count} items: there are {len(self)}, in {len(self.class_names)} classes.")
        return stratified_draw(self.labels.numpy(), count, seed)

    def sample(self, count: int, seed: int) -> Self:
        """Return the items at :meth:`sample_indices`: the same seed, the same items."""
        return self.subset(self.sample_indices(count, seed))

    def class_counts(self) -> dict[str, int]:
        """Return the number of items in each class."""
        counts = torch.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return dict(zip(self.class_names, counts, strict=True))


Items = TypeVar("Items", bound=Labelled)


@dataclass(frozen=True, eq=False)  # == would compare tensors, which have no one truth value
class Splits(Generic[Items]):
    """A data set divided once: learn on ``train``, choose on ``validation``, report ``test`` once."""

    name: str
    train: Items
    validation: Items
    test: Items
    licence: str
    attribution: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, in the order of the labels."""
        return self.train.class_names

    def with_transform(
        self, transform: Callable[[Any], Any], train_transform: Callable[[Any], Any] | None = None
    ) -> Self:
        """Return the same splits with a transform; ``train_transform``, where given, for training only."""
        return replace(
            self,
            train=self.train.with_transform(train_transform or transform),
            validation=self.validation.with_transform(transform),
            test=self.test.with_transform(transform),
        )

    def with_train(self, train: Items) -> Self:
        """Return the same splits with other training items, for example fewer: ``splits.train.sample(100, seed=0)``."""
        return replace(self, train=train)

    def limited(self, train: int | None, validation: int | None, test: int | None) -> Self:
        """Return splits of at most that many items each, drawn with seed 0."""

        def at_most(split: Items, limit: int | None) -> Items:
            return split if limit is None or limit >= len(split) else split.sample(limit, seed=0)

        return replace(
            self,
            train=at_most(self.train, train),
            validation=at_most(self.validation, validation),
            test=at_most(self.test, test),
        )


def stratified_draw(groups: np.ndarray, count: int, seed: int) -> np.ndarray:
    """Return ``count`` indices in random order, each group in proportion (largest remainder).

    Every group gives one at least, where ``count`` is not smaller than the number of groups.
    """
    if not 0 <= count <= len(groups):
        raise ValueError(f"Cannot draw {count} of {len(groups)}.")
    random = np.random.default_rng(named_seed(seed, "stratified draw", count))
    values, sizes = np.unique(groups, return_counts=True)
    exact = sizes * count / len(groups)
    least = 1 if count >= len(values) else 0
    takes = np.maximum(np.floor(exact), least).astype(int)
    while takes.sum() != count:  # one at a time: the most short-changed gains, the most favoured gives
        surplus = takes - exact
        if takes.sum() < count:
            takes[np.argmin(np.where(takes < sizes, surplus, np.inf))] += 1
        else:
            takes[np.argmax(np.where(takes > least, surplus, -np.inf))] -= 1
    chosen = [random.permutation(np.flatnonzero(groups == v))[:n] for v, n in zip(values, takes, strict=True)]
    return random.permutation(np.concatenate(chosen))


TEST_SHARE, VALIDATION_SHARE = 0.25, 0.15  # of all items; what is left, 60 %, is trained on


def three_way_split(
    groups: np.ndarray, test: float = TEST_SHARE, validation: float = VALIDATION_SHARE, seed: int = 0
) -> tuple[np.ndarray, ...]:
    """Return sorted indices of train, validation and test, each group in proportion.

    Args:
        groups: (N,) labels to stratify by.
        test: share of all that is tested on.
        validation: share of all that choices are made on.
    """
    count = len(groups)
    tested = stratified_draw(groups, round(test * count), seed)
    rest = np.setdiff1d(np.arange(count), tested)
    chosen = rest[stratified_draw(groups[rest], round(validation * count), seed)]
    return np.setdiff1d(rest, chosen), np.sort(chosen), np.sort(tested)
