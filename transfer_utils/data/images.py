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
from torch.utils.data import TensorDataset

from ..runtime.digests import code_digest
from ..runtime.progress import progress_bar
from .labelled import Labelled, Splits


@dataclass(frozen=True, eq=False)
class LabelledImages(Labelled):
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
        self.check_labels(len(self.images), "images")

    def __getitem__(self, index: int) -> tuple[Any, int]:
        image = self.read(self.images[index])
        return (self.transform(image) if self.transform else image), int(self.labels[index])

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

    def resized(self, size: int) -> LabelledImages:
        """Return the same images with their middle square resized once to ``size`` pixels, kept in memory.

        Saves decoding and resizing in every epoch, for data that fits.
        """
        small = []
        for image in progress_bar(self.images, f"resizing to {size} px"):
            small.append(np.asarray(ImageOps.fit(self.read(image), (size, size), Image.Resampling.BICUBIC)))
        return replace(self, images=small, read=Image.fromarray, identity=None)

    def in_memory(self) -> TensorDataset:
        """Return pairs (image after its transform, label) as two tensors, for images so small that all of them fit.

        A batch is then one look-up. A random transform would be asked once only, so give it a fixed one.
        """
        return TensorDataset(torch.stack([self[i][0] for i in range(len(self))]), self.labels)

    def fingerprint(self) -> str:
        """Return a hash that changes when any image, label or the order changes."""
        digest = hashlib.sha256(self.labels.numpy().tobytes() + code_digest(self.read).encode())
        for image in self.identity or self.images:
            if isinstance(image, (str, Path)):
                digest.update(f"{image}\n".encode())
            else:
                pixels = np.ascontiguousarray(image)
                digest.update(f"{pixels.shape} {pixels.dtype}".encode())
                digest.update(pixels.data)
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class ImageSplits(Splits[LabelledImages]):
    """Images divided once: learn on ``train``, choose on ``validation``, report ``test`` once."""

    def resized(self, size: int) -> ImageSplits:
        """Return the same splits resized once to ``size`` x ``size`` pixels and kept in memory."""
        return replace(
            self,
            train=self.train.resized(size),
            validation=self.validation.resized(size),
            test=self.test.resized(size),
        )
