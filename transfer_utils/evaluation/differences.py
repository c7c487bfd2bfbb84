"""Methods compared on the same test items and seeds, and what may be said about them.

A difference has two sources of variation: other test items (bootstrap) and other seeds (Student's t). Each interval
looks at one of them and takes the other as given, so a verdict that asks each interval by itself is given too often
where both matter. The verdict combines them: towards 0, the squares of the two half-widths are added, as variances of
independent sources are, and what is left of the difference must be above 0. Of fewer than ten items nothing is said.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from .intervals import Interval, mean_and_interval, percentile_interval
from .method_scores import Labels, Measured, Runs, as_metrics, measure_methods, stacked_methods
from .resampling import MetricLike
from .weighted_metrics import accuracy

MIN_ITEMS = 10  # fewer are often all right or all wrong, and drawn anew they are the same: an interval without a width


@dataclass(frozen=True)
class Difference:
    """The metric of ``first`` minus that of ``second``, both on the same items and seeds.

    Attributes:
        over_items: what another test set could have given, the seeds averaged.
        over_seeds: what other seeds could have given, on these items; infinite with one seed.
        seeds: how many seeds there are.
        items: how many items count: of a metric that is made of shares within classes, those of the smallest class
            that counts. With fewer than ``MIN_ITEMS`` no method is called higher or lower.
    """

    first: str
    second: str
    metric: str
    over_items: Interval
    over_seeds: Interval
    seeds: int
    items: int

    @property
    def mean(self) -> float:
        """The difference, averaged over the seeds."""
        return self.over_items.mean

    @property
    def over_both(self) -> Interval:
        """What other items and other seeds together could have given; with one seed, the interval over the items."""
        if self.seeds < 2:
            return self.over_items
        parts = (self.over_items, self.over_seeds)
        down = math.hypot(*(self.mean - part.low for part in parts))
        up = math.hypot(*(part.high - self.mean for part in parts))
        return Interval(self.mean, self.mean - down, self.mean + up)

    @property
    def above(self) -> bool:
        """Whether ``first`` is higher: the interval over both sources lies above 0; with one seed, for this seed."""
        return not self._too_few and self.over_both.low > 0

    @property
    def below(self) -> bool:
        """Whether ``first`` is lower: the interval over both sources lies below 0; with one seed, for this seed."""
        return not self._too_few and self.over_both.high < 0

    @property
    def separated(self) -> bool:
        """Whether the two can be told apart."""
        return self.above or self.below

    @property
    def verdict(self) -> str:
        """``"higher"``, ``"lower"`` or ``"not separated"``; with one seed ``"higher for this seed"`` and so on.

        Of one seed only the items are judged: what another seed gives was not looked at, and may be the opposite.
        With fewer than ``MIN_ITEMS`` items that count it is ``"too few items"``.
        """
        if self._too_few:
            return "too few items"
        said = "higher" if self.above else "lower" if self.below else "not separated"
        return said if self.seeds > 1 else f"{said} for this seed"

    @property
    def _too_few(self) -> bool:
        return self.items < MIN_ITEMS

    def __str__(self) -> str:
        """Return it as evidence for a claim, with the hyphen as minus: any terminal can print it."""
        seeds = f"over seeds {signed_range(self.over_seeds)}" if self.seeds > 1 else "one seed"
        shown = f"{self.metric} {signed(self.mean)}, over items {signed_range(self.over_items)}, {seeds}"
        return shown.replace("−", "-") + (", too few items" if self._too_few else "")


def differences(
    runs: Runs,
    labels: Labels,
    *,
    against: str,
    metric: MetricLike | Sequence[MetricLike] = accuracy,
    samples: int | None = None,
) -> list[Difference]:
    """Return how every other method differs from the method ``against``.

    Pairs are kept in both ways: a resample takes the same items of both methods, and seed s of the one is compared
    with seed s of the other. The verdicts are not corrected for the number of comparisons: with several seeds, of a
    hundred between methods that are equal in the population up to about five are called separated. With one seed it
    is so only for the two networks that were trained; the methods may be equal and are called separated far more often.

    Args:
        runs: method -> test scores (S, N, C) of S seeds, a list of S scores (N, C), or (N, C) of one run: tensors, on
            any device, or NumPy arrays. All methods the same seeds in the same order.
        labels: (N,), the class numbers: a tensor, an array or a list.
        against: the method that is subtracted, one of ``runs``.
        metric: of ``evaluation/metrics.py``, or any function ``(scores (N, C), labels) -> float``; one or several.
        samples: resamples of the items; by default the profile's ``bootstrap_samples``.

    Raises:
        TypeError: runs that are no dictionary, or a metric that is no function.
        ValueError: no metric; ``against`` is not there or is alone; numbers of seeds, items or classes that differ; a
            metric that these labels do not allow, such as the recall of a class without items.

    Example:
        >>> sure = torch.eye(2)[torch.tensor([0, 1] * 10)]
        >>> found = differences({"A": sure, "B": -sure}, torch.tensor([0, 1] * 10), against="B")
        >>> found[0].verdict
        'higher for this seed'
    """
    metrics = as_metrics(metric)
    stacked, labels = stacked_methods(runs, labels)
    if against not in stacked:
        raise ValueError(f"There is no method {against!r} to compare with. There are: {', '.join(stacked)}.")
    if len(stacked) < 2:
        raise ValueError(f"There is nothing to compare {against!r} with: give the scores of a second method.")
    for name, scores in stacked.items():
        _require_pairs(name, scores, against, stacked[against])
    measured = measure_methods(stacked, labels, metrics, samples)
    return [_difference(one, name, against) for name in stacked if name != against for one in measured]


def signed_range(interval: Interval) -> str:
    """Return the ends of the interval of a difference, with their signs: ``−0.012 to +0.050``."""
    return f"{signed(interval.low)} to {signed(interval.high)}"


def signed(value: float) -> str:
    """Return a difference with its sign, a true minus: ``−0.012``."""
    return f"{value:+.3f}".replace("-", "−")


def _difference(measured: Measured, first: str, second: str) -> Difference:
    value = measured.value[first] - measured.value[second]
    over_items = percentile_interval(value, measured.resampled[first] - measured.resampled[second])
    per_seed = np.subtract(measured.by_seed[first], measured.by_seed[second])
    return Difference(
        first, second, measured.metric, over_items, mean_and_interval(per_seed), len(per_seed), measured.items
    )


def _require_pairs(name: str, scores: Tensor, against: str, others: Tensor) -> None:
    for what, axis in (("seeds", 0), ("classes", 2)):  # the items were compared with the labels
        if scores.shape[axis] != others.shape[axis]:
            raise ValueError(
                f"{name!r} has {scores.shape[axis]} {what} and {against!r} has {others.shape[axis]}. "
                f"A difference is paired: give both methods the same {what}, in the same order."
            )
