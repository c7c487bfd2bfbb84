"""Resamples: how many items, of which classes, the same for everybody who compares."""

import pytest
import torch

from transfer_utils.evaluation import resampling
from transfer_utils.evaluation.intervals import bootstrap_interval, paired_difference, percentile_interval
from transfer_utils.evaluation.metrics import (
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    classification_metrics,
    f1,
    recall,
)
from transfer_utils.evaluation.resampling import bootstrap_values, bootstrap_weights

LABELS = torch.tensor([0] * 30 + [1] * 10)
SCORES = torch.randn(3, 40, 2, generator=torch.Generator().manual_seed(0))
SCORES[..., 1] += LABELS


def weights(**options):
    return torch.cat(list(bootstrap_weights(LABELS, 500, **options)))


def test_a_resample_has_as_many_items_as_the_test_set_and_the_classes_vary():
    drawn = weights()
    assert drawn.shape == (500, 40)
    assert (drawn.sum(1) == 40).all()
    assert drawn[:, 30:].sum(1).std() > 1
    assert drawn.mean() == 1
    assert drawn.mean(0).sub(1).abs().max() < 0.2  # no item is preferred


def test_within_classes_each_class_keeps_its_size():
    drawn = weights(within_classes=True)
    assert (drawn[:, :30].sum(1) == 30).all()
    assert (drawn[:, 30:].sum(1) == 10).all()
    assert drawn[:, 30:].std() > 0.5


@pytest.mark.parametrize("within", [False, True])
def test_resamples_are_repeated_by_their_seed_and_do_not_depend_on_the_block(within, monkeypatch):
    whole = weights(within_classes=within)
    assert not torch.equal(whole, weights(within_classes=within, seed=1))
    monkeypatch.setattr(resampling, "_CELLS", 40 * 7)
    blocks = list(bootstrap_weights(LABELS, 500, within_classes=within))
    assert [len(block) for block in blocks] == [7] * 71 + [3]
    assert torch.equal(torch.cat(blocks), whole)


@pytest.mark.parametrize(("labels", "samples"), [(LABELS[:0], 10), (LABELS, 0)])
def test_nothing_to_resample_is_refused(labels, samples):
    with pytest.raises(ValueError, match="Nothing to resample"):
        next(bootstrap_weights(labels, samples))


def test_shares_within_a_class_are_resampled_within_it():
    kinds = {metric.name: metric.within_classes for metric in (accuracy, balanced_accuracy, recall, f1, auc)}
    assert kinds == {"accuracy": False, "balanced accuracy": True, "recall": True, "F1": False, "AUC": True}
    assert not average_precision.within_classes  # precision depends on how common the class is


@pytest.mark.parametrize("metric", [accuracy, f1, average_precision], ids=lambda metric: metric.__name__)
@pytest.mark.parametrize("scores", [SCORES, SCORES[0]], ids=["runs", "run"])
def test_the_fast_way_is_the_slow_way(metric, scores):
    slow = lambda logits, labels: metric(logits, labels)  # noqa: E731
    quick, plain = (bootstrap_interval(scores, LABELS, way, samples=60) for way in (metric, slow))
    assert (quick.mean, quick.low, quick.high) == pytest.approx((plain.mean, plain.low, plain.high), abs=1e-12)
    other = scores + 0.5 * torch.randn(scores.shape, generator=torch.Generator().manual_seed(1))
    quick, plain = (paired_difference(scores, other, LABELS, metric=way, samples=60) for way in (metric, slow))
    assert (quick.mean, quick.low, quick.high) == pytest.approx((plain.mean, plain.low, plain.high), abs=1e-12)


def test_all_methods_and_metrics_see_the_same_resamples():
    found = bootstrap_values([accuracy, average_precision], [SCORES, SCORES[0], SCORES], LABELS, samples=50)
    for values, resampled in found:
        assert values[0] == values[2] != values[1]
        assert torch.equal(resampled[0], resampled[2])
        assert resampled[0].shape == (50,)


def test_the_mean_over_runs_is_taken_in_each_resample():
    (_, (together, *apart)) = bootstrap_values([recall], [SCORES, *SCORES], LABELS, samples=50)[0]
    torch.testing.assert_close(together, torch.stack(apart).mean(0))


def test_recall_and_average_precision_stand_beside_the_other_metrics():
    found = classification_metrics(SCORES[0], LABELS)
    assert list(found) == ["accuracy", "balanced_accuracy", "f1", "auc", "recall", "average_precision"]
    assert found["recall"] == recall(SCORES[0], LABELS)
    assert found["average_precision"] == average_precision(SCORES[0], LABELS)


@pytest.mark.parametrize("metric", [accuracy, recall, average_precision], ids=lambda metric: metric.__name__)
def test_the_interval_covers_the_truth_about_as_often_as_it_says(metric):
    """Items come from a known population; its truth is measured on many of them."""
    generator = torch.Generator().manual_seed(3)

    def population(count):
        labels = (torch.rand(count, generator=generator) < 0.3).long()
        gap = torch.randn(count, generator=generator) + 1.5 * labels - 0.75
        return torch.stack([torch.zeros(count), gap], 1), labels

    truth, covered = metric(*population(200_000)), 0
    for _ in range(150):
        interval = bootstrap_interval(*population(200), metric, samples=200)
        covered += interval.low <= truth <= interval.high
    assert 0.88 < covered / 150 <= 0.99


@pytest.mark.parametrize(("metric", "within"), [(recall, True), (auc, True), (accuracy, False), (f1, False)])
def test_each_metric_gets_the_resamples_that_suit_it(metric, within):
    (_, (found,)) = bootstrap_values([metric], [SCORES], LABELS, samples=50)[0]
    drawn = torch.cat(list(bootstrap_weights(LABELS, 50, within_classes=within)))
    torch.testing.assert_close(found, metric(SCORES, LABELS, drawn).mean(1))


def test_an_interval_lies_between_the_percentiles():
    found = percentile_interval(50.0, torch.arange(101.0), confidence=0.9)
    assert (found.mean, found.low, found.high) == pytest.approx((50, 5, 95))
    assert percentile_interval(0.0, torch.tensor([1.0, torch.nan, 1.0])).low == 1  # a resample without the class
