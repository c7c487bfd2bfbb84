"""Labelled images: the one kind of data set that every vision lesson works with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps
from torch.utils.data import Dataset

from ..progress import progress_bar
from ..seeding import named_seed


@dataclass(frozen=True)
class LabelledImages(Dataset):
    """Images with integer labels, and a transform that is applied on the way out.

    Attributes:
        images: one entry an image: a uint8 array (height, width) or (height, width, 3),
            or anything that ``read`` turns into a PIL image.
        labels: int64 tensor of shape (N,), values 0 to number of classes - 1.
        class_names: one name a class.
        transform: PIL image -> whatever the model eats. ``None`` gives the PIL image.
        read: turns an entry of ``images`` into a PIL image in RGB.
        extra: more about each image, name -> array of length N (ELPV: ``grade``, ``module_type``).
        identity: for entries that do not hold the pixels, what makes each one unmistakable.
    """

    images: Sequence[Any]
    labels: torch.Tensor
    class_names: tuple[str, ...]
    read: Callable[[Any], Any]
    transform: Callable[[Any], Any] | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)
    identity: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if len(self.images) != len(self.labels):
            raise ValueError(f"{len(self.images)} images came with {len(self.labels)} labels.")
        low, high = (int(self.labels.min()), int(self.labels.max())) if len(self.labels) else (0, 0)
        if low < 0 or high >= len(self.class_names):
            raise ValueError(
                f"Labels run from {low} to {high}, but there are {len(self.class_names)} classes "
                f"({', '.join(self.class_names)}), so labels must be 0 to {len(self.class_names) - 1}."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.read(self.images[index])
        return (self.transform(image) if self.transform else image), int(self.labels[index])

    def with_transform(self, transform: Callable[[Any], Any] | None) -> LabelledImages:
        """Return the same images with another transform."""
        return replace(self, transform=transform)

    def subset(self, indices: Sequence[int] | np.ndarray | torch.Tensor) -> LabelledImages:
        """Return the images at ``indices``, in that order."""
        chosen = torch.as_tensor(np.asarray(indices), dtype=torch.long)
        return replace(
            self,
            images=[self.images[i] for i in chosen.tolist()],
            labels=self.labels[chosen],
            extra={name: values[chosen.numpy()] for name, values in self.extra.items()},
            identity=tuple(self.identity[i] for i in chosen.tolist()) if self.identity else None,
        )

    def sample_indices(self, count: int, seed: int) -> np.ndarray:
        """Return ``count`` indices drawn at random, every class in its own proportion, at least one of each.

        Raises:
            ValueError: ``count`` is larger than the data, or smaller than the number of classes.
        """
        if not len(self.class_names) <= count <= len(self):
            raise ValueError(f"Cannot draw {count} images: there are {len(self)}, in {len(self.class_names)} classes.")
        return stratified_draw(self.labels.numpy(), count, seed)

    def sample(self, count: int, seed: int) -> LabelledImages:
        """Return the images at :meth:`sample_indices`: the same seed, the same images."""
        return self.subset(self.sample_indices(count, seed))

    def resized(self, size: int) -> LabelledImages:
        """Return the same images with their middle square resized once to ``size`` pixels, kept in memory.

        Saves decoding and resizing in every epoch, for data that fits.
        """
        small = []
        for image in progress_bar(self.images, f"resizing to {size} px"):
            small.append(np.asarray(ImageOps.fit(self.read(image), (size, size), Image.Resampling.BICUBIC)))
        return replace(self, images=small, read=Image.fromarray, identity=None)

    def class_counts(self) -> dict[str, int]:
        """Return the number of images in each class."""
        counts = torch.bincount(self.labels, minlength=len(self.class_names)).tolist()
        return dict(zip(self.class_names, counts, strict=True))

    def fingerprint(self) -> str:
        """Return a hash that changes when any image, label or the order changes."""
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        for image in self.identity or self.images:
            if isinstance(image, (str, Path)):
                digest.update(f"{image}\n".encode())
            else:
                pixels = np.ascontiguousarray(image)
                digest.update(f"{pixels.shape} {pixels.dtype}".encode())
                digest.update(pixels.data)
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageSplits:
    """A data set divided once: learn on ``train``, choose on ``validation``, report ``test`` once."""

    name: str
    train: LabelledImages
    validation: LabelledImages
    test: LabelledImages
    licence: str
    attribution: str

    @property
    def class_names(self) -> tuple[str, ...]:
        """One name a class, in the order of the labels."""
        return self.train.class_names

    def with_transform(
        self, transform: Callable[[Any], Any], train_transform: Callable[[Any], Any] | None = None
    ) -> ImageSplits:
        """Return the same splits with a transform; ``train_transform``, where given, for training only."""
        return replace(
            self,
            train=self.train.with_transform(train_transform or transform),
            validation=self.validation.with_transform(transform),
            test=self.test.with_transform(transform),
        )

    def resized(self, size: int) -> ImageSplits:
        """Return the same splits resized once to ``size`` x ``size`` pixels and kept in memory."""
        return replace(
            self,
            train=self.train.resized(size),
            validation=self.validation.resized(size),
            test=self.test.resized(size),
        )

    def limited(self, train: int | None, validation: int | None, test: int | None) -> ImageSplits:
        """Return splits of at most that many images each, drawn with seed 0."""

        def at_most(split: LabelledImages, limit: int | None) -> LabelledImages:
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


def three_way_split(groups: np.ndarray, test: float, validation: float, seed: int) -> tuple[np.ndarray, ...]:
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
