"""How good a classifier is. The numbers themselves come from scikit-learn."""

from __future__ import annotations

import numpy as np
import torch


def accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the share of rows whose largest logit is at the label. Shapes (N, C) and (N,)."""
    return float((logits.argmax(1) == labels).double().mean())


def classification_metrics(logits: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Return accuracy, balanced accuracy, F1 and area under the ROC curve.

    Args:
        logits: (N, C), the scores of C classes.
        labels: (N,), int64, the class numbers 0 to C-1.

    Returns:
        With two classes, F1 and AUC are of class 1; with more, F1 is the mean over classes
        and AUC the mean of one class against the rest. AUC is ``nan`` where a class is absent.

    Raises:
        ValueError: labels that are no class numbers 0 to C-1, shapes that differ, or a score that is not a number.
    """
    from sklearn import metrics as sk

    check_scores(logits, labels)
    logits, labels = logits.cpu(), labels.cpu()
    truth, guess, probability = labels.numpy(), logits.argmax(1).numpy(), logits.double().softmax(1).numpy()
    binary = logits.shape[1] == 2
    all_present = len(np.unique(truth)) == logits.shape[1]
    auc = float("nan")
    if all_present:
        auc = sk.roc_auc_score(truth, probability[:, 1] if binary else probability, multi_class="ovr")
    return {
        "accuracy": accuracy(logits, labels),
        "balanced_accuracy": balanced_accuracy(logits, labels),
        "f1": float(sk.f1_score(truth, guess, average="binary" if binary else "macro", zero_division=0)),
        "auc": float(auc),
    }


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


def balanced_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean over the classes of the share of each that is found. Shapes (N, C) and (N,)."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == c].mean() for c in labels.unique()]).mean())
