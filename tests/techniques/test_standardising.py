"""Standardised features, and the linear head that logistic regression finds on them."""

import torch

from transfer_utils.techniques.features import Features, FeatureSplits
from transfer_utils.techniques.linear_probe import logistic_head


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


def test_the_strength_with_the_best_validation_accuracy_is_taken_and_ties_go_to_the_smaller():
    features = splits()
    _, tried = logistic_head(features, strengths=[10.0, 1e-6, 1.0])
    assert list(tried) == [1e-6, 1.0, 10.0]
    head, _ = logistic_head(features, strengths=[10.0, 1.0])
    smaller, _ = logistic_head(features, strengths=[1.0])
    if tried[1.0] >= tried[10.0]:
        assert torch.equal(head.weight, smaller.weight)
    else:
        assert not torch.equal(head.weight, smaller.weight)
