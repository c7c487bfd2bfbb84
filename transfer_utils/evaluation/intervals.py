"""How sure we can be of a result.

Every interval in the course comes from one of three places: seeds (:func:`mean_and_interval`), the finite test
set (:func:`bootstrap_interval`), and the same test set seen by two models (:func:`paired_difference`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ..runtime.seeding import named_seed
from .metrics import accuracy


@dataclass(frozen=True)
class Interval:
    """A mean and the ends of its interval; ``str()`` gives ``0.845 [0.837, 0.853]``."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.mean:.3f} [{self.low:.3f}, {self.high:.3f}]"

    @property
    def spread(self) -> float:
        """Half the width: the number behind the plus-minus sign."""
        return (self.high - self.low) / 2

    def overlaps(self, other: Interval) -> bool:
        """Return whether the two intervals share a point."""
        return self.low <= other.high and other.low <= self.high


def mean_and_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean over runs and its Student-t interval: what another set of seeds could have given.

    With one run nothing is known about the spread, and the interval is infinite.
    """
    from scipy import stats

    array = np.asarray(values, dtype=float)
    if not len(array):
        raise ValueError("There are no values to take a mean of.")
    if len(array) == 1:
        return Interval(float(array[0]), -np.inf, np.inf)
    error = array.std(ddof=1) / np.sqrt(len(array))
    half = float(stats.t.ppf((1 + confidence) / 2, len(array) - 1) * error)
    return Interval(float(array.mean()), float(array.mean() - half), float(array.mean() + half))


def bootstrap_interval(
    logits: torch.Tensor,
    labels: torch.Tensor,
    metric: Callable[[torch.Tensor, torch.Tensor], float] = accuracy,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a metric and its percentile-bootstrap interval: what another test set could have given."""
    values = [metric(logits[i], labels[i]) for i in _resamples(len(labels), samples, seed)]
    return _percentiles(metric(logits, labels), values, confidence)


def paired_difference(
    logits_a: torch.Tensor,
    logits_b: torch.Tensor,
    labels: torch.Tensor,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return accuracy of A minus accuracy of B on the same test images, with its bootstrap interval.

    Resampling the *same* images for both removes the luck they share, so this is sharper than
    comparing two intervals. An interval that holds 0 says: not separated.

    Args:
        logits_a, logits_b: (N, C), or (runs, N, C) for several runs of each, which are averaged.
        labels: (N,).
    """
    difference = _share_right(logits_a, labels) - _share_right(logits_b, labels)  # (N,)
    values = difference[_resamples(len(labels), samples, seed)].mean(1)
    return _percentiles(float(difference.mean()), values, confidence)


def paired_balanced_difference(
    logits_a: torch.Tensor,
    logits_b: torch.Tensor,
    labels: torch.Tensor,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return :func:`paired_difference` for the balanced accuracy; each class is resampled by itself.

    Args:
        logits_a, logits_b: (N, C), or (runs, N, C) for several runs of each, which are averaged.
        labels: (N,).
    """
    parts = [labels == c for c in labels.unique()]
    gain = _share_right(logits_a, labels) - _share_right(logits_b, labels)  # (N,)
    drawn = [gain[part][_resamples(int(part.sum()), samples, seed + i)].mean(1) for i, part in enumerate(parts)]
    mean = torch.stack([gain[part].mean() for part in parts]).mean()
    return _percentiles(float(mean), torch.stack(drawn).mean(0), confidence)


def _share_right(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return for each item the share of runs that are right, (N,), from (N, C) or (runs, N, C)."""
    return (logits.argmax(-1) == labels).double().reshape(-1, len(labels)).mean(0)


def _resamples(count: int, samples: int, seed: int) -> torch.Tensor:
    random = np.random.default_rng(named_seed(seed, "bootstrap", count))
    return torch.from_numpy(random.integers(0, count, size=(samples, count)))


def _percentiles(value: float, values: Sequence[float], confidence: float) -> Interval:
    tail = (1 - confidence) / 2 * 100
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return Interval(value, float(low), float(high))
