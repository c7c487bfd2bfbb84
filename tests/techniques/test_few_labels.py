"""Few labelled items, drawn many times: paired draws, a strength chosen on validation, columns in rising order."""

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from transfer_utils.techniques.few_labels import (
    chosen_regression,
    logistic_regression,
    scores_over_draws,
    spread_of_classes,
    spread_within_class,
)
from transfer_utils.techniques.prototypes import by_prototype


def two_classes(count=30, seed=0, width=4):
    """Return vectors of two classes, 0.8 apart, and their labels, mixed."""
    random = torch.Generator().manual_seed(seed)
    labels = (torch.arange(count) % 2)[torch.randperm(count, generator=random)]
    return torch.randn(count, width, generator=random) + 0.8 * labels[:, None], labels


def test_every_classifier_sees_the_same_draws_of_as_many_items_of_each_class():
    vectors, labels = two_classes()
    seen = []

    def spy(support, given, queries):
        seen.append((support, given))
        return torch.zeros(len(queries), 2)

    for _ in range(2):
        assert scores_over_draws(spy, vectors, labels, vectors[:7], shots=3, draws=4).shape == (4, 7, 2)
    for (first, names), (second, again) in zip(seen[:4], seen[4:], strict=True):
        assert torch.equal(first, second)
        assert torch.equal(names, again)
        assert names.bincount().tolist() == [3, 3]
        assert all((vectors == row).all(1).any() for row in first)
    assert not torch.equal(seen[0][0], seen[1][0])


def test_the_regression_is_that_of_scikit_learn_and_strength_is_one_over_c():
    vectors, labels = two_classes()
    found = logistic_regression(20.0)(vectors, labels, vectors)
    theirs = LogisticRegression(C=0.05, max_iter=1000).fit(vectors.numpy(), labels.numpy())
    np.testing.assert_allclose(found.numpy(), theirs.predict_log_proba(vectors.numpy()), atol=1e-6)


def test_with_one_shot_logistic_regression_and_prototypes_agree():
    vectors, labels = two_classes()
    named = [
        scores_over_draws(f, vectors, labels, vectors, 1, 5).argmax(2) for f in (by_prototype, logistic_regression(1.0))
    ]
    assert (named[0] == named[1]).double().mean() > 0.99


def test_validation_chooses_the_strength():
    class Part:
        def __init__(self, seed):
            self.values, self.labels = two_classes(200, seed)

    features = type("Features", (), {"train": Part(0), "validation": Part(1)})
    absurd = 1e9  # every probability one half: the intercept decides
    chosen = chosen_regression(features, 5, 4, (absurd, 1.0))
    assert chosen(features.train.values, features.train.labels, features.validation.values).std() > 0.01


def test_the_spread_is_measured_from_the_mean_of_its_own_class():
    vectors = torch.tensor([[0.0, 0.0], [2.0, 0.0], [50.0, 50.0]])
    assert spread_within_class(vectors, torch.tensor([7, 7, 1]), 7).tolist() == pytest.approx([1.0, 1.0])


def test_the_ratio_of_spreads_and_the_distance_of_the_means():
    circle = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    vectors, labels = torch.cat([circle, 3 * circle + 2.0]), torch.tensor([0] * 4 + [1] * 4)
    ratio, between = spread_of_classes(vectors, labels, samples=50)
    assert (ratio.mean, ratio.low, ratio.high) == pytest.approx((9.0, 9.0, 9.0))
    assert between == pytest.approx(8.0)
