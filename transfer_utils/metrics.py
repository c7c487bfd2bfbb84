"""How good a classifier is, and how sure we can be of it.

The numbers themselves come from scikit-learn. Every interval in the course comes
from one of three places: seeds (:func:`mean_and_interval`), the finite test set
(:func:`bootstrap_interval`), and the same test set seen by two models
(:func:`paired_difference`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from sklearn import metrics as sk

from .seeding import named_seed


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of rows whose largest logit is at the label. Shapes (N, C) and (N,)."""
    return float((logits.argmax(1) == labels).double().mean())


def classification_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return accuracy, balanced accuracy, F1 and area under the ROC curve.

    Args:
        logits: (N, C), the scores of C classes.
        labels: (N,), integers 0 to C-1.

    Returns:
        With two classes, F1 and AUC are of class 1; with more, F1 is the mean over classes
        and AUC the mean of one class against the rest. AUC is ``nan`` where a class is absent.

    Raises:
        ValueError: a label is outside 0 to C-1, the shapes differ, or a score is not a number.
    """
    check_scores(logits, labels)
    truth, guess = labels.cpu().numpy(), logits.argmax(1).cpu().numpy()
    probability = logits.double().softmax(1).cpu().numpy()
    binary = logits.shape[1] == 2
    all_present = len(np.unique(truth)) == logits.shape[1]
    auc = float("nan")
    if all_present:
        auc = sk.roc_auc_score(truth, probability[:, 1] if binary else probability, multi_class="ovr")
    return {
        "accuracy": float(sk.accuracy_score(truth, guess)),
        "balanced_accuracy": float(np.mean([(guess == truth)[truth == c].mean() for c in np.unique(truth)])),
        "f1": float(sk.f1_score(truth, guess, average="binary" if binary else "macro", zero_division=0)),
        "auc": float(auc),
    }


def check_scores(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise ``ValueError`` unless (N, C) finite scores and N labels in 0..C-1 came."""
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ValueError(
            f"Expected logits (N, C) and labels (N,), N > 0; got {tuple(logits.shape)}, {tuple(labels.shape)}."
        )
    check_labels(labels, logits.shape[1])
    if not torch.isfinite(logits).all():
        raise ValueError("Some scores are NaN or infinite: training diverged. Lower the learning rate.")


def check_labels(labels: torch.Tensor, outputs: int) -> None:
    """Raise ``ValueError`` unless every label is one of 0 to ``outputs - 1``."""
    if labels.min() < 0 or labels.max() >= outputs:
        raise ValueError(
            f"Labels run from {int(labels.min())} to {int(labels.max())}, but the model has {outputs} "
            f"outputs, for labels 0 to {outputs - 1}. Replace the head or renumber the labels."
        )


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


def balanced_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean over the classes of the share of each that is found. Shapes (N, C) and (N,)."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == c].mean() for c in labels.unique()]).mean())


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


def paired_runs_difference(
    runs_a: Sequence[torch.Tensor],
    runs_b: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    samples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Return mean accuracy of A's runs minus that of B's on the same test images, with its bootstrap interval.

    As :func:`paired_difference`, but a method may have several runs (seeds), each (N, C): on every image it
    counts with the share of its runs that are right. The interval is over the images, not over the seeds.
    """
    stacked_a, stacked_b = torch.stack(list(runs_a)), torch.stack(list(runs_b))
    return paired_difference(stacked_a, stacked_b, labels, samples=samples, confidence=confidence, seed=seed)


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
