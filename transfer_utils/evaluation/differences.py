"""Methods compared on the same test items and seeds, and what may be said about them.

Two kinds of luck have to be ruled out: other test items (bootstrap) and other seeds (Student's t). A method is called
higher only where both intervals of the difference lie above 0.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.profile import get_profile
from .intervals import Interval, mean_and_interval, percentile_interval
from .metrics import check_scores
from .resampling import MetricLike, bootstrap_values
from .weighted_metrics import Metric, accuracy, average_precision, balanced_accuracy, recall

Runs = Mapping[str, Tensor | Sequence[Tensor]]
HEADLINE_METRICS = (accuracy, recall, average_precision, balanced_accuracy)


@dataclass(frozen=True)
class Difference:
    """The metric of ``first`` minus that of ``second``, both on the same items and seeds.

    Attributes:
        over_items: what another test set could have given, the seeds averaged.
        over_seeds: what other seeds could have given, on these items; infinite with one seed.
        seeds: how many seeds there are.
    """

    first: str
    second: str
    metric: str
    over_items: Interval
    over_seeds: Interval
    seeds: int

    @property
    def mean(self) -> float:
        """The difference, averaged over the seeds."""
        return self.over_items.mean

    @property
    def above(self) -> bool:
        """Whether ``first`` is higher: all intervals that there are lie above 0."""
        return min(interval.low for interval in self._intervals) > 0

    @property
    def below(self) -> bool:
        """Whether ``first`` is lower: all intervals that there are lie below 0."""
        return max(interval.high for interval in self._intervals) < 0

    @property
    def separated(self) -> bool:
        """Whether the two can be told apart."""
        return self.above or self.below

    @property
    def verdict(self) -> str:
        """``"higher"``, ``"lower"`` or ``"not separated"``; with one seed, that only items were looked at."""
        said = "higher" if self.above else "lower" if self.below else "not separated"
        return said if self.seeds > 1 else f"{said} (one seed)"

    @property
    def _intervals(self) -> list[Interval]:
        return [self.over_items, self.over_seeds] if self.seeds > 1 else [self.over_items]

    def __str__(self) -> str:
        seeds = f"over seeds {signed_range(self.over_seeds)}" if self.seeds > 1 else "one seed"
        return f"{self.metric} {signed(self.mean)}, over items {signed_range(self.over_items)}, {seeds}"


@dataclass(frozen=True)
class Score:
    """A metric of one method: the value of each seed, and the interval of their mean over other test items."""

    method: str
    metric: str
    by_seed: tuple[float, ...]
    over_items: Interval

    @property
    def mean(self) -> float:
        """The mean over the seeds."""
        return self.over_items.mean

    @property
    def spread(self) -> float:
        """The standard deviation over the seeds; nan with one seed."""
        return float(np.std(self.by_seed, ddof=1)) if len(self.by_seed) > 1 else math.nan

    def __str__(self) -> str:
        spread = f" ± {self.spread:.3f}" if len(self.by_seed) > 1 else ""
        return f"{self.mean:.3f}{spread} [{self.over_items.low:.3f}, {self.over_items.high:.3f}]"


def differences(
    runs: Runs,
    labels: Tensor,
    *,
    against: str,
    metric: MetricLike | Sequence[MetricLike] = accuracy,
    samples: int | None = None,
) -> list[Difference]:
    """Return how every other method differs from the method ``against``.

    Pairs are kept in both ways: a resample takes the same items of both methods, and seed s of the one is compared
    with seed s of the other. The verdicts are not corrected for the number of comparisons: of twenty between equals,
    about one is called separated over the items alone.

    Args:
        runs: method -> test scores (S, N, C) of S seeds, a list of S scores (N, C), or (N, C) of one run. All methods
            the same seeds in the same order.
        labels: (N,), the class numbers.
        against: the method that is subtracted, one of ``runs``.
        metric: of ``evaluation/metrics.py``, or any function ``(scores (N, C), labels) -> float``; one or several.
        samples: resamples of the items; by default the profile's ``bootstrap_samples``.

    Raises:
        ValueError: ``against`` is not there or is alone; numbers of seeds, items or classes that differ; a metric
            that these labels do not allow, such as the recall of a class without items.

    Example:
        >>> sure = torch.eye(2)[torch.tensor([0, 1] * 10)]
        >>> found = differences({"A": sure, "B": -sure}, torch.tensor([0, 1] * 10), against="B")
        >>> found[0].verdict
        'higher (one seed)'
    """
    stacked = {name: _stacked(name, scores, labels) for name, scores in runs.items()}
    if against not in stacked:
        raise ValueError(f"There is no method {against!r} to compare with. There are: {', '.join(stacked)}.")
    if len(stacked) < 2:
        raise ValueError(f"There is nothing to compare {against!r} with: give the scores of a second method.")
    for name, scores in stacked.items():
        _require_pairs(name, scores, against, stacked[against])
    measured = _measure(stacked, labels, list(metric) if isinstance(metric, Sequence) else [metric], samples)
    return [one.difference(name, against) for name in stacked if name != against for one in measured]


def metric_scores(
    runs: Runs, labels: Tensor, metrics: Sequence[MetricLike] = HEADLINE_METRICS, samples: int | None = None
) -> dict[str, dict[str, Score]]:
    """Return ``{method: {metric: Score}}``: the values of the seeds, and the interval of their mean over the items.

    Args:
        runs: as in :func:`differences`; here the methods may have different numbers of seeds.
        labels, samples: as in :func:`differences`.
        metrics: as there; the keys of the result are their names, e.g. ``"average precision"``.
    """
    stacked = {name: _stacked(name, scores, labels) for name, scores in runs.items()}
    measured = _measure(stacked, labels, metrics, samples)
    return {name: {one.metric: one.score(name) for one in measured} for name in stacked}


def metric_name(metric: MetricLike) -> str:
    """Return how the metric is called in a table."""
    return metric.name if isinstance(metric, Metric) else getattr(metric, "__name__", "metric").replace("_", " ")


def signed_range(interval: Interval) -> str:
    """Return the ends of the interval of a difference, with their signs: ``−0.012 to +0.050``."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def signed(value: float) -> str:
    """Return a difference with its sign, a true minus: ``−0.012``."""
    return f"{value:+.3f}".replace("-", "−")


@dataclass(frozen=True)
class _Measured:
    """A metric of all methods: as it is, over the resamples (B,), and seed by seed (S,)."""

    metric: str
    value: dict[str, float]
    resampled: dict[str, Tensor]
    by_seed: dict[str, list[float]]

    def difference(self, first: str, second: str) -> Difference:
        value = self.value[first] - self.value[second]
        over_items = percentile_interval(value, self.resampled[first] - self.resampled[second])
        per_seed = np.subtract(self.by_seed[first], self.by_seed[second])
        return Difference(first, second, self.metric, over_items, mean_and_interval(per_seed), len(per_seed))

    def score(self, method: str) -> Score:
        over_items = percentile_interval(self.value[method], self.resampled[method])
        return Score(method, self.metric, tuple(self.by_seed[method]), over_items)


def _measure(
    stacked: Mapping[str, Tensor], labels: Tensor, metrics: Sequence[MetricLike], samples: int | None
) -> list[_Measured]:
    samples = get_profile().bootstrap_samples if samples is None else samples
    found = bootstrap_values(metrics, list(stacked.values()), labels, samples)
    for metric, (values, _) in zip(metrics, found, strict=True):
        if np.isnan(values).any():
            raise ValueError(f"{metric_name(metric)} is not a number: the labels lack a class that it needs.")
    return [
        _Measured(
            metric_name(metric),
            dict(zip(stacked, values, strict=True)),
            dict(zip(stacked, resampled, strict=True)),
            {name: [float(metric(run, labels)) for run in scores] for name, scores in stacked.items()},
        )
        for metric, (values, resampled) in zip(metrics, found, strict=True)
    ]


def _stacked(name: str, scores: Tensor | Sequence[Tensor], labels: Tensor) -> Tensor:
    """Return the scores of a method as (S, N, C)."""
    if not isinstance(scores, Tensor):
        scores = torch.stack(list(scores)) if len(scores) else torch.empty(0, 0, 0)
    scores = scores if scores.ndim == 3 else scores[None]
    if not len(scores):
        raise ValueError(f"{name!r} has no runs.")
    try:
        for run in scores:
            check_scores(run, labels)
    except ValueError as error:
        raise ValueError(f"The scores of {name!r} cannot be used. {error}") from None
    return scores


def _require_pairs(name: str, scores: Tensor, against: str, others: Tensor) -> None:
    for what, mine, theirs in zip(("seeds", "items", "classes"), scores.shape, others.shape, strict=True):
        if mine != theirs:
            raise ValueError(
                f"{name!r} has {mine} {what} and {against!r} has {theirs}. A difference is paired: give both methods "
                f"the same {what}, in the same order."
            )
