"""Calibration against a slow loop over bins, and a temperature that undoes a factor."""

import pytest
import torch

from transfer_utils.evaluation.calibration import expected_calibration_error, fit_temperature, reliability_bins


def random_scores(count=400, classes=3, scale=3.0):
    generator = torch.Generator().manual_seed(0)
    logits = scale * torch.randn(count, classes, generator=generator)
    return logits, torch.randint(classes, (count,), generator=generator)


def slow_calibration_error(logits, labels, bins):
    """Guo et al. 2017, equation 3, one prediction after the other."""
    total = 0.0
    for k in range(bins):
        inside = []
        for row, label in zip(logits.double().softmax(1), labels, strict=True):
            if k / bins < float(row.max()) <= (k + 1) / bins:
                inside.append((float(row.max()), float(row.argmax() == label)))
        if inside:
            confidence, right = (sum(column) / len(inside) for column in zip(*inside, strict=True))
            total += len(inside) / len(labels) * abs(confidence - right)
    return total


@pytest.mark.parametrize("bins", [1, 7, 10])
def test_calibration_error_equals_the_loop(bins):
    logits, labels = random_scores()
    slow = slow_calibration_error(logits, labels, bins)
    assert expected_calibration_error(logits, labels, bins) == pytest.approx(slow)


def test_every_prediction_is_in_one_bin():
    logits, labels = random_scores()
    certain = torch.cat([logits, torch.tensor([[100.0, -100.0, -100.0]])])  # probability exactly 1
    assert sum(part.count for part in reliability_bins(certain, torch.cat([labels, labels[:1]]))) == len(certain)


def test_a_model_that_is_always_right_and_sure_has_no_error():
    assert expected_calibration_error(torch.eye(3) * 1000, torch.arange(3)) == pytest.approx(0)


@pytest.mark.parametrize("factor", [0.25, 1.0, 4.0])
def test_temperature_undoes_a_factor_on_the_scores(factor):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(5000, 2, generator=generator)
    labels = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]  # calibrated by construction
    assert fit_temperature(logits * factor, labels) == pytest.approx(factor, rel=0.15)


def test_temperature_is_the_minimum_of_the_loss():
    logits, _ = random_scores()
    labels = torch.where(
        torch.arange(len(logits)) % 3 > 0, logits.argmax(1), logits.argmin(1)
    )  # right two times of three
    best = fit_temperature(logits, labels)
    loss = [float(torch.nn.functional.cross_entropy(logits / T, labels)) for T in (best, 0.97 * best, 1.03 * best)]
    assert loss[0] == min(loss)


@pytest.mark.parametrize("function", [expected_calibration_error, fit_temperature])
def test_wrong_labels_are_refused(function):
    with pytest.raises(ValueError, match="Labels|classes|outputs"):
        function(torch.zeros(2, 2), torch.tensor([0, 5]))
