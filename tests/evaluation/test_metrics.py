"""Metrics against numbers worked out by hand, and intervals that hold what they promise."""

import numpy as np
import pytest
import torch

from transfer_utils.evaluation.intervals import Interval, bootstrap_interval, mean_and_interval, paired_difference
from transfer_utils.evaluation.metrics import accuracy, balanced_accuracy, check_labels, classification_metrics


def logits_for(guesses, classes=2):
    return torch.eye(classes)[torch.tensor(guesses)]


TRUTH = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 1, 1])
GUESS = logits_for([0, 0, 0, 0, 0, 1, 1, 0, 0, 0])  # one false alarm, three of four missed


def test_binary_metrics_equal_those_worked_out_by_hand():
    scores = classification_metrics(GUESS, TRUTH)
    assert scores["accuracy"] == pytest.approx(6 / 10)
    assert scores["balanced_accuracy"] == pytest.approx((5 / 6 + 1 / 4) / 2)
    assert scores["f1"] == pytest.approx(2 * 1 / (2 * 1 + 1 + 3))  # 2 TP / (2 TP + FP + FN)
    assert scores["auc"] == pytest.approx((5 / 6 + 1 / 4) / 2)  # two scores only: the mean of the two rates
    assert (accuracy(GUESS, TRUTH), balanced_accuracy(GUESS, TRUTH)) == pytest.approx((0.6, (5 / 6 + 1 / 4) / 2))


def test_auc_is_the_share_of_pairs_in_the_right_order():
    scores = torch.tensor([0.1, 0.4, 0.35, 0.8])
    labels = torch.tensor([0, 0, 1, 1])
    logits = torch.stack([torch.zeros(4), scores], 1)
    assert classification_metrics(logits, labels)["auc"] == pytest.approx(3 / 4)


def test_with_three_classes_f1_is_the_mean_over_classes():
    labels = torch.tensor([0, 0, 1, 1, 2, 2])
    scores = classification_metrics(logits_for([0, 0, 1, 0, 2, 1], 3), labels)
    assert scores["f1"] == pytest.approx((4 / 5 + 1 / 2 + 2 / 3) / 3)
    assert scores["balanced_accuracy"] == pytest.approx((1 + 0.5 + 0.5) / 3)
    assert 0.5 < scores["auc"] < 1


def test_predicting_the_majority_has_a_balanced_accuracy_of_one_half():
    scores = classification_metrics(logits_for([0] * 10), TRUTH)
    assert (scores["accuracy"], scores["balanced_accuracy"], scores["f1"]) == pytest.approx((0.6, 0.5, 0))


def test_auc_is_not_a_number_where_a_class_is_absent():
    scores = classification_metrics(logits_for([0, 1]), torch.tensor([0, 0]))
    assert np.isnan(scores["auc"])
    assert scores["balanced_accuracy"] == 0.5


@pytest.mark.parametrize(
    ("logits", "labels", "message"),
    [
        (torch.zeros(3, 2), torch.tensor([0, 1, 2]), "Labels run from 0 to 2, but the model has 2 outputs"),
        (torch.zeros(3, 2), torch.tensor([0, -1, 1]), "Labels run from -1 to 1"),
        (torch.zeros(3, 2), torch.tensor([0, 1]), r"got \(3, 2\), \(2,\)"),
        (torch.zeros(3), torch.tensor([0, 1, 1]), r"Expected logits \(N, C\)"),
        (torch.zeros(0, 2), torch.zeros(0, dtype=torch.long), "N > 0"),
        (torch.tensor([[0, torch.inf]]), torch.tensor([0]), "NaN or infinite"),
        (torch.zeros(3, 2), torch.tensor([0, 1, 1]).int(), r"integers of type int64.*torch.int32. labels.long\(\)"),
        (torch.zeros(3, 2), torch.tensor([0, 1, 1]).float(), r"integers of type int64.*torch.float32. labels.long\(\)"),
        (torch.zeros(3, 2), torch.tensor([[0], [1], [1]]), r"shape \(N,\); theirs is \(3, 1\). labels.squeeze\(1\)"),
        (torch.zeros(3, 2), torch.eye(2)[[0, 1, 1]], r"shape \(N,\); theirs is \(3, 2\). labels.argmax\(1\)"),
    ],
)
def test_what_cannot_be_scored_is_refused(logits, labels, message):
    with pytest.raises(ValueError, match=message):
        classification_metrics(logits, labels)


@pytest.mark.parametrize("labels", [torch.ones(3).int(), torch.ones(3, 1).long(), torch.eye(3).long()])
def test_labels_that_are_no_class_numbers_are_refused_before_the_loss_sees_them(labels):
    with pytest.raises(ValueError, match=r"labels\.(long|squeeze|argmax)\(1?\)"):
        check_labels(labels, outputs=3)


# -------------------------------------------------------------------- intervals


def test_the_interval_over_seeds_is_that_of_student():
    interval = mean_and_interval([0.80, 0.82, 0.87])
    error = np.std([0.80, 0.82, 0.87], ddof=1) / np.sqrt(3)
    assert interval.mean == pytest.approx(0.83)
    assert interval.spread == pytest.approx(4.302653 * error)  # t with 2 degrees of freedom, from a table
    assert (interval.low + interval.high) / 2 == pytest.approx(interval.mean)


def test_the_interval_over_seeds_covers_the_truth_as_often_as_it_says():
    random = np.random.default_rng(0)
    runs = [mean_and_interval(random.normal(0.8, 0.02, 4)) for _ in range(1000)]
    covered = np.mean([run.low <= 0.8 <= run.high for run in runs])
    assert 0.93 < covered < 0.97


def test_one_seed_says_nothing_about_the_spread():
    interval = mean_and_interval([0.8])
    assert (interval.mean, interval.low, interval.high) == (0.8, -np.inf, np.inf)


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="no values"):
        mean_and_interval([])


def test_a_higher_confidence_has_a_wider_interval():
    values = [0.1, 0.2, 0.4]
    assert mean_and_interval(values, 0.99).spread > mean_and_interval(values, 0.9).spread


def test_the_bootstrap_covers_the_truth_about_as_often_as_it_says():
    random, covered = np.random.default_rng(1), 0
    labels = torch.zeros(200, dtype=torch.long)
    for _ in range(150):
        guesses = logits_for((random.random(200) > 0.8).astype(int).tolist())  # the truth is 0.8
        interval = bootstrap_interval(guesses, labels, samples=300)
        covered += interval.low <= 0.8 <= interval.high
    assert 0.88 < covered / 150 <= 1


def test_the_bootstrap_is_repeatable_and_narrows_with_more_images():
    small = bootstrap_interval(GUESS, TRUTH, samples=300)
    large = bootstrap_interval(GUESS.repeat(20, 1), TRUTH.repeat(20), samples=300)
    assert small == bootstrap_interval(GUESS, TRUTH, samples=300)
    assert small.mean == large.mean == pytest.approx(0.6)
    assert large.spread < small.spread / 3


def test_a_paired_difference_is_sharper_than_two_intervals():
    random = np.random.default_rng(2)
    labels = torch.zeros(400, dtype=torch.long)
    hard = random.random(400) < 0.3  # both models fail on the same hard images
    a = logits_for(hard.astype(int).tolist())
    b = logits_for((hard | (random.random(400) < 0.03)).astype(int).tolist())
    difference = paired_difference(a, b, labels, samples=500)
    separate = [bootstrap_interval(logits, labels, samples=500) for logits in (a, b)]
    assert difference.mean == pytest.approx(accuracy(a, labels) - accuracy(b, labels))
    assert difference.low > 0
    assert separate[0].overlaps(separate[1])


def test_a_model_does_not_differ_from_itself():
    assert paired_difference(GUESS, GUESS, TRUTH, samples=50) == Interval(0.0, 0.0, 0.0)


def test_the_difference_of_b_from_a_is_the_negative_of_a_from_b():
    other = logits_for([0, 1] * 5)
    forth, back = (paired_difference(*pair, TRUTH, samples=100) for pair in ((GUESS, other), (other, GUESS)))
    assert (forth.mean, forth.low, forth.high) == pytest.approx((-back.mean, -back.high, -back.low))


def test_intervals_that_share_a_point_overlap():
    assert Interval(0.5, 0.4, 0.6).overlaps(Interval(0.7, 0.6, 0.8))
    assert not Interval(0.5, 0.4, 0.59).overlaps(Interval(0.7, 0.6, 0.8))
    assert str(Interval(0.845, 0.837, 0.853)) == "0.845 [0.837, 0.853]"
