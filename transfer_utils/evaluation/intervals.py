"""How sure we can be of a result.

Every interval in the course comes from one of three places: seeds (:func:`mean_and_interval`), the finite test
set (:func:`bootstrap_interval`), and the same test set seen by two models (:func:`paired_difference`). The test
items are drawn anew in ``evaluation/resampling.py``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .resampling import MetricLike, bootstrap_values
from .weighted_metrics import accuracy, balanced_accuracy


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
    metric: MetricLike = accuracy,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return a metric and its percentile-bootstrap interval: what another test set could have given.

    What is drawn anew are the test items, each class by itself where the metric is made of shares within a class
    (:func:`transfer_utils.evaluation.resampling.bootstrap_weights`).

    Args:
        logits: (N, C), or (S, N, C) for several runs, whose mean is taken, in each resample too.
        labels: (N,).
        metric: one of ``evaluation/metrics.py``, computed for all resamples at once; or any function
            ``(logits, labels) -> float``, called for each resample and run.
        samples: how many resamples. The ends of the interval are percentiles of their values.

    Source: Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13 (percentile interval).
    """
    (value,), (values,) = bootstrap_values([metric], [logits], labels, samples, seed)[0]
    return percentile_interval(value, values, confidence)


def paired_difference(
    logits_a: torch.Tensor,
    logits_b: torch.Tensor,
    labels: torch.Tensor,
    *,
    metric: MetricLike = accuracy,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return the metric of A minus the metric of B on the same test items, with its bootstrap interval.

    Resampling the *same* items for both removes the luck they share, so this is sharper than comparing two
    intervals. An interval that holds 0 says: not separated. Each class is resampled by itself where the metric is
    made of shares within a class.

    Args:
        logits_a, logits_b: (N, C), or (S, N, C) for several runs of each, which are averaged.
        labels: (N,).
        metric: as in :func:`bootstrap_interval`.
    """
    (a, b), (values_a, values_b) = bootstrap_values([metric], [logits_a, logits_b], labels, samples, seed)[0]
    return percentile_interval(a - b, values_a - values_b, confidence)


def paired_balanced_difference(
    logits_a: torch.Tensor, logits_b: torch.Tensor, labels: torch.Tensor, **options: float
) -> Interval:
    """Return :func:`paired_difference` in balanced accuracy."""
    return paired_difference(logits_a, logits_b, labels, metric=balanced_accuracy, **options)


def percentile_interval(value: float, values: torch.Tensor, confidence: float = 0.95) -> Interval:
    """Return ``value`` with the interval between the percentiles of resampled ``values`` (B,); nan is left out."""
    tail = (1 - confidence) / 2 * 100
    low, high = np.nanpercentile(values, [tail, 100 - tail])
    return Interval(value, float(low), float(high))
