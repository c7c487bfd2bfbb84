"""Predictions and scores of a model, on one process or many, leaving the model as it was."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
import torch.nn.functional as F
from accelerate.utils import gather_object
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import collect
from ..runtime.devices import accelerator, on_device, to_device
from ..runtime.progress import progress_bar
from .metrics import check_scores, classification_metrics


@torch.no_grad()
def predict(
    model: nn.Module,
    data: Dataset,
    *,
    batch_size: int = 32,
    output_of: Callable[[nn.Module], AbstractContextManager] | None = None,
    progress: str = "predicting",
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return what ``model`` says of every item, in the order of ``data``.

    Args:
        data: items ``(input, label)``.
        batch_size: items a forward pass.
        output_of: given the model, a context whose ``.value`` is stored instead of the output.
        progress: words before the progress bar; empty for none.

    Returns:
        Outputs (N, ...) in float32 and labels (N,), on the CPU. The model is evaluated in
        ``eval()`` mode; afterwards it has its modes back and is on the device where it was.

    Raises:
        ValueError: there are no items.
    """
    if len(data) == 0:
        raise ValueError("There is no data to predict on.")
    machine = accelerator()
    mine = list(range(machine.process_index, len(data), machine.num_processes))
    if hasattr(data, "lengths"):  # texts of similar length together: less padding to compute with
        mine.sort(key=lambda i: data.lengths[i])
    batches = [mine[i : i + batch_size] for i in range(0, len(mine), batch_size)]
    outputs, labels = [], []
    placed, watched = on_device(model, machine.device), (output_of or contextlib.nullcontext)(model)
    with placed, _evaluation_mode(model), watched as captured:
        for indices in progress_bar(batches, progress, show=machine.is_local_main_process):
            inputs, targets = collect(data, indices)
            with machine.autocast():
                output = model(to_device(inputs, machine.device))
            outputs.append((captured.value if output_of else output).float().cpu())
            labels.append(torch.as_tensor(targets))
    return _in_order(mine, outputs, labels)


def evaluate(
    model: nn.Module, data: Dataset, *, batch_size: int = 32, progress: str = "evaluating"
) -> dict[str, float]:
    """Return loss, accuracy, balanced accuracy, F1 and AUC of a classifier on ``data``.

    The loss is the mean over items, so a short last batch weighs no more than it should.

    Raises:
        ValueError: a label the model has no output for, or scores that are not numbers.
    """
    logits, labels = predict(model, data, batch_size=batch_size, progress=progress)
    check_scores(logits, labels)
    return {"loss": float(F.cross_entropy(logits, labels)), **classification_metrics(logits, labels)}


@contextlib.contextmanager
def _evaluation_mode(model: nn.Module):
    """Evaluate with ``model.eval()``, then give every module the mode it had."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


def _in_order(mine: list[int], outputs: list[Any], labels: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
    """Put together what the processes found, in the order of the data."""
    parts = gather_object([(mine, torch.cat(outputs), torch.cat(labels))] if mine else [])
    order = torch.argsort(torch.tensor([index for indices, _, _ in parts for index in indices]))
    return torch.cat([p[1] for p in parts])[order], torch.cat([p[2] for p in parts])[order]
