"""What may be said about a difference: verdicts from both sources of variation, and from enough items."""

import io
import math

import numpy as np
import pytest
import torch

from transfer_utils.evaluation.differences import Difference, differences
from transfer_utils.evaluation.intervals import Interval, mean_and_interval, percentile_interval
from transfer_utils.evaluation.metrics import accuracy, auc, average_precision, balanced_accuracy, f1, recall
from transfer_utils.evaluation.resampling import bootstrap_weights


def difference(items=(0.1, 0.2), seeds=(0.1, 0.2), count=4, size=100):
    mean = -0.15 if max(items) < 0 else 0.15
    return Difference("a", "b", "accuracy", Interval(mean, *items), Interval(mean, *seeds), count, size)


@pytest.mark.parametrize(
    ("items", "seeds", "verdict"),
    [
        ((0.1, 0.2), (0.01, 0.3), "higher"),
        ((-0.2, -0.1), (-0.3, -0.01), "lower"),
        ((0.1, 0.2), (-0.01, 0.3), "not separated"),
        ((-0.1, 0.2), (0.01, 0.3), "not separated"),
        ((-0.2, -0.1), (-0.2, 0.1), "not separated"),
        ((0.1, 0.2), (-0.2, -0.1), "not separated"),
        ((0.0, 0.2), (0.1, 0.3), "not separated"),
        ((0.03, 0.2), (0.03, 0.2), "not separated"),  # 0.12 √2 is more than 0.15, though each lies above 0
        ((0.06, 0.9), (0.04, 0.9), "higher"),  # √(0.09² + 0.11²) is less; the side away from 0 plays no part
    ],
)
def test_a_verdict_combines_both_intervals(items, seeds, verdict):
    found = difference(items, seeds)
    assert found.verdict == verdict
    assert (found.above, found.below) == (verdict == "higher", verdict == "lower")
    assert found.separated == (verdict != "not separated")


@pytest.mark.parametrize(
    ("items", "verdict"),
    [
        ((0.1, 0.2), "higher for this seed"),
        ((-0.2, -0.1), "lower for this seed"),
        ((-1, 1), "not separated for this seed"),
    ],
)
def test_with_one_seed_the_items_decide_and_the_verdict_says_so(items, verdict):
    found = difference(items, (-math.inf, math.inf), count=1)
    assert found.verdict == verdict
    assert found.separated == (not verdict.startswith("not"))


def test_as_evidence_it_names_both_sources_of_variation():
    assert str(difference((-0.1, 0.2))) == "accuracy +0.150, over items -0.100 to +0.200, over seeds +0.100 to +0.200"
    assert str(difference(count=1)).endswith("over items +0.100 to +0.200, one seed")


def test_it_can_be_printed_where_the_encoding_has_no_true_minus(monkeypatch):
    output = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(output, encoding="cp1252", write_through=True))
    print(difference((-0.1, 0.2), (-0.2, 0.1)))
    assert output.getvalue().startswith(b"accuracy +0.150, over items -0.100 to +0.200, over seeds -0.200")


@pytest.mark.parametrize("count", [1, 4])
@pytest.mark.parametrize("items", [(0.1, 0.2), (-0.2, -0.1), (-1, 1)])
def test_of_too_few_items_nothing_is_said(items, count):
    found = difference(items, items, count=count, size=9)
    assert found.verdict == "too few items"
    assert (found.above, found.below, found.separated) == (False, False, False)
    assert str(found).endswith(", too few items")
    assert difference(items, items, count=count, size=10).verdict != "too few items"


@pytest.mark.parametrize(
    ("counts", "too_few"),
    [
        ((1, 0), {accuracy}),  # one item: +1.000 to +1.000
        ((5, 4), {accuracy, recall, f1, average_precision, balanced_accuracy, auc}),
        ((10, 10), set()),
        ((100, 9), {recall, f1, average_precision, balanced_accuracy, auc}),
        ((9, 100), {balanced_accuracy, auc}),
        ((100, 100, 9), {recall, f1, average_precision, balanced_accuracy, auc}),
    ],
)
def test_the_items_that_count_are_those_of_the_smallest_class_that_the_metric_is_made_of(counts, too_few):
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    right = torch.nn.functional.one_hot(labels, len(counts)).double()
    all_metrics = [accuracy, recall, f1, average_precision, balanced_accuracy, auc] if min(counts) else [accuracy]
    found = differences({"right": right, "wrong": -right}, labels, against="wrong", metric=all_metrics, samples=20)
    said = {metric: one.verdict for metric, one in zip(all_metrics, found, strict=True)}
    assert {metric for metric, verdict in said.items() if verdict == "too few items"} == too_few
    assert all(verdict == "higher for this seed" for metric, verdict in said.items() if metric not in too_few)
    (own,) = differences(
        {"right": right, "wrong": -right}, labels, against="wrong", metric=lambda s, t: accuracy(s, t), samples=20
    )
    assert own.items == sum(counts)


@pytest.mark.parametrize("seed_luck", [0.0, 1.0, 5.0], ids=["items alone", "items and seeds", "seeds alone"])
@pytest.mark.parametrize("seeds", [3, 10, 20])
def test_methods_that_are_equal_in_the_population_are_seldom_called_separated(seeds, seed_luck):
    """Each repeat draws new items and new seeds; only the two sources of variation differ between the methods."""
    repeats, items = 400, 100
    random = np.random.default_rng(seeds)
    of_items = random.normal(size=(repeats, 1, items))
    of_seeds = seed_luck * math.sqrt(seeds / items) * random.normal(size=(repeats, seeds, 1))  # 1: as much as items
    values = of_items + of_seeds + random.normal(size=(repeats, seeds, items))  # the difference, item by item
    weights = next(bootstrap_weights(torch.arange(items), 400)).numpy() / items
    resampled = torch.from_numpy(values.mean(1) @ weights.T)
    called = [
        Difference(
            "a", "b", "value", percentile_interval(one.mean(), over), mean_and_interval(one.mean(1)), seeds, items
        )
        for one, over in zip(values, resampled, strict=True)
    ]
    assert np.mean([one.separated for one in called]) <= 0.06
