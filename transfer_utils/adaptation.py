"""Adapting to a new domain without its labels: on stored features, and by the statistics of BatchNorm.

The cheapest idea comes first: let each domain have its own mean and standard deviation (AdaBN). What ``domain``
offers can be put on top of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import Dataset

from .batches import collect, to_device
from .devices import on_device, pick_device
from .domain import Alignment, Dann, DomainModel, DomainPairs, domain_classifier
from .features import FeatureSplits
from .profile import get_profile
from .progress import progress_bar
from .seeding import set_seed
from .steps import Metrics
from .training import fit


@dataclass(frozen=True)
class AdaptedRun:
    """One run of :func:`adapt_features`: the model, its training history, and its scores on both test splits."""

    model: DomainModel
    history: list[Metrics]
    seconds: float
    target_scores: torch.Tensor
    source_scores: torch.Tensor
    target_features: torch.Tensor
    source_features: torch.Tensor


def adapt_features(
    source: FeatureSplits,
    target: FeatureSplits,
    step: Dann | Alignment | None = None,
    *,
    own_statistics: bool = False,
    width: int = 128,
    batchnorm: bool = False,
    lr: float = 1e-3,
    seed: int = 0,
    progress: str = "adapting",
) -> AdaptedRun:
    """Train a small network on stored features of a labelled source and an unlabelled target.

    The weights of the last step are kept: to choose an epoch by target labels would be to have target labels.

    Args:
        step: ``None`` looks at the source alone, for as many steps as the others.
        own_statistics: standardise the target by the mean and deviation of its own (unlabelled) training split
            instead of the source's: the idea of AdaBN, for stored features.
        width: of the one hidden layer, whose outputs are aligned; ``batchnorm`` puts a BatchNorm into it.
    """
    profile = get_profile()
    reference = target.train if own_statistics else source.train
    source_parts = [part.standardised(source.train) for part in (source.train, source.test)]
    target_parts = [part.standardised(reference) for part in (target.train, target.test)]
    set_seed(seed)
    layers = [nn.Linear(source.train.values.shape[1], width), nn.BatchNorm1d(width) if batchnorm else nn.Identity()]
    body = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.5))
    head = nn.Linear(width, len(source.train.class_names))
    model = DomainModel(body, head, domain_classifier(width) if isinstance(step, Dann) else None)
    pairs = DomainPairs(source_parts[0].dataset(), target_parts[0].dataset())
    result = fit(model, pairs, epochs=profile.domain_epochs, step=step or Alignment(_no_distance), lr=lr,
                 batch_size=profile.domain_batch_size, seed=seed, progress=progress)  # fmt: skip
    with torch.no_grad():
        made = [model.body(part.values) for part in (target_parts[1], source_parts[1])]
        return AdaptedRun(model, result.history, result.seconds, *(model.head(f) for f in made), *made)


def _no_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.new_zeros(())


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
