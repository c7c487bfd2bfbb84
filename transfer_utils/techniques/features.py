"""Features: what a frozen network makes of each image or text, computed once and kept.

A frozen network gives the same answer for the same input every time. Asking it again
in every epoch is work without a result, so the answers are stored, in memory and on disk.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import torch
from torch import nn
from torch.utils.data import TensorDataset

from ..data import Labelled, Splits
from ..models.heads import get_head
from .stored_activations import ActivationSplits, StoredActivations, stored_activations
from .stored_outputs import stored_outputs


@dataclass(frozen=True, eq=False)  # tensors have no truth value
class Features:
    """Features of one split.

    Attributes:
        values: float32 tensor (N, D), what goes into the head.
        labels: int64 tensor (N,).
        class_names: one name a class.
    """

    values: torch.Tensor
    labels: torch.Tensor
    class_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def dataset(self) -> TensorDataset:
        """Return pairs (features, label), for :func:`transfer_utils.fit`."""
        return TensorDataset(self.values, self.labels)

    def subset(self, indices: torch.Tensor) -> Features:
        """Return the features at ``indices``."""
        return Features(self.values[indices], self.labels[indices], self.class_names)

    def standardised(self, reference: Features) -> Features:
        """Return these features minus the mean of ``reference``, divided by its standard deviation.

        A feature that hardly varies in ``reference`` is divided by a hundredth of the median deviation
        instead: its own would turn the first image that activates it into an extreme outlier.
        """
        mean, deviation = reference.scale()
        return Features((self.values - mean) / deviation, self.labels, self.class_names)

    def scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the deviation (D,) that :meth:`standardised` uses."""
        deviation = self.values.std(0)
        return self.values.mean(0), deviation.clamp_min(max(float(deviation.median()) / 100, 1e-6))


@dataclass(frozen=True, eq=False)
class FeatureSplits:
    """Features of the three splits of a data set."""

    train: Features
    validation: Features
    test: Features

    def standardised(self, reference: Features | None = None) -> FeatureSplits:
        """Return features with mean 0 and standard deviation 1, both measured on ``train`` alone.

        Args:
            reference: measured on these instead, for example on ``train`` of the domain that a head was trained in.
        """
        reference = reference or self.train
        return FeatureSplits(*(part.standardised(reference) for part in (self.train, self.validation, self.test)))

    def datasets(self) -> dict[str, TensorDataset]:
        """Return pairs (features, label) by split: ``"train"``, ``"validation"``, ``"test"``."""
        return {name: getattr(self, name).dataset() for name in ("train", "validation", "test")}

    def with_train(self, train: Features) -> FeatureSplits:
        """Return the same splits with other training features, for example fewer: ``train.subset(indices)``."""
        return replace(self, train=train)


@overload
def extract_features(model: nn.Module, data: Labelled, *, at: None = None, **options: Any) -> Features: ...
@overload
def extract_features(model: nn.Module, data: Splits, *, at: None = None, **options: Any) -> FeatureSplits: ...
@overload
def extract_features(model: nn.Module, data: Labelled, *, at: str | int, **options: Any) -> StoredActivations: ...
@overload
def extract_features(model: nn.Module, data: Splits, *, at: str | int, **options: Any) -> ActivationSplits: ...


def extract_features(
    model: nn.Module,
    data: Labelled | Splits,
    *,
    at: str | int | None = None,
    variants: Sequence[str] = ("identity",),
    dtype: torch.dtype = torch.float16,
    batch_size: int = 32,
    cache: bool = True,
    progress: bool = True,
) -> Features | FeatureSplits | StoredActivations | ActivationSplits:
    """Return what goes into the head of ``model`` for every item, extracted once and cached on disk.

    With ``at``, the activations in the middle of a network for images instead, for training what is above with
    :func:`transfer_utils.techniques.upper_half.upper_half`. That is fine-tuning with the layers below frozen, without
    asking them in every epoch.

    Args:
        model: a backbone from :func:`transfer_utils.load_backbone`, or an encoder from
            :func:`transfer_utils.load_encoder`. Evaluated in ``eval()`` mode.
        data: items with a transform that turns them into tensors; all splits at once, or one.
        at: the last layer group below the cut, e.g. ``"stage 4"``, or how many groups are below;
            ``layer_groups(model)`` lists them. ``None``: what goes into the head.
        variants: with ``at``, which flips and turns of each image are stored, e.g. ``FLIPS`` of
            ``techniques.stored_activations``. Of all splits at once only ``train`` has them.
        dtype: with ``at``, how numbers are stored: two bytes each, three digits; ``torch.float32`` for four and seven.
            2,624 cells at 160 px, 4 flips, 80 x 10 x 10 after the blocks 0 to 3 of EfficientNet-Lite0: 168 MB.
        batch_size: items a forward pass. Small batches stay in the processor's cache.
        cache: keep the result in the cache folder, under a key of weights, transform, items
            and their order; change any of them and the features are extracted anew. With ``at`` only the weights
            below count. A transform that holds a function is used, and not cached.

    Returns:
        :class:`Features`, with ``at`` a data set of :class:`~.stored_activations.StoredActivations`; three for splits.

    Raises:
        ValueError: the transform is random, so there is no one answer to store, or missing; with ``at``, the network
            cannot be cut there.
        PermissionError: the cache folder cannot be written.

    Example:
        >>> features = extract_features(model, cells.with_transform(model.card.preprocess(160)))  # doctest: +SKIP
        >>> features.train.values.shape                                                 # doctest: +SKIP
        torch.Size([1574, 1280])
    """
    options = {"batch_size": batch_size, "cache": cache}
    if at is not None:
        options |= {"dtype": dtype, "progress": "storing activations" if progress else ""}
        return _stored_at(model, data, at, variants, options)
    if isinstance(data, Splits):
        splits = (data.train, data.validation, data.test)
        return FeatureSplits(*(extract_features(model, split, progress=progress, **options) for split in splits))
    text = "extracting features" if progress else ""
    values = stored_outputs(model, data, _head_input, progress=text, **options)
    return Features(values, data.labels, data.class_names)


def _stored_at(
    model: nn.Module, data: Labelled | Splits, at: str | int, variants: Sequence[str], options: dict[str, Any]
) -> StoredActivations | ActivationSplits:
    if not isinstance(data, Splits):
        return stored_activations(model, data, at, variants, **options)
    plain = [stored_activations(model, part, at, **options) for part in (data.validation, data.test)]
    return ActivationSplits(stored_activations(model, data.train, at, variants, **options), *plain)


class _head_input:
    """While open, remember what the head of ``model`` was last given."""

    def __init__(self, model: nn.Module):
        self.head = get_head(model)

    def __enter__(self) -> _head_input:
        self.hook = self.head.register_forward_pre_hook(lambda module, inputs: setattr(self, "value", inputs[0]))
        return self

    def __exit__(self, *error: object) -> None:
        self.hook.remove()
