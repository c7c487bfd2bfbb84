"""Metrics of many runs and many weightings of the items at once.

A bootstrap resample is a weighting: an item that was drawn twice weighs 2, one that was not drawn weighs 0. Written
by weights, a share is a product of matrices, so thousands of resamples of ten runs take a fraction of a second.

Each metric here is called in two ways, with ``scores`` (N, C) of one run or (S, N, C) of S runs::

    recall(scores, labels)             # one number, or (S,)
    recall(scores, labels, weights)    # (B, S): for each of B weightings (B, N), each run

With weights they equal those of scikit-learn with ``sample_weight``. Where an item of weight 0 could matter, it
does not: it counts as absent. With two classes, recall, F1, AUC and average precision are of class 1; with more they
are the mean over the classes (macro average).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

_CELLS = 100_000  # weights that are ranked at once: what fits into a processor's cache goes several times faster
Weighted = Callable[[Tensor, Tensor, Tensor], Tensor]  # scores (S, N, C), labels (N,), weights (B, N) -> (B, S)


class Metric:
    """A metric that can be called with weights; used as a decorator on the formula.

    Attributes:
        name: how it is called in tables, e.g. ``"average precision"``.
        within_classes: made of shares *within* a class only. How many items a class has is then no part of the luck
            that a bootstrap should imitate, and it resamples each class by itself.
        of_class_1: with two classes, made of what is said about class 1, so that its items are those that count.

    Raises, when called:
        ValueError: shapes that do not fit, or negative weights.

    Example:
        >>> scores, labels = torch.tensor([[2.0, 1.0], [0.0, 1.0], [3.0, 0.0]]), torch.tensor([0, 1, 1])
        >>> recall(scores, labels)
        0.5
        >>> recall(scores, labels, torch.tensor([[1.0, 3.0, 1.0]]))
        tensor([[0.7500]], dtype=torch.float64)
    """

    def __init__(self, formula: Weighted, name: str, within_classes: bool, of_class_1: bool) -> None:
        self.formula, self.name, self.within_classes, self.of_class_1 = formula, name, within_classes, of_class_1
        self.__name__, self.__doc__, self.__wrapped__ = formula.__name__, formula.__doc__, formula

    def __repr__(self) -> str:
        return f"<metric {self.name}>"

    def __call__(self, scores: Tensor, labels: Tensor, weights: Tensor | None = None) -> float | Tensor:
        """Return the metric: a float for (N, C), (S,) for (S, N, C), and with ``weights`` (B, N) always (B, S)."""
        runs = _checked_runs(scores, labels)
        labels = labels.detach().cpu()
        if weights is not None:
            return self.formula(runs, labels, _checked_weights(weights, len(labels)))
        values = self.formula(runs, labels, torch.ones(1, len(labels), dtype=torch.float64))[0]
        return float(values[0]) if scores.ndim == 2 else values

    def items_that_count(self, labels: Tensor, classes: int) -> int:
        """Return of how many items (N,) the metric is made: where classes count, of the smallest that does.

        Example:
            >>> labels = torch.tensor([0, 0, 0, 0, 1])
            >>> [metric.items_that_count(labels, classes=2) for metric in (accuracy, recall, balanced_accuracy)]
            [5, 1, 1]
        """
        if self.of_class_1 and classes == 2:
            return int((labels == 1).sum())
        if self.within_classes or self.of_class_1:
            return int(labels.unique(return_counts=True)[1].min())
        return len(labels)


def _checked_runs(scores: Tensor, labels: Tensor) -> Tensor:
    if scores.ndim not in (2, 3) or labels.shape != scores.shape[-2:-1]:
        raise ValueError(
            "Expected scores (N, C) of one run or (S, N, C) of S runs, and labels (N,); "
            f"got {tuple(scores.shape)} and {tuple(labels.shape)}."
        )
    return scores.detach().cpu().reshape(-1, *scores.shape[-2:])


def _checked_weights(weights: Tensor, count: int) -> Tensor:
    if weights.ndim != 2 or weights.shape[1] != count:
        raise ValueError(f"Expected weights (B, {count}), a row a weighting; got {tuple(weights.shape)}.")
    if (weights < 0).any():
        raise ValueError("A weight is negative. Weights say how often an item counts: 0 or more.")
    return weights.detach().cpu().double()


def metric(name: str, *, within_classes: bool, of_class_1: bool = False) -> Callable[[Weighted], Metric]:
    """Turn a formula ``(scores (S, N, C), labels (N,), weights (B, N)) -> (B, S)`` into a :class:`Metric`."""
    return lambda formula: Metric(formula, name, within_classes, of_class_1)


# ------------------------------------------------------------------ of the guess


@metric("accuracy", within_classes=False)
def accuracy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the share of items whose largest score is at the label.

    Args:
        scores: (N, C), or (S, N, C) for S runs.
        labels: (N,), class numbers.
        weights: (B, N), optional.

    Returns:
        A float, (S,), or with weights (B, S).
    """
    return weights @ _right(scores, labels).T / weights.sum(1, keepdim=True)


@metric("balanced accuracy", within_classes=True)
def balanced_accuracy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over the classes of the share of each that is found; a class without weight is left out.

    Args and result as in :func:`accuracy`.
    """
    return torch.stack([_found(scores, labels, weights, c) for c in labels.unique()]).nanmean(0)


@metric("recall", within_classes=True, of_class_1=True)
def recall(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the share of class 1 that is found: of the defects, those that the classifier calls defects.

    With more than two classes it is the mean over the classes, which is the balanced accuracy. Args and result as in
    :func:`accuracy`; ``nan`` where class 1 is absent.
    """
    if scores.shape[-1] != 2:
        return balanced_accuracy.formula(scores, labels, weights)
    return _found(scores, labels, weights, 1)


@metric("F1", within_classes=False, of_class_1=True)
def f1(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    r"""Return the harmonic mean of precision and recall, :math:`2 TP / (2 TP + FP + FN)`, of class 1.

    With more than two classes it is the mean over those that are there or were guessed. Args and result as in
    :func:`accuracy`; 0 where class 1 neither is there nor was guessed.
    """
    guess, per_class = scores.argmax(-1), []
    for c in [1] if scores.shape[-1] == 2 else range(scores.shape[-1]):
        guessed, there = (guess == c).double(), (labels == c).double()
        both = weights @ guessed.T + (weights @ there)[:, None]  # 2 TP + FP + FN
        per_class.append(2 * (weights @ (guessed * there).T) / both)  # nan where the class plays no part
    return torch.stack(per_class).nanmean(0).nan_to_num(0.0)


def _right(scores: Tensor, labels: Tensor) -> Tensor:
    """Return for each run and item whether the guess is right, (S, N), as 0.0 or 1.0."""
    return (scores.argmax(-1) == labels).double()


def _found(scores: Tensor, labels: Tensor, weights: Tensor, c: int | Tensor) -> Tensor:
    """Return the share of class ``c`` that is found, (B, S); nan where the class has no weight."""
    inside = labels == c
    of_class = weights[:, inside]
    return of_class @ _right(scores[:, inside], labels[inside]).T / of_class.sum(1, keepdim=True)


# ------------------------------------------------------ of items that are tasks


@metric("accuracy", within_classes=False)
def episode_accuracy(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the mean over episodes: an item is a small task, its one score the accuracy that was reached on it.

    Args:
        scores: (N, 1), or (S, N, 1) for S runs: the accuracy on each of N episodes.
        labels: (N,), zeros: an episode has no class.
        weights: (B, N), optional.

    Returns:
        As :func:`accuracy`.
    """
    return weights @ scores[..., 0].double().T / weights.sum(1, keepdim=True)


# --------------------------------------------------------------- of the ranking


@metric("AUC", within_classes=True)
def auc(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Return the area under the ROC curve: how often an item of class 1 has a higher score than one of class 0.

    A tie counts half (the trapezoidal rule; Fawcett 2006, "An introduction to ROC analysis", section 7). With more
    than two classes, the mean of each class against the rest. Args and result as in :func:`accuracy`; ``nan`` where
    a class is absent.
    """
    return _over_classes(scores, labels, weights, _area_under_roc)


@metric("average precision", within_classes=False, of_class_1=True)
def average_precision(scores: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    r"""Return the average precision of class 1, :math:`\sum_n (R_n - R_{n-1}) P_n` over falling thresholds.

    :math:`P_n` and :math:`R_n` are precision and recall at the n-th threshold, as in scikit-learn, without
    interpolation. Who guesses at random gets the share of class 1. With more than two classes, the mean of each class
    against the rest. Args and result as in :func:`accuracy`; ``nan`` where a class that is looked for is absent.
    """
    return _over_classes(scores, labels, weights, _average_precision)


Area = Callable[[Tensor, Tensor], Tensor]  # weight of positives and of all at or above each value (G, B) -> (B,)


def _over_classes(scores: Tensor, labels: Tensor, weights: Tensor, area: Area) -> Tensor:
    """Return the mean over the classes of the area of a class against the rest, (B, S)."""
    if not torch.isfinite(scores).all():
        raise ValueError("Some scores are NaN or infinite: training diverged. Lower the learning rate.")
    scores = scores.double()
    two = scores.shape[-1] == 2  # the difference of two scores has the order of their softmax, and no rounding to 1
    ranked = {1: scores[..., 1] - scores[..., 0]} if two else dict(enumerate(scores.softmax(-1).unbind(-1)))
    per_class = [
        torch.stack([_over_thresholds(values, labels == c, weights, area) for values in by_run], 1)
        for c, by_run in ranked.items()
    ]
    return torch.stack(per_class).mean(0)


def _over_thresholds(values: Tensor, positive: Tensor, weights: Tensor, area: Area) -> Tensor:
    """Return the area under a curve whose thresholds are the distinct ``values`` (N,) from high to low: (B,)."""
    order = values.argsort(descending=True)
    ordered, positives = values[order], positive[order].double()[:, None]
    last = torch.cat([ordered[1:] != ordered[:-1], torch.tensor([True])])  # of the items that share a value
    found = []
    for block in weights.split(max(1, _CELLS // len(values))):
        in_order = block.T[order]  # (N, b): sums over dimension 0 run along whole rows
        found.append(area((in_order * positives).cumsum(0)[last], in_order.cumsum(0)[last]))
    return torch.cat(found)


def _area_under_roc(positives: Tensor, above: Tensor) -> Tensor:
    negatives = above - positives
    below = negatives[-1] - negatives + _steps(negatives) / 2  # half of the negatives at the threshold itself
    return (_steps(positives) * below).sum(0) / (positives[-1] * negatives[-1])


def _average_precision(positives: Tensor, above: Tensor) -> Tensor:
    precision = (positives / above).nan_to_num(0.0)  # above the first item with a weight, nothing is added
    return (_steps(positives) * precision).sum(0) / positives[-1]


def _steps(cumulated: Tensor) -> Tensor:
    """Undo ``cumsum``: what each threshold adds."""
    return torch.diff(cumulated, dim=0, prepend=torch.zeros_like(cumulated[:1]))
