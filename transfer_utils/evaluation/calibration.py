"""Is a model that says 80 % right in 80 of 100 cases? Measuring that, and one number that corrects it.

    T = fit_temperature(validation_logits, validation_labels)
    expected_calibration_error(test_logits / T, test_labels)

Guo, Pleiss, Sun and Weinberger 2017, "On Calibration of Modern Neural Networks".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .metrics import check_scores


@dataclass(frozen=True)
class Bin:
    """Predictions of similar confidence: their number, their mean confidence, and the share that was right."""

    count: int
    confidence: float
    accuracy: float


def reliability_bins(logits: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> list[Bin]:
    """Return the predictions sorted into ``bins`` equal steps of confidence from 0 to 1; empty ones are left out.

    Args:
        logits: (N, C). The confidence of a row is the largest of its probabilities.
        labels: (N,).

    Guo et al. 2017, section 2, "Reliability Diagrams".
    """
    check_scores(logits, labels)
    confidence, guess = logits.double().softmax(1).max(1)
    right = (guess == labels).double()
    bin_number = (confidence * bins).ceil().long().clamp(1, bins)  # the bin of 0.9 to 1.0 holds 1.0 and not 0.9
    members = [bin_number == number for number in range(1, bins + 1)]
    return [Bin(int(m.sum()), float(confidence[m].mean()), float(right[m].mean())) for m in members if m.any()]


def expected_calibration_error(logits: torch.Tensor, labels: torch.Tensor, bins: int = 10) -> float:
    """Return the gap between confidence and accuracy, averaged over :func:`reliability_bins` by their size.

    Guo et al. 2017, section 2, "Expected Calibration Error".
    """
    parts = reliability_bins(logits, labels, bins)
    return sum(part.count * abs(part.accuracy - part.confidence) for part in parts) / len(labels)


def fit_temperature(logits: torch.Tensor, labels: torch.Tensor) -> float:
    """Return the temperature T for which the probabilities ``softmax(logits / T)`` fit the labels best.

    Above 1 the model was too sure, below 1 not sure enough. The order of the scores stays, so no
    prediction changes. Searched between 1/20 and 20; fit it on validation, never on test.

    Guo et al. 2017, section 4.2, "Temperature scaling".
    """
    from scipy.optimize import minimize_scalar

    check_scores(logits, labels)

    def loss(log_temperature: float) -> float:
        return float(F.cross_entropy(logits.double() / np.exp(log_temperature), labels))

    return float(np.exp(minimize_scalar(loss, bounds=(-np.log(20), np.log(20)), method="bounded").x))
