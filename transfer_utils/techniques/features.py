"""Features: what a frozen network makes of each image or text, computed once and kept.

A frozen network gives the same answer for the same input every time. Asking it again
in every epoch is work without a result, so the answers are stored, in memory and on disk.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils.data import TensorDataset

from ..data import Labelled, LabelledImages, Splits
from ..evaluation.predict import predict
from ..models.heads import get_head
from ..runtime.files import cache_folder, write_atomically


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


def stored_outputs(
    model: nn.Module,
    data: Labelled,
    output_of: Callable[[nn.Module], AbstractContextManager] | None = None,
    *,
    batch_size: int = 32,
    cache: bool = True,
    progress: str = "",
) -> torch.Tensor:
    """Return what :func:`transfer_utils.predict` returns for every item, (N, ...), computed once and cached on disk.

    Args:
        output_of: as in ``predict``; its name is part of the key. ``None``: the output of the head, whose
            weights then are part of the key too.
        cache, batch_size: as in :func:`extract_features`.

    Raises:
        ValueError: the transform is random or missing.
    """
    _require_fixed_transform(data)
    kind = output_of.__name__ if output_of else "output"
    path = None
    if cache and _has_a_name(data):
        path = cache_folder() / "features" / f"{_key(model, data, kind)}.safetensors"
    values = _read(path, len(data)) if path else None
    if values is None:
        values = predict(model, data, output_of=output_of, batch_size=batch_size, progress=progress)[0]
        if path:
            write_atomically(path, lambda part: save_file({"features": values}, part))
    return values


def _require_fixed_transform(data: Labelled) -> None:
    if data.transform is None:
        raise ValueError("The data has no transform. Use data.with_transform(model.card.preprocess(size)).")
    images = isinstance(data, LabelledImages)  # a tokenizer is not random
    again = [data[0][0] for _ in range(4 if images and len(data) else 0)]
    random = any(not torch.equal(again[0], other) for other in again)
    if random or getattr(data.transform, "augment", None) is not None:
        raise ValueError(
            "The transform augments at random, so an image has no one feature vector to store. Extract "
            "with model.card.preprocess(size), or train with fit(...) to use augmentation."
        )


def _has_a_name(data: Labelled) -> bool:
    """Return whether the transform says what it does; a plain function, known by its address, does not."""
    if " at 0x" not in repr(data.transform):
        return True
    warnings.warn(
        f"The features are not cached, because {data.transform!r} does not say what it does. "
        "Use model.card.preprocess(size), or a dataclass whose fields are its settings.",
        stacklevel=5,
    )
    return False


def _key(model: nn.Module, data: Labelled, kind: str) -> str:
    """Return a hash of the weights that decide, the transform, the items and the kind of output."""
    digest = hashlib.sha256(f"{model.card.name} {kind} {data.transform!r} {data.fingerprint()}".encode())
    head = model.card.head + "."
    for name, tensor in model.state_dict().items():
        if kind == "output" or not name.startswith(head):
            digest.update(name.encode())
            digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()[:32]


def _read(path: Path, count: int) -> torch.Tensor | None:
    """Return cached features, or ``None`` where there are none; a damaged file is said and deleted."""
    if not path.is_file():
        return None
    try:
        values = load_file(path)["features"]
        if len(values) != count:
            raise ValueError(f"{len(values)} rows for {count} items")
        return values
    except Exception as error:  # whatever is wrong with it, the remedy is the same
        warnings.warn(f"The cached features {path} are damaged ({error}); extracting them again.", stacklevel=4)
        path.unlink(missing_ok=True)
        return None


class _head_input:
    """While open, remember what the head of ``model`` was last given."""

    def __init__(self, model: nn.Module):
        self.head = get_head(model)

    def __enter__(self) -> _head_input:
        self.hook = self.head.register_forward_pre_hook(lambda module, inputs: setattr(self, "value", inputs[0]))
        return self

    def __exit__(self, *error: object) -> None:
        self.hook.remove()
