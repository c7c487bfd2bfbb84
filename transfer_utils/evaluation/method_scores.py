"""What each of several methods reaches on the same test items: seed by seed, and over other test sets."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..runtime.profile import get_profile
from .intervals import Interval, percentile_interval
from .metrics import check_scores
from .resampling import MetricLike, bootstrap_values
from .weighted_metrics import Metric, accuracy, average_precision, balanced_accuracy, recall

Arrays = Tensor | np.ndarray | Sequence[Tensor] | Sequence[np.ndarray]
Runs = Mapping[str, Arrays]
Labels = Tensor | np.ndarray | Sequence[int]
HEADLINE_METRICS = (accuracy, recall, average_precision, balanced_accuracy)


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


def metric_scores(
    runs: Runs,
    labels: Labels,
    metrics: MetricLike | Sequence[MetricLike] = HEADLINE_METRICS,
    samples: int | None = None,
) -> dict[str, dict[str, Score]]:
    """Return ``{method: {metric: Score}}``: the values of the seeds, and the interval of their mean over the items.

    Args:
        runs: method -> test scores (S, N, C) of S seeds, a list of S scores (N, C), or (N, C) of one run: tensors, on
            any device, or NumPy arrays. The methods may have different numbers of seeds.
        labels: (N,), the class numbers: a tensor, an array or a list.
        metrics: one or several of ``evaluation/metrics.py``, or any functions ``(scores (N, C), labels) -> float``. The
            keys of the result are their names, e.g. ``"average precision"``.
        samples: resamples of the items; by default the profile's ``bootstrap_samples``.

    Raises:
        TypeError: runs that are no dictionary, or a metric that is no function.
        ValueError: no metric, scores that do not fit the labels, or labels that lack a class that a metric needs.
    """
    metrics = as_metrics(metrics)
    stacked, labels = stacked_methods(runs, labels)
    measured = measure_methods(stacked, labels, metrics, samples)
    return {name: {one.metric: one.score(name) for one in measured} for name in stacked}


def metric_name(metric: MetricLike) -> str:
    """Return how the metric is called in a table."""
    return metric.name if isinstance(metric, Metric) else getattr(metric, "__name__", "metric").replace("_", " ")


@dataclass(frozen=True)
class Measured:
    """A metric of all methods: as it is, over the resamples (B,), and seed by seed (S,); ``items`` that count."""

    metric: str
    value: dict[str, float]
    resampled: dict[str, Tensor]
    by_seed: dict[str, list[float]]
    items: int

    def score(self, method: str) -> Score:
        """Return what ``method`` reaches."""
        over_items = percentile_interval(self.value[method], self.resampled[method])
        return Score(method, self.metric, tuple(self.by_seed[method]), over_items)


def measure_methods(
    stacked: Mapping[str, Tensor], labels: Tensor, metrics: Sequence[MetricLike], samples: int | None
) -> list[Measured]:
    """Return for each metric what all methods reach; all of them see the same resamples of the items.

    Args:
        stacked: method -> scores (S, N, C), from :func:`stacked_methods`.
        samples: resamples; ``None`` for the profile's ``bootstrap_samples``.

    Raises:
        ValueError: a metric that these labels do not allow, such as the recall of a class without items.
    """
    samples = get_profile().bootstrap_samples if samples is None else samples
    classes = min(scores.shape[2] for scores in stacked.values())
    found = bootstrap_values(metrics, list(stacked.values()), labels, samples)
    for metric, (values, _) in zip(metrics, found, strict=True):
        if np.isnan(values).any():
            raise ValueError(f"{metric_name(metric)} is not a number: the labels lack a class that it needs.")
    return [
        Measured(
            metric_name(metric),
            dict(zip(stacked, values, strict=True)),
            dict(zip(stacked, resampled, strict=True)),
            {name: [float(metric(run, labels)) for run in scores] for name, scores in stacked.items()},
            metric.items_that_count(labels, classes) if isinstance(metric, Metric) else len(labels),
        )
        for metric, (values, resampled) in zip(metrics, found, strict=True)
    ]


def as_metrics(metrics: MetricLike | Sequence[MetricLike]) -> list[MetricLike]:
    """Return one or several metrics as a list.

    Raises:
        TypeError: something that is no function, such as the name of a metric.
        ValueError: an empty list.
    """
    found = [metrics] if callable(metrics) or not isinstance(metrics, list | tuple) else list(metrics)
    offered = "transfer_utils.evaluation.metrics has accuracy, balanced_accuracy, recall, f1, auc and average_precision"
    if not found:
        raise ValueError(f"There is no metric. Give one or several: {offered}.")
    for one in found:
        if not callable(one):
            raise TypeError(f"A metric is a function, without quotation marks: {offered}. This is none: {one!r}.")
    return found


def stacked_methods(runs: Runs, labels: Labels) -> tuple[dict[str, Tensor], Tensor]:
    """Return the scores of every method as (S, N, C) and the labels (N,) as tensors in memory, checked.

    Raises:
        TypeError: runs that are no dictionary.
        ValueError: scores or labels that are no numbers, or do not fit together.
    """
    if not isinstance(runs, Mapping):
        raise TypeError(f"The runs must be a dictionary, method -> scores; they are {type(runs).__name__}.")
    try:
        labels = _in_memory(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"The labels cannot be used: give (N,) class numbers. {error}") from None
    return {name: stacked_runs(name, scores, labels) for name, scores in runs.items()}, labels


def stacked_runs(name: str, scores: Arrays, labels: Tensor) -> Tensor:
    """Return the scores of the method ``name`` as (S, N, C), checked.

    Raises:
        ValueError: no runs, or scores that do not fit the labels; the text names the method.
    """
    try:
        several = not isinstance(scores, Tensor | np.ndarray)
        stacked = torch.stack([_in_memory(run) for run in scores]) if several and len(scores) else _in_memory(scores)
        stacked = stacked if stacked.ndim == 3 else stacked[None]
        if stacked.numel():
            for run in stacked:
                check_scores(run, labels)
    except (TypeError, ValueError, RuntimeError) as error:  # torch's own, where runs differ in shape or are no numbers
        raise ValueError(f"The scores of {name!r} cannot be used. {error}") from None
    if not stacked.numel():
        raise ValueError(f"{name!r} has no runs.")
    return stacked


def _in_memory(values: Labels | Arrays) -> Tensor:
    return torch.as_tensor(values).detach().cpu()
