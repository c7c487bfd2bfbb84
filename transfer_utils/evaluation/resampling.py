"""Other test sets that could have been: the items drawn anew, with replacement, as weights.

The plain bootstrap of Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 6; within each class
where the metric asks for it (its chapter 8, several samples).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from ..runtime.seeding import named_seed
from .weighted_metrics import Metric

MetricLike = Metric | Callable[[Tensor, Tensor], float]

_CELLS = 4_000_000  # of the weights that are in memory at once: 32 MB


def bootstrap_weights(labels: Tensor, samples: int, seed: int = 0, *, within_classes: bool = False) -> Iterator[Tensor]:
    """Yield the weights of ``samples`` resamples in blocks (B, N): how often each item was drawn.

    Args:
        labels: (N,).
        within_classes: draw from each class as many as it has. Right for metrics that are shares within a class, such
            as recall: how many items of the class a test set has is then fixed by its design and no part of the luck,
            and no resample lacks a class. Otherwise N items are drawn from all, and the classes vary as well.

    Raises:
        ValueError: there are no items, or less than one resample is asked for.

    Example:
        >>> next(bootstrap_weights(torch.tensor([0, 0, 1]), samples=5)).sum(1)
        tensor([3., 3., 3., 3., 3.], dtype=torch.float64)
    """
    count = len(labels)
    if not count or samples < 1:
        raise ValueError(f"Nothing to resample: {count} items, {samples} resamples. Give at least one of each.")
    labels = labels.cpu()
    parts = [(labels == c).nonzero()[:, 0].numpy() for c in labels.unique()] if within_classes else [np.arange(count)]
    streams = [np.random.default_rng(named_seed(seed + i, "bootstrap", len(part))) for i, part in enumerate(parts)]
    block = max(1, _CELLS // count)
    for done in range(0, samples, block):
        weights = np.zeros((min(block, samples - done), count))
        for part, stream in zip(parts, streams, strict=True):
            drawn = part[stream.integers(0, len(part), size=(len(weights), len(part)))]
            cells = drawn + count * np.arange(len(weights))[:, None]
            weights += np.bincount(cells.ravel(), minlength=weights.size).reshape(weights.shape)
        yield torch.from_numpy(weights)


def bootstrap_values(
    metrics: Sequence[MetricLike], runs: Sequence[Tensor], labels: Tensor, samples: int, seed: int = 0
) -> list[tuple[list[float], list[Tensor]]]:
    """Return for each metric its values, one for each entry of ``runs``, and the same for each resample.

    All metrics and runs see the same resamples, so differences between them are paired.

    Args:
        runs: each (N, C), or (S, N, C) for several runs of a method, which are averaged.
        labels: (N,).

    Returns:
        A pair for each metric: the values as they are, and resampled, (samples,) each.
    """
    runs, labels = [scores.detach().cpu() for scores in runs], labels.detach().cpu()
    found: list[tuple[list[float], list[Tensor]]] = []
    for metric in metrics:
        within = isinstance(metric, Metric) and metric.within_classes
        blocks = [
            [_resampled(metric, scores, labels, weights) for scores in runs]
            for weights in bootstrap_weights(labels, samples, seed, within_classes=within)
        ]
        as_they_are = [_mean_over_runs(metric, scores, labels) for scores in runs]
        found.append((as_they_are, [torch.cat(parts) for parts in zip(*blocks, strict=True)]))
    return found


def _resampled(metric: MetricLike, scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the metric, averaged over runs, for each row of ``weights``: (B,)."""
    if isinstance(metric, Metric):
        return metric(scores, labels, weights).mean(1)
    drawn = (torch.arange(len(labels)).repeat_interleave(row.long()) for row in weights)
    values = [_mean_over_runs(metric, scores.index_select(-2 % scores.ndim, i), labels[i]) for i in drawn]
    return torch.tensor(values, dtype=torch.float64)


def _mean_over_runs(metric: MetricLike, scores: Tensor, labels: Tensor) -> float:
    if scores.ndim < 3:
        return float(metric(scores, labels))
    return float(np.mean([float(metric(run, labels)) for run in scores]))
