"""Choosing without target labels: against explicit loops, its bounds, and what it must never read."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.data import TensorDataset

from transfer_utils import fit
from transfer_utils.techniques.unlabelled_selection import best_by, information_maximisation, reverse_validation


def scores(count=20, classes=3, seed=0):
    return 3 * torch.randn(count, classes, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def by_hand(values):
    """Return the score from loops over items and classes."""
    shares = [[math.exp(x) / sum(math.exp(y) for y in row) for x in row] for row in values.tolist()]
    mean = [sum(column) / len(shares) for column in zip(*shares, strict=True)]

    def entropy(row):
        return -sum(p * math.log(p) for p in row)

    return entropy(mean) - sum(map(entropy, shares)) / len(shares)


@pytest.mark.parametrize(("count", "classes"), [(2, 2), (20, 3), (7, 10)])
def test_the_score_equals_explicit_loops(count, classes):
    values = scores(count, classes)
    assert information_maximisation(values) == pytest.approx(by_hand(values), abs=1e-12)


def test_one_class_and_undecided_are_worth_nothing_and_sure_and_various_the_most():
    sure = 80 * torch.eye(4).repeat(5, 1)
    assert information_maximisation(sure) == pytest.approx(math.log(4))
    assert information_maximisation(sure[::4]) == pytest.approx(0, abs=1e-9)  # all of them the first class
    assert information_maximisation(torch.zeros(6, 4)) == pytest.approx(0, abs=1e-9)


@settings(max_examples=30)
@given(count=st.integers(2, 30), classes=st.integers(2, 6), seed=st.integers(0, 999))
def test_the_score_is_bounded_and_blind_to_the_order_of_items_and_of_classes(count, classes, seed):
    values, random = scores(count, classes, seed), torch.Generator().manual_seed(seed)
    value = information_maximisation(values)
    assert -1e-12 <= value <= math.log(classes) + 1e-12
    items, columns = torch.randperm(count, generator=random), torch.randperm(classes, generator=random)
    assert information_maximisation(values[items][:, columns]) == pytest.approx(value, abs=1e-9)
    assert information_maximisation(values + torch.randn(count, 1)) == pytest.approx(value, abs=1e-9)  # softmax


@pytest.mark.parametrize("bad", [torch.zeros(5), torch.zeros(1, 3), torch.zeros(2, 3, 4)])
def test_what_has_no_score_is_refused(bad):
    with pytest.raises(ValueError, match="two items or more"):
        information_maximisation(bad)


# ------------------------------------------------------- reverse validation


def clusters(seed, count=90, in_one_place=False):
    random = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    centres = 3 * torch.eye(3)[labels * (not in_one_place)]
    return TensorDataset(centres + 0.5 * torch.randn(count, 3, generator=random), labels)


def on_the_source(labelled, _):
    torch.manual_seed(0)
    model = nn.Linear(3, 3)
    fit(model, labelled, epochs=5, lr=0.05, batch_size=16, progress="")
    return model


def reverse(target):
    return reverse_validation(on_the_source, clusters(0), target, clusters(1))


def test_the_way_back_is_good_where_domains_are_equal_and_lost_where_the_target_is_noise_in_one_place():
    assert reverse(clusters(2))[1] > 0.9
    assert reverse(clusters(2, in_one_place=True))[1] < 0.5


def test_noise_on_all_sides_of_the_boundaries_is_no_obstacle_to_the_way_back():
    """The second model learns the boundaries of the first from any cloud around them: a limit of the method."""
    noise = TensorDataset(3 * torch.randn(90, 3, generator=torch.Generator().manual_seed(1)), torch.zeros(90).long())
    assert reverse(noise)[1] > 0.9


def test_the_labels_of_the_target_are_never_read():
    target = clusters(2)
    garbage = TensorDataset(target.tensors[0], torch.full((90,), -7))
    (model, value), (other, same) = reverse(target), reverse(garbage)
    assert value == same
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))


def test_the_second_model_learns_from_answers_and_is_tested_on_what_was_held_out():
    seen = []

    def train(labelled, unlabelled):
        seen.append((labelled, unlabelled))
        return on_the_source(labelled, unlabelled)

    source, target, held_out = clusters(0), clusters(2), clusters(1)
    model, value = reverse_validation(train, source, target, held_out, metric=lambda _, truth: float(len(truth)))
    (first, second), (named, back) = seen
    assert (first, second, back) == (source, target, source)
    assert named.tensors[0] is target.tensors[0]
    assert torch.equal(named.tensors[1], model(target.tensors[0]).argmax(1))
    assert value == 90


def test_each_seed_gets_the_arm_with_the_best_score_and_of_equal_ones_the_first():
    scores = torch.arange(3 * 2 * 4 * 2, dtype=torch.float32).view(3, 2, 4, 2)  # arms, seeds, items, classes
    given = {"low": [1.0, 5.0], "high": [2.0, 3.0], "equal": [2.0, 5.0]}
    runs = {arm: {"key": torch.tensor(given[arm]), "scores": scores[i]} for i, arm in enumerate(given)}
    best, which = best_by(runs, "key", list(given))
    assert which == ["high", "low"]
    assert torch.equal(best, torch.stack([scores[1, 0], scores[0, 1]]))
    assert best_by(runs, "key", ["equal"])[1] == ["equal", "equal"]
