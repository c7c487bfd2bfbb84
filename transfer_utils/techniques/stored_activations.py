"""Activations in the middle of a network, stored once for a fixed set of flips and turns of each image.

Fine-tuning the upper layers asks the frozen lower ones the same in every epoch. Stored, their answers cost nothing,
and as long as the augmentation is one of a few known variants, it can be stored too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils.data import Dataset

from ..data import Labelled, LabelledImages
from ..data.batching import Batched
from ..evaluation.predict import predict
from ..runtime.digests import weights_digest
from ..runtime.progress import progress_bar
from .stored_outputs import computed_once
from .upper_half import groups_below, halves

CHUNK = 128  # images whose activations are in memory as float32 at one time

FLIPS = ("identity", "horizontal flip", "vertical flip", "both flips")
FLIPS_AND_TURNS = (*FLIPS, "quarter turn", "three-quarter turn", "transposed", "transposed and both flips")

_CHANGES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {  # of the last two dimensions, height and width
    "identity": lambda images: images,
    "horizontal flip": lambda images: images.flip(-1),
    "vertical flip": lambda images: images.flip(-2),
    "both flips": lambda images: images.flip(-1, -2),
    "quarter turn": lambda images: images.rot90(1, (-2, -1)),
    "three-quarter turn": lambda images: images.rot90(3, (-2, -1)),
    "transposed": lambda images: images.transpose(-2, -1),
    "transposed and both flips": lambda images: images.transpose(-2, -1).flip(-1, -2),
}


def variant(images: torch.Tensor, name: str) -> torch.Tensor:
    """Return images (..., H, W) flipped or turned; turned by a quarter or transposed they are (..., W, H).

    The eight variants are all that map a square grid of pixels onto itself (the dihedral group D4), so that no pixel
    is interpolated. Whether they keep the label is for you to know: a solar cell flipped is a solar cell, a 6 turned
    by half is a 9.

    Raises:
        ValueError: there is no such variant.
    """
    if name not in _CHANGES:
        raise ValueError(f"There is no variant {name!r}; there are {', '.join(map(repr, _CHANGES))}.")
    return _CHANGES[name](images)


@dataclass(frozen=True, eq=False)  # tensors have no truth value
class StoredActivations(Batched, Dataset):
    """Activations of one split, for :func:`transfer_utils.fit`: each item is one variant of an image, and its label.

    With several variants, one is drawn at random each time that an item is asked for, from the global random numbers,
    which ``fit`` seeds before each batch: a run that is resumed sees the same ones.

    Attributes:
        values: (N, V, ...), V variants of each of N items, e.g. (N, V, C, H, W) after a convolution. float16 unless
            another type was asked for; float32 when they are looked up. From the cache: mapped from the file, so that
            only what is looked up comes into memory.
        labels: int64 tensor (N,).
        class_names: one name a class.
        variants: their V names.
    """

    values: torch.Tensor
    labels: torch.Tensor
    class_names: tuple[str, ...]
    variants: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        values, labels = self.collect([index])
        return values[0], int(labels[0])

    def collect(self, indices: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return one batch: float32 activations, one variant of each item, and the labels."""
        rows = torch.as_tensor(indices)
        several = len(self.variants) > 1  # with one there is nothing to draw
        drawn = torch.randint(len(self.variants), (len(rows),)) if several else torch.zeros_like(rows)
        return self.values[rows, drawn].float(), self.labels[rows]

    def fingerprint(self) -> str:
        """Return a text that changes with any activation, label or variant."""
        return f"{weights_digest([('values', self.values), ('labels', self.labels)])} {self.variants}"

    def subset(self, indices: torch.Tensor) -> StoredActivations:
        """Return the activations at ``indices``, in that order, all their variants."""
        return replace(self, values=self.values[indices], labels=self.labels[indices])

    def only(self, name: str) -> StoredActivations:
        """Return one variant alone, so that nothing is drawn: ``stored.train.only("identity")``.

        Raises:
            ValueError: it was not stored.
        """
        if name not in self.variants:
            raise ValueError(f"{name!r} is not stored here; there are {', '.join(map(repr, self.variants))}.")
        place = self.variants.index(name)
        return replace(self, values=self.values[:, place : place + 1], variants=(name,))


@dataclass(frozen=True, eq=False)
class ActivationSplits:
    """Activations of the three splits: on ``train`` all variants, on the two others the images as they are."""

    train: StoredActivations
    validation: StoredActivations
    test: StoredActivations

    def with_train(self, train: StoredActivations) -> ActivationSplits:
        """Return the same splits with other training activations, for example fewer: ``train.subset(indices)``."""
        return replace(self, train=train)


def stored_activations(
    model: nn.Module,
    data: Labelled,
    at: str | int,
    variants: Sequence[str] = ("identity",),
    *,
    dtype: torch.dtype = torch.float16,
    batch_size: int = 32,
    cache: bool = True,
    progress: str = "",
) -> StoredActivations:
    """Return what the layers of ``model`` up to ``at`` make of every variant of every image, in ``eval()`` mode.

    The arguments are those of :func:`transfer_utils.extract_features`, for one split.

    Raises:
        ValueError: the network cannot be cut there; the data are not images; a variant is unknown or named twice;
            images are not square but turned; numbers are too large for ``dtype``; or the transform is random.
    """
    if isinstance(variants, str) or not variants or len(set(variants)) < len(variants):
        raise ValueError(f"variants must be a list of different names, e.g. {FLIPS!r}; got {variants!r}.")
    if not isinstance(data, LabelledImages):
        raise ValueError("Activations are stored for images. For texts use extract_features(model, texts) without at.")
    lower = _EveryVariant(halves(model, at)[0], variants)

    def compute() -> torch.Tensor:
        return _in_chunks(lower, data, dtype, batch_size, progress)

    what = f"{lower!r} up to {groups_below(model, at)} {tuple(variants)} {dtype} "
    values = computed_once(compute, data, what + weights_digest(lower.state_dict().items()), cache=cache)
    return StoredActivations(values, data.labels, data.class_names, tuple(variants))


class _EveryVariant(nn.Module):
    """What a network makes of each variant of a batch, (N, 3, H, W) -> (N, V, ...)."""

    def __init__(self, network: nn.Module, variants: Sequence[str]):
        super().__init__()
        self.network, self.variants = network, variants

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        changed = [variant(images, name) for name in self.variants]
        if any(one.shape != images.shape for one in changed):
            raise ValueError(f"Images of {tuple(images.shape[-2:])} pixels cannot be turned: make them square.")
        return torch.stack([self.network(one) for one in changed], 1)


def _in_chunks(network: nn.Module, data: LabelledImages, dtype: torch.dtype, batch: int, text: str) -> torch.Tensor:
    """Return what ``network`` makes of every item as ``dtype``, with few items as float32 in memory at a time."""
    stored = None
    with progress_bar(text=text, total=len(data)) as bar:
        for start in range(0, max(len(data), 1), CHUNK):
            indices = range(len(data))[start : start + CHUNK]
            values = predict(network, data.subset(indices), batch_size=batch, workers=0, progress="")[0]
            if float(values.abs().max()) > torch.finfo(dtype).max:
                raise ValueError(f"Activations of up to {float(values.abs().max()):g} do not fit into {dtype}. "
                                 "Give dtype=torch.float32.")  # fmt: skip
            if stored is None:
                stored = torch.empty(len(data), *values.shape[1:], dtype=dtype)
            stored[start : start + CHUNK] = values
            bar.update(len(indices))
    return stored
