"""How good a classifier is, and whether scores and labels fit together."""

from __future__ import annotations

import torch

from .weighted_metrics import (
    Metric,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    episode_accuracy,
    f1,
    recall,
)

__all__ = [
    "Metric",
    "accuracy",
    "auc",
    "average_precision",
    "balanced_accuracy",
    "check_labels",
    "check_scores",
    "classification_metrics",
    "episode_accuracy",
    "f1",
    "recall",
]


def classification_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return accuracy, balanced accuracy, F1, area under the ROC curve, recall and average precision.

    Args:
        logits: (N, C), the scores of C classes.
        labels: (N,), int64, the class numbers 0 to C-1.

    Returns:
        The keys ``accuracy, balanced_accuracy, f1, auc, recall, average_precision``. With two classes, the last four
        are of class 1; with more, the mean over classes (AUC and average precision: of one class against the rest).
        What needs a class that is absent is ``nan``.

    Raises:
        ValueError: labels that are no class numbers 0 to C-1, shapes that differ, or a score that is not a number.

    Example:
        >>> found = classification_metrics(torch.tensor([[2.0, 1.0], [0.0, 1.0]]), torch.tensor([0, 1]))
        >>> found["recall"]
        1.0
    """
    check_scores(logits, labels)
    metrics = (accuracy, balanced_accuracy, f1, auc, recall, average_precision)
    return {metric.__name__: metric(logits, labels) for metric in metrics}


def check_scores(logits: torch.Tensor, labels: torch.Tensor) -> None:
    """Raise ``ValueError`` unless (N, C) finite scores and N labels in 0..C-1 came."""
    _require_class_numbers(labels)
    if logits.ndim != 2 or labels.shape != logits.shape[:1] or len(labels) == 0:
        raise ValueError(
            f"Expected logits (N, C) and labels (N,), N > 0; got {tuple(logits.shape)}, {tuple(labels.shape)}."
        )
    check_labels(labels, logits.shape[1])
    if not torch.isfinite(logits).all():
        raise ValueError("Some scores are NaN or infinite: training diverged. Lower the learning rate.")


def check_labels(labels: torch.Tensor, outputs: int) -> None:
    """Raise ``ValueError`` unless the labels are int64 (N,), each one of 0 to ``outputs - 1``."""
    _require_class_numbers(labels)
    if labels.min() < 0 or labels.max() >= outputs:
        raise ValueError(
            f"Labels run from {int(labels.min())} to {int(labels.max())}, but the model has {outputs} "
            f"outputs, for labels 0 to {outputs - 1}. Replace the head or renumber the labels."
        )


def _require_class_numbers(labels: torch.Tensor) -> None:
    if labels.ndim != 1:
        mend = "labels.squeeze(1)" if labels.shape[1:] == (1,) else "labels.argmax(1) where they are one-hot."
        raise ValueError(
            f"Labels must be one class number an item, shape (N,); theirs is {tuple(labels.shape)}. {mend}"
        )
    if labels.dtype != torch.int64:
        raise ValueError(
            f"Labels must be integers of type int64, the class numbers; they are {labels.dtype}. labels.long()"
        )
