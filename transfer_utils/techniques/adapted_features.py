"""Domain adaptation on stored features, with any of the remedies."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from ..runtime.seeding import set_seed
from ..training.loop import fit
from ..training.steps import Metrics
from .dann import Dann
from .domains import DomainModel, DomainPairs, domain_classifier
from .features import FeatureSplits
from .mmd import Alignment


@dataclass(frozen=True, eq=False)
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
    epochs: int,
    batch_size: int,
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
        epochs: passes over the larger of the two domains.
        batch_size: items of each domain a step.
        own_statistics: standardise the target by the mean and deviation of its own (unlabelled) training split
            instead of the source's: the idea of AdaBN, for stored features.
        width: of the one hidden layer, whose outputs are aligned; ``batchnorm`` puts a BatchNorm into it.
    """
    reference = target.train if own_statistics else source.train
    source_parts = [part.standardised(source.train) for part in (source.train, source.test)]
    target_parts = [part.standardised(reference) for part in (target.train, target.test)]
    set_seed(seed)
    layers = [nn.Linear(source.train.values.shape[1], width), nn.BatchNorm1d(width) if batchnorm else nn.Identity()]
    body = nn.Sequential(*layers, nn.ReLU(), nn.Dropout(0.5))
    head = nn.Linear(width, len(source.train.class_names))
    model = DomainModel(body, head, domain_classifier(width) if isinstance(step, Dann) else None)
    pairs = DomainPairs(source_parts[0].dataset(), target_parts[0].dataset())
    result = fit(model, pairs, epochs=epochs, step=step or Alignment(_no_distance), lr=lr,
                 batch_size=batch_size, seed=seed, progress=progress)  # fmt: skip
    with torch.no_grad():
        made = [model.body(part.values) for part in (target_parts[1], source_parts[1])]
        return AdaptedRun(model, result.history, result.seconds, *(model.head(f) for f in made), *made)


def _no_distance(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    return x.new_zeros(())
