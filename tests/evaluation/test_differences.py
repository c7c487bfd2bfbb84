"""Differences between methods: paired by item and by seed, from tensors, arrays and lists."""

import math

import numpy as np
import pytest
import torch

from transfer_utils import set_profile
from transfer_utils.evaluation import method_scores
from transfer_utils.evaluation.differences import differences
from transfer_utils.evaluation.intervals import mean_and_interval, paired_difference
from transfer_utils.evaluation.method_scores import metric_scores
from transfer_utils.evaluation.metrics import accuracy, balanced_accuracy, recall

LABELS = torch.arange(200) % 2


def runs(strength, seeds=4, seed=0):
    """Return scores (S, N, 2) of a classifier that is the better the greater ``strength``."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(seeds, len(LABELS), 2, generator=generator)
    return noise + strength * torch.nn.functional.one_hot(LABELS, 2)


METHODS = {"features": runs(1.0, seed=0), "tuned": runs(2.5, seed=1), "twin": runs(1.0, seed=2)}


# ------------------------------------------------------------------ differences


def test_every_method_is_compared_with_the_one_that_was_named():
    found = differences(METHODS, LABELS, against="features", metric=[accuracy, recall], samples=200)
    assert [(one.first, one.second, one.metric) for one in found] == [
        ("tuned", "features", "accuracy"), ("tuned", "features", "recall"),
        ("twin", "features", "accuracy"), ("twin", "features", "recall"),
    ]  # fmt: skip
    assert [one.verdict for one in found] == ["higher", "higher", "not separated", "not separated"]
    assert [one.seeds for one in found] == [4] * 4


@pytest.mark.parametrize("metric", [accuracy, recall, balanced_accuracy], ids=lambda metric: metric.__name__)
def test_intervals_are_those_of_the_two_sources_of_variation(metric):
    (found, _) = differences(METHODS, LABELS, against="features", metric=metric, samples=300)
    a, b = METHODS["tuned"], METHODS["features"]
    assert found.over_items == paired_difference(a, b, LABELS, metric=metric, samples=300)
    by_seed = [metric(x, LABELS) - metric(y, LABELS) for x, y in zip(a, b, strict=True)]
    expected = mean_and_interval(by_seed)
    assert (found.over_seeds.low, found.over_seeds.high) == pytest.approx((expected.low, expected.high))
    assert found.mean == pytest.approx(np.mean(by_seed))


def test_seeds_are_paired():
    """Both methods share the luck of a seed, which varies far more than they differ."""
    luck = torch.linspace(0.2, 3, 6)[:, None, None] * torch.nn.functional.one_hot(LABELS, 2)
    base = runs(0, seeds=6) + luck
    better = base.clone()
    better[:, :20] += 5 * torch.nn.functional.one_hot(LABELS[:20], 2)
    (found,) = differences({"better": better, "base": base}, LABELS, against="base", samples=100)
    shuffled = differences({"better": better.flip(0), "base": base}, LABELS, against="base", samples=100)[0]
    assert found.over_seeds.spread < shuffled.over_seeds.spread / 3
    assert found.above
    assert not shuffled.above


def test_a_list_of_runs_a_single_run_and_a_function_of_ones_own_will_do():
    stacked = {name: METHODS[name] for name in ("tuned", "features")}
    listed = {name: list(scores) for name, scores in stacked.items()}
    assert differences(listed, LABELS, against="features", samples=50) == differences(
        stacked, LABELS, against="features", samples=50
    )
    single = {name: scores[0] for name, scores in stacked.items()}

    def share_right(scores, labels):
        return float((scores.argmax(1) == labels).double().mean())

    ours, theirs = (
        differences(single, LABELS, against="features", metric=m, samples=50)[0] for m in (accuracy, share_right)
    )
    assert theirs.metric == "share right"
    assert (theirs.mean, theirs.over_items.low) == pytest.approx((ours.mean, ours.over_items.low))
    assert ours.verdict == "higher for this seed"


@pytest.mark.parametrize(
    ("as_scores", "as_labels"),
    [
        (lambda scores: scores.numpy(), lambda labels: labels.numpy()),
        (lambda scores: [run.numpy() for run in scores], lambda labels: labels.tolist()),
        (lambda scores: scores.tolist(), tuple),
        (lambda scores: scores.clone().requires_grad_(), lambda labels: labels),
        (lambda scores: [run.clone().requires_grad_() for run in scores], lambda labels: labels),
    ],
    ids=["arrays", "lists of arrays", "nested lists", "with grad", "list with grad"],
)
def test_arrays_lists_and_tensors_with_grad_will_do(as_scores, as_labels):
    def as_is(scores, labels):
        assert isinstance(scores, torch.Tensor)
        assert isinstance(labels, torch.Tensor)
        assert not scores.requires_grad
        return accuracy(scores, labels)

    kept = METHODS["tuned"].double(), METHODS["twin"].double()
    given = dict(zip(("tuned", "twin"), map(as_scores, kept), strict=True))
    (found,) = differences(given, as_labels(LABELS), against="twin", metric=as_is, samples=20)
    expected = differences(dict(zip(given, kept, strict=True)), LABELS, against="twin", metric=as_is, samples=20)
    assert [found] == expected
    score = metric_scores(given, as_labels(LABELS), as_is, samples=20)["tuned"]["as is"]
    assert score.mean == pytest.approx(np.mean([accuracy(run, LABELS) for run in kept[0]]))


@pytest.mark.parametrize(
    ("metric", "error", "message"),
    [
        ("accuracy", TypeError, "function, without quotation marks: .* accuracy, balanced_accuracy.*none: 'accuracy'"),
        ([accuracy, "recall"], TypeError, "none: 'recall'"),
        (None, TypeError, "none: None"),
        ([], ValueError, "no metric. Give one or several: .* accuracy, balanced_accuracy"),
    ],
)
def test_what_is_no_metric_is_refused_with_those_that_there_are(metric, error, message):
    with pytest.raises(error, match=message):
        differences(METHODS, LABELS, against="features", metric=metric)
    with pytest.raises(error, match=message):
        metric_scores(METHODS, LABELS, metric)


@pytest.mark.parametrize(
    ("runs", "labels", "error", "message"),
    [
        ([METHODS["tuned"]], LABELS, TypeError, "must be a dictionary, method -> scores; they are list"),
        (METHODS, ["cat"] * 200, ValueError, "labels cannot be used: give .N,. class numbers"),
        (METHODS, None, ValueError, "labels cannot be used"),
        (METHODS, LABELS.numpy().astype(float), ValueError, "Labels must be integers"),
        (METHODS, 1, ValueError, "one class number an item"),
        ({**METHODS, "tuned": "0.3"}, LABELS, ValueError, "scores of 'tuned' cannot be used"),
        ({**METHODS, "tuned": None}, LABELS, ValueError, "scores of 'tuned' cannot be used"),
        ({**METHODS, "tuned": 0.3}, LABELS, ValueError, "scores of 'tuned' cannot be used"),
        ({**METHODS, "tuned": torch.tensor(0.3)}, LABELS, ValueError, "scores of 'tuned' cannot be used"),
        ({**METHODS, "tuned": torch.zeros(0, 200, 2)}, LABELS, ValueError, "'tuned' has no runs"),
        ({**METHODS, "tuned": np.array([["a"]])}, LABELS, ValueError, "scores of 'tuned' cannot be used"),
    ],
)
def test_what_are_no_scores_or_labels_is_refused(runs, labels, error, message):
    with pytest.raises(error, match=message):
        differences(runs, labels, against="features")


def test_without_a_number_the_profile_says_how_many_resamples(monkeypatch):
    asked = []
    real = method_scores.bootstrap_values
    monkeypatch.setattr(method_scores, "bootstrap_values", lambda *given: asked.append(given[3]) or real(*given))
    for profile in ("tiny", "laptop"):
        set_profile(profile)
        differences(METHODS, LABELS, against="twin")
    assert asked == [100, 2000]


@pytest.mark.parametrize(
    ("changed", "against", "message"),
    [
        ({}, "fine-tuning", "no method 'fine-tuning' to compare with. There are: features, tuned, twin"),
        ({"tuned": runs(1, seeds=3)}, "features", "'tuned' has 3 seeds and 'features' has 4.*same seeds"),
        ({"tuned": METHODS["tuned"][:, :50]}, "features", r"scores of 'tuned' cannot be used.*\(50, 2\), \(200,\)"),
        ({"tuned": torch.zeros(4, 200, 3)}, "features", "'tuned' has 3 classes and 'features' has 2"),
        ({"tuned": METHODS["tuned"] * torch.nan}, "features", "scores of 'tuned' cannot be used.*NaN"),
        ({"tuned": []}, "features", "'tuned' has no runs"),
        ({"tuned": [torch.zeros(200, 2), torch.zeros(9, 2)]}, "features", "scores of 'tuned' cannot be used"),
    ],
)
def test_what_cannot_be_paired_is_refused(changed, against, message):
    with pytest.raises(ValueError, match=message):
        differences({**METHODS, **changed}, LABELS, against=against, samples=10)


def test_one_method_has_nothing_to_differ_from():
    with pytest.raises(ValueError, match="give the scores of a second method"):
        differences({"features": METHODS["features"]}, LABELS, against="features")


def test_a_metric_that_the_labels_do_not_allow_is_refused():
    with pytest.raises(ValueError, match="recall is not a number: the labels lack a class"):
        differences(METHODS, torch.zeros(200).long(), against="features", metric=recall, samples=10)


# ---------------------------------------------------------------- metric scores


def test_a_score_holds_the_seeds_their_spread_and_the_interval_over_items():
    found = metric_scores({**METHODS, "once": METHODS["tuned"][0]}, LABELS, [accuracy, recall], samples=100)
    assert list(found) == ["features", "tuned", "twin", "once"]
    score = found["tuned"]["recall"]
    by_seed = [recall(run, LABELS) for run in METHODS["tuned"]]
    assert score.by_seed == pytest.approx(by_seed)
    assert (score.mean, score.spread) == pytest.approx((np.mean(by_seed), np.std(by_seed, ddof=1)))
    assert score.over_items.low < score.mean < score.over_items.high
    low, high = score.over_items.low, score.over_items.high
    assert str(score) == f"{score.mean:.3f} ± {score.spread:.3f} [{low:.3f}, {high:.3f}]"
    assert math.isnan(found["once"]["accuracy"].spread)
    assert "±" not in str(found["once"]["accuracy"])
