"""Predictions and scores of a model, on one process or many, leaving the model as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import all_finite, collect, item_lengths, ordered_loader
from ..runtime.devices import accelerator, on_device, to_device
from ..runtime.profile import get_profile
from ..runtime.progress import progress_bar
from .metrics import check_scores, classification_metrics


@torch.no_grad()
def predict(
    model: nn.Module,
    data: Dataset,
    *,
    batch_size: int = 32,
    output_of: Callable[[nn.Module], AbstractContextManager] | None = None,
    workers: int | None = None,
    progress: str = "predicting",
) -> tuple[Any, Any]:
    """Return what ``model`` says of every item, in the order of ``data``.

    Args:
        data: items ``(input, label)``.
        batch_size: items a forward pass.
        output_of: given the model, a context whose ``.value`` is stored instead of the output.
        workers: extra processes that prepare batches; ``None`` takes the profile's.
        progress: words before the progress bar; empty for none.

    Returns:
        Outputs (N, ...) in float32 and labels (N, ...), on the CPU. Where the model gives a dictionary or a tuple, so
        does predict, with all items in each of its tensors; labels likewise. The model is evaluated in ``eval()`` mode;
        afterwards it has its modes back and is on the device where it was.

    Raises:
        ValueError: there are no items, inputs are NaN or infinite, or features of another width than the head takes.

    Example:
        >>> logits, labels = predict(model, cells.test)                          # doctest: +SKIP
    """
    if len(data) == 0:
        raise ValueError("There is no data to predict on.")
    machine = accelerator()
    mine = _by_length(data, list(range(machine.process_index, len(data), machine.num_processes)))
    batches = _Batches(data, [mine[i : i + batch_size] for i in range(0, len(mine), batch_size)])
    workers = get_profile().workers if workers is None else workers
    loader = ordered_loader(batches, range(len(batches)), workers, machine.device)
    outputs, labels = [], []
    placed, watched = on_device(model, machine.device), (output_of or contextlib.nullcontext)(model)
    with placed, _evaluation_mode(model), watched as captured:
        for inputs, targets in progress_bar(loader, progress, show=machine.is_local_main_process):
            with machine.autocast():
                output = call(model, to_device(inputs, machine.device))
            outputs.append(_stored(captured.value if output_of else output))
            labels.append(_stored(targets))
            if not all_finite(outputs[-1]) and not all_finite(inputs):
                raise ValueError("Some inputs are NaN or infinite. Look at the data and at its preprocessing.")
    return _in_order(mine, outputs, labels)


def evaluate(
    model: nn.Module, data: Dataset, *, batch_size: int = 32, workers: int | None = None, progress: str = "evaluating"
) -> dict[str, float]:
    """Return loss, accuracy, balanced accuracy, F1 and AUC of a classifier on ``data``.

    The loss is the mean over items, so a short last batch weighs no more than it should.

    Raises:
        ValueError: a label the model has no output for, or scores that are not numbers.
    """
    logits, labels = predict(model, data, batch_size=batch_size, workers=workers, progress=progress)
    check_scores(logits, labels)
    return {"loss": float(F.cross_entropy(logits, labels)), **classification_metrics(logits, labels)}


def call(model: nn.Module, inputs: Any) -> Any:
    """Return ``model(inputs)``; a width that does not fit is said in words.

    Raises:
        ValueError: a linear layer was given features of another width than it takes.
    """
    try:
        return model(inputs)
    except RuntimeError as error:
        if "shapes cannot be multiplied" not in str(error):
            raise
        raise ValueError(
            f"A linear layer got features of another width than it takes ({error}). Was the head made for another "
            "body? replace_head(model, classes) makes one that fits; on stored features, take their width, "
            "features.train.values.shape[1]."
        ) from error


class _Batches(Dataset):
    """The batches of ``data`` whose indices are given, one an item."""

    def __init__(self, data: Dataset, indices: list[list[int]]):
        self.data, self.indices = data, indices

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, number: int) -> Any:
        return collect(self.data, self.indices[number])


def _by_length(data: Dataset, indices: list[int]) -> list[int]:
    """Return ``indices`` sorted so that texts of similar length are together: less padding to compute with."""
    lengths = item_lengths(data)
    return indices if lengths is None else sorted(indices, key=lambda i: lengths[i])


@contextlib.contextmanager
def _evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Evaluate with ``model.eval()``, then give every module the mode it had."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _stored(values: Any) -> Any:
    """Return the tensors of an output or of labels on the CPU, fractions in float32."""
    if isinstance(values, dict):
        return {name: _stored(value) for name, value in values.items()}
    if isinstance(values, (list, tuple)) and any(isinstance(value, torch.Tensor) for value in values):
        return tuple(map(_stored, values))
    values = torch.as_tensor(values).cpu()
    return values.float() if values.is_floating_point() else values


def _joined(parts: Sequence[Any], order: torch.Tensor) -> Any:
    """Return batches of tensors as one tensor, in ``order``; dictionaries and tuples entry by entry."""
    first = parts[0]
    if isinstance(first, dict):
        return {name: _joined([part[name] for part in parts], order) for name in first}
    if isinstance(first, tuple):
        return tuple(_joined(entries, order) for entries in zip(*parts, strict=True))
    if len({part.shape[1:] for part in parts}) > 1:
        raise ValueError(
            f"Batches gave outputs or labels of different shapes, {tuple(parts[0].shape)} and others. Pad all items to "
            "one length, or give fit a score that goes through the batches itself."
        )
    return torch.cat(list(parts))[order]


def _in_order(mine: list[int], outputs: list[Any], labels: list[Any]) -> tuple[Any, Any]:
    """Put together what the processes found, in the order of the data."""
    from accelerate.utils import gather_object

    found = gather_object([(mine, outputs, labels)] if mine else [])
    order = torch.argsort(torch.tensor([index for indices, _, _ in found for index in indices]))
    return tuple(_joined([batch for part in found for batch in part[which]], order) for which in (1, 2))
