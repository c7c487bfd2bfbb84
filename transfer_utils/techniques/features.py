"""Features: what a frozen network makes of each image or text, computed once and kept.

A frozen network gives the same answer for the same input every time. Asking it again
in every epoch is work without a result, so the answers are stored, in memory and on disk.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import nn
from torch.utils.data import TensorDataset

from ..data import Labelled, Splits
from ..models.heads import get_head
from .stored_outputs import stored_outputs


@dataclass(frozen=True)
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
        instead: its own would turn the first image in which it wakes up into an outlier of thousands.
        """
        mean, deviation = reference.scale()
        return Features((self.values - mean) / deviation, self.labels, self.class_names)

    def scale(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the mean and the deviation (D,) that :meth:`standardised` uses."""
        deviation = self.values.std(0)
        return self.values.mean(0), deviation.clamp_min(max(float(deviation.median()) / 100, 1e-6))


@dataclass(frozen=True)
class FeatureSplits:
    """Features of the three splits of a data set."""

    train: Features
    validation: Features
    test: Features

    def standardised(self) -> FeatureSplits:
        """Return features with mean 0 and standard deviation 1, both measured on ``train`` alone."""
        return FeatureSplits(*(part.standardised(self.train) for part in (self.train, self.validation, self.test)))

    def with_train(self, train: Features) -> FeatureSplits:
        """Return the same splits with other training features, for example fewer: ``train.subset(indices)``."""
        return replace(self, train=train)


def extract_features(
    model: nn.Module,
    data: Labelled | Splits,
    *,
    batch_size: int = 32,
    cache: bool = True,
    progress: bool = True,
) -> Features | FeatureSplits:
    """Return what goes into the head of ``model`` for every item, extracted once and cached on disk.

    Args:
        model: a backbone from :func:`transfer_utils.load_backbone`, or an encoder from
            :func:`transfer_utils.load_encoder`. Evaluated in ``eval()`` mode.
        data: items with a transform that turns them into tensors; all splits at once, or one.
        batch_size: items a forward pass. Small batches stay in the processor's cache.
        cache: keep the result in the cache folder, under a key of weights, transform, items
            and their order; change any of them and the features are extracted anew.

    Raises:
        ValueError: the transform is random, so there is no one answer to store, or missing.
        PermissionError: the cache folder cannot be written.

    Example:
        >>> features = extract_features(model, cells.with_transform(model.card.preprocess(160)))  # doctest: +SKIP
        >>> features.train.values.shape                                                 # doctest: +SKIP
        torch.Size([1574, 1280])
    """
    if isinstance(data, Splits):
        splits = (data.train, data.validation, data.test)
        extracted = [extract_features(model, s, batch_size=batch_size, cache=cache, progress=progress) for s in splits]
        return FeatureSplits(*extracted)
    text = "extracting features" if progress else ""
    values = stored_outputs(model, data, _head_input, batch_size=batch_size, cache=cache, progress=text)
    return Features(values, data.labels, data.class_names)


class _head_input:
    """While open, remember what the head of ``model`` was last given."""

    def __init__(self, model: nn.Module):
        self.head = get_head(model)

    def __enter__(self) -> _head_input:
        self.hook = self.head.register_forward_pre_hook(lambda module, inputs: setattr(self, "value", inputs[0]))
        return self

    def __exit__(self, *error: object) -> None:
        self.hook.remove()
