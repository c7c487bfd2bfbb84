"""Standardised features, and the linear head that logistic regression finds on them."""

import pytest
import torch

from transfer_utils.techniques.features import Features, FeatureSplits
from transfer_utils.techniques.linear_probe import head_on_raw_features, logistic_head


def splits(classes=2, count=60, width=5):
    """Return features in which the first columns tell the class, the same kind in each split."""
    draw = torch.Generator().manual_seed(0)
    names = tuple("abcdefg"[:classes])

    def split():
        labels = torch.arange(count) % classes
        values = torch.randn(count, width, generator=draw)
        values[:, :classes] += 4 * torch.nn.functional.one_hot(labels, classes)
        return Features(values, labels, names)

    return FeatureSplits(split(), split(), split())


def test_standardised_train_features_have_mean_zero_and_deviation_one():
    train = splits().standardised().train.values
    assert torch.allclose(train.mean(0), torch.zeros(5), atol=1e-5)
    assert torch.allclose(train.std(0), torch.ones(5), atol=1e-5)


def test_validation_and_test_are_scaled_with_the_statistics_of_train_alone():
    raw = splits()
    expected = (raw.test.values - raw.train.values.mean(0)) / raw.train.values.std(0)
    assert torch.allclose(raw.standardised().test.values, expected, atol=1e-5)


def test_a_feature_that_sleeps_in_train_makes_no_outlier_of_thousands_when_it_wakes_up():
    raw = splits()
    raw.train.values[:, 4] = 0
    raw.test.values[0, 4] = 3.0
    scaled = raw.standardised().test.values
    assert torch.isfinite(scaled).all()
    assert scaled[0, 4] < 1000


def test_the_linear_head_predicts_what_scikit_learn_predicts():
    from sklearn.linear_model import LogisticRegression

    for classes in (2, 3):
        features = splits(classes).standardised()
        head, tried = logistic_head(features, strengths=[0.1])
        reference = LogisticRegression(C=0.1, max_iter=3000)
        reference.fit(features.train.values.numpy(), features.train.labels.numpy())
        probability = head(features.test.values).softmax(1).detach()
        expected = torch.from_numpy(reference.predict_proba(features.test.values.numpy())).float()
        assert torch.allclose(probability, expected, atol=1e-4)
        assert list(tried) == [0.1]


def in_one_dimension(*pairs):
    """Return features (N, 1) from pairs (value, label)."""
    values, labels = zip(*pairs, strict=True)
    return Features(torch.tensor(values, dtype=torch.float)[:, None], torch.tensor(labels), ("a", "b"))


def test_the_strength_is_chosen_on_validation_where_train_would_choose_another():
    """Classes of 4 to 1: strongly held back, all is called a; train prefers the free one, validation the other."""
    train = in_one_dimension(*[(-1.0, 0)] * 8, *[(1.0, 1)] * 2)
    others = in_one_dimension((1.0, 0), (1.0, 0), (-1.0, 0))  # what looks like b is a
    test = in_one_dimension((1.0, 1), (-1.0, 0))  # as train
    head, tried = logistic_head(FeatureSplits(train, others, test), strengths=[1e-6, 100.0])
    free, _ = logistic_head(FeatureSplits(train, train, test), strengths=[1e-6, 100.0])
    assert tried == {1e-6: 1.0, 100.0: 1 / 3}
    assert head(train.values).argmax(1).tolist() == [0] * 10
    assert free(train.values).argmax(1).tolist() == train.labels.tolist()


def test_ties_go_to_the_smaller_strength_in_whatever_order_they_are_given():
    apart = in_one_dimension(*[(-1.0, 0)] * 5, *[(1.0, 1)] * 5)
    features = FeatureSplits(apart, apart, apart)
    head, tried = logistic_head(features, strengths=[10.0, 1.0, 5.0])
    smallest, _ = logistic_head(features, strengths=[1.0])
    assert list(tried.items()) == [(1.0, 1.0), (5.0, 1.0), (10.0, 1.0)]
    assert torch.equal(head.weight, smallest.weight)


@pytest.mark.parametrize(("kept", "missing"), [([0, 2], "b"), ([0], "b, c"), ([1, 2], "a")])
def test_a_class_that_train_does_not_hold_is_named(kept, missing):
    features = splits(3)
    where = torch.isin(features.train.labels, torch.tensor(kept)).nonzero().flatten()
    with pytest.raises(ValueError, match=f"No training item is of class {missing}: "):
        logistic_head(features.with_train(features.train.subset(where)))


def test_the_head_on_raw_features_says_what_the_head_on_standardised_ones_says():
    raw = splits(3)
    raw.train.values.mul_(torch.tensor([1.0, 20.0, 0.1, 5.0, 1.0])).add_(3)
    head, _ = logistic_head(raw.standardised())
    expected = head(raw.standardised().test.values)
    torch.testing.assert_close(head_on_raw_features(head, raw.train)(raw.test.values), expected, atol=1e-4, rtol=1e-4)
    assert not torch.allclose(head(raw.test.values), expected, atol=0.1)
