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
        labels: (N,), integers 0 to C-1.

    Returns:
        With two classes, F1 and AUC are of class 1; with more, F1 is the mean over classes
        and AUC the mean of one class against the rest. AUC is ``nan`` where a class is absent.

    Raises:
        ValueError: a label is outside 0 to C-1, the shapes differ, or a score is not a number.
    """
    from sklearn import metrics as sk

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
    """Raise ``ValueError`` unless every label is an integer, one of 0 to ``outputs - 1``."""
    if labels.is_floating_point():
        raise ValueError(f"Labels must be integers, the numbers of the classes; they are {labels.dtype}. labels.long()")
    if labels.min() < 0 or labels.max() >= outputs:
        raise ValueError(
            f"Labels run from {int(labels.min())} to {int(labels.max())}, but the model has {outputs} "
            f"outputs, for labels 0 to {outputs - 1}. Replace the head or renumber the labels."
        )


def balanced_accuracy(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the mean over the classes of the share of each that is found. Shapes (N, C) and (N,)."""
    right = (logits.argmax(1) == labels).double()
    return float(torch.stack([right[labels == c].mean() for c in labels.unique()]).mean())
