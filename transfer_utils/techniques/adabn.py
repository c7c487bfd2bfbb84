"""AdaBN: each domain its own mean and variance (Li et al. 2016)."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import collect
from ..runtime.devices import on_device, pick_device, to_device
from ..runtime.progress import progress_bar


@torch.no_grad()
def adapt_batchnorm(model: nn.Module, data: Dataset, *, batch_size: int = 64, progress: str = "") -> nn.Module:
    """Give every BatchNorm layer the mean and variance of ``data``, in place, and return the model (AdaBN).

    No label is looked at and no weight changes (Li et al. 2016, section 3.2). Statistics are the average over
    batches of one pass; the model is in ``eval()`` mode afterwards.

    Raises:
        ValueError: the model has no BatchNorm layer, or there is no data.
    """
    layers = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        raise ValueError("The model has no BatchNorm layer, so it holds no statistics of a domain to replace.")
    if len(data) < 2:
        raise ValueError("AdaBN needs two examples or more: one has no variance.")
    device = pick_device()
    model.eval()
    momentum = {layer: layer.momentum for layer in layers}
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # a plain average over all batches
        layer.training = True
    starts = range(0, len(data) - 1, batch_size)  # a last batch of one would have no variance
    with on_device(model, device):
        for start in progress_bar(list(starts), progress):
            inputs, _ = collect(data, list(range(start, min(start + batch_size, len(data)))))
            model(to_device(inputs, device))
    for layer in layers:
        layer.momentum, layer.training = momentum[layer], False
    return model
