"""Metrics by weights against scikit-learn with ``sample_weight``, ties and items without weight included."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sk

from transfer_utils.evaluation.differences import differences
from transfer_utils.evaluation.metrics import (
    Metric,
    accuracy,
    auc,
    average_precision,
    balanced_accuracy,
    episode_accuracy,
    f1,
    recall,
)

METRICS = (accuracy, balanced_accuracy, recall, f1, auc, average_precision)


def probability(scores):
    """Return what scikit-learn ranks by: the probability of class 1, or of each of several classes."""
    chances = scores.double().softmax(1).numpy()
    return chances[:, 1] if scores.shape[1] == 2 else chances


def oracle(metric, scores, labels, weights):
    """Return what scikit-learn says of one run (N, C) and one weighting (N,)."""
    there = weights > 0  # as in a resample, where items that were not drawn are absent
    scores, truth, weights = scores[there], labels[there].numpy(), weights[there].numpy()
    guess, many = scores.argmax(1).numpy(), scores.shape[1] > 2
    average = "macro" if many else "binary"
    if metric is accuracy:
        return sk.accuracy_score(truth, guess, sample_weight=weights)
    if metric is balanced_accuracy:
        return sk.balanced_accuracy_score(truth, guess, sample_weight=weights)
    if metric is recall:  # macro: over the classes that are there
        return sk.recall_score(truth, guess, labels=np.unique(truth) if many else None, average=average,
                               sample_weight=weights)  # fmt: skip
    if metric is f1:
        return sk.f1_score(truth, guess, average=average, zero_division=0, sample_weight=weights)
    if metric is auc and not many:
        return sk.roc_auc_score(truth, probability(scores), sample_weight=weights)
    if not many:
        return sk.average_precision_score(truth, probability(scores), sample_weight=weights)
    of_class = sk.roc_auc_score if metric is auc else sk.average_precision_score
    chances = probability(scores)
    return np.mean([of_class(truth == c, chances[:, c], sample_weight=weights) for c in range(scores.shape[1])])


COUNTS = st.integers(0, 3)
ANY_WEIGHT = st.floats(0.0, 5.0).map(lambda weight: round(weight, 2))
FEW = settings(max_examples=20)  # scikit-learn is slow; with hundreds they pass as well


@st.composite
def problems(draw, weighting=COUNTS):
    """Return scores (S, N, C) with many ties, labels in which each class has a weight, weights (B, N)."""
    classes, runs = draw(st.sampled_from([2, 3, 4])), draw(st.integers(1, 3))
    count = draw(st.integers(classes, 14))
    cells = st.integers(-2, 2)  # few values: many items share a score
    scores = draw(st.lists(cells, min_size=runs * count * classes, max_size=runs * count * classes))
    labels = list(range(classes)) + draw(
        st.lists(st.integers(0, classes - 1), min_size=count - classes, max_size=count - classes)
    )
    weights = np.array(draw(st.lists(weighting, min_size=2 * count, max_size=2 * count)), dtype=float).reshape(2, count)
    weights[:, :classes] += 1  # the first item of each class
    shaped = torch.tensor(scores, dtype=torch.float32).reshape(runs, count, classes)
    return shaped, torch.tensor(labels), torch.from_numpy(weights)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
@FEW
@given(problem=problems())
def test_counts_as_weights_equal_scikit_learn(metric, problem):
    scores, labels, weights = problem
    found = metric(scores, labels, weights)
    expected = [[oracle(metric, run, labels, row) for run in scores] for row in weights]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
@FEW
@given(problem=problems(weighting=ANY_WEIGHT))
def test_any_weights_equal_scikit_learn(metric, problem):
    scores, labels, weights = problem
    found = metric(scores, labels, weights)
    np.testing.assert_allclose(
        found, [[oracle(metric, run, labels, row) for run in scores] for row in weights], atol=1e-9
    )


@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
@FEW
@given(problem=problems())
def test_weights_are_what_repeated_items_would_give_and_the_plain_call_is_weight_one(metric, problem):
    scores, labels, weights = problem
    drawn = torch.arange(len(labels)).repeat_interleave(weights[0].long())
    repeated = metric(scores[:, drawn], labels[drawn])
    assert repeated.shape == (len(scores),)
    torch.testing.assert_close(metric(scores, labels, weights)[0], repeated)
    torch.testing.assert_close(metric(scores, labels), metric(scores, labels, torch.ones(1, len(labels)))[0])
    one = metric(scores[0], labels)
    assert isinstance(one, float)
    assert one == pytest.approx(float(metric(scores, labels)[0]))


@pytest.mark.parametrize("metric", [auc, average_precision], ids=lambda metric: metric.__name__)
def test_more_weights_than_fit_into_a_block_give_the_same(metric, monkeypatch):
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(2, 50, 2, generator=generator), torch.arange(50) % 2
    weights = torch.randint(0, 3, (40, 50), generator=generator)
    whole = metric(scores, labels, weights)
    monkeypatch.setattr("transfer_utils.evaluation.weighted_metrics._CELLS", 150)  # three rows a block
    torch.testing.assert_close(metric(scores, labels, weights), whole)


def test_scores_that_softmax_would_round_to_one_still_have_an_order():
    scores = torch.tensor([[0.0, 50.0], [0.0, 60.0], [0.0, 70.0]])  # softmax gives 1.0 three times, in doubles too
    assert auc(scores, torch.tensor([0, 0, 1])) == 1.0
    assert average_precision(scores, torch.tensor([0, 0, 1])) == 1.0


def test_recall_is_the_share_of_the_defects_that_is_found():
    guesses = torch.eye(2)[torch.tensor([0, 1, 1, 0, 0])]
    assert recall(guesses, torch.tensor([0, 0, 1, 1, 1])) == pytest.approx(1 / 3)


def test_recall_of_many_classes_is_the_balanced_accuracy():
    generator = torch.Generator().manual_seed(0)
    scores, labels = torch.randn(30, 3, generator=generator), torch.arange(30) % 3
    assert recall(scores, labels) == balanced_accuracy(scores, labels)


@pytest.mark.parametrize("metric", [recall, auc, average_precision], ids=lambda metric: metric.__name__)
def test_what_needs_a_class_that_is_absent_is_not_a_number(metric):
    scores = torch.randn(4, 2, generator=torch.Generator().manual_seed(0))
    assert np.isnan(metric(scores, torch.zeros(4, dtype=torch.long)))
    without = metric(scores, torch.tensor([0, 0, 1, 1]), torch.tensor([[1.0, 1, 0, 0], [1, 1, 1, 0]]))[:, 0]
    assert torch.isnan(without).tolist() == [True, False]


def test_a_class_without_weight_does_not_count_in_the_balanced_accuracy():
    guesses = torch.eye(2)[torch.tensor([0, 1, 0])]
    weights = torch.tensor([[1, 1, 1], [1, 1, 0]])
    assert balanced_accuracy(guesses, torch.tensor([0, 0, 1]), weights)[:, 0].tolist() == [0.25, 0.5]


@pytest.mark.parametrize(
    ("scores", "labels", "weights", "message"),
    [
        (torch.zeros(3), torch.zeros(3).long(), None, r"Expected scores \(N, C\).*got \(3,\) and \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(4).long(), None, r"got \(3, 2\) and \(4,\)"),
        (torch.zeros(3, 2), torch.zeros(3).long(), torch.ones(2, 4), r"Expected weights \(B, 3\).*got \(2, 4\)"),
        (torch.zeros(3, 2), torch.zeros(3).long(), torch.ones(3), r"Expected weights \(B, 3\).*got \(3,\)"),
        (torch.zeros(3, 2), torch.zeros(3).long(), -torch.ones(1, 3), "A weight is negative"),
    ],
)
@pytest.mark.parametrize("metric", METRICS, ids=lambda metric: metric.__name__)
def test_shapes_that_do_not_fit_are_refused(metric, scores, labels, weights, message):
    with pytest.raises(ValueError, match=message):
        metric(scores, labels, weights)


@pytest.mark.parametrize("metric", [auc, average_precision], ids=lambda metric: metric.__name__)
def test_scores_that_are_not_numbers_have_no_ranking(metric):
    with pytest.raises(ValueError, match="NaN or infinite"):
        metric(torch.tensor([[0.0, torch.nan], [0.0, 1.0]]), torch.tensor([0, 1]))


def test_a_metric_has_a_name_for_tables_and_help_for_learners():
    assert [metric.name for metric in METRICS] == [
        "accuracy", "balanced accuracy", "recall", "F1", "AUC", "average precision"
    ]  # fmt: skip
    assert all(isinstance(metric, Metric) and metric.__doc__.startswith("Return") for metric in METRICS)


def test_the_mean_over_episodes_resamples_episodes_and_pairs_methods():
    random = torch.Generator().manual_seed(0)
    first = torch.rand(3, 40, 1, generator=random)
    second = first - 0.1
    none = torch.zeros(40, dtype=torch.long)
    assert episode_accuracy(first[0], none) == pytest.approx(first[0].double().mean().item())
    weights = torch.zeros(1, 40)
    weights[0, 7] = 2.0
    torch.testing.assert_close(episode_accuracy(first, none, weights)[0], first[:, 7, 0].double())
    (found,) = differences({"a": first, "b": second}, none, against="b", metric=episode_accuracy, samples=50)
    assert (found.metric, found.items, found.above) == ("accuracy", 40, True)
    assert found.over_items.low == pytest.approx(0.1, abs=1e-6) == found.over_items.high
