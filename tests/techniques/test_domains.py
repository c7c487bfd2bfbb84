"""Domain adaptation: parity with pytorch_adapt, properties, the bugs of tutorials, bad input."""

import copy
import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_encoder, tiny_images, tiny_texts
from torch import nn
from torch.utils.data import TensorDataset

from transfer_utils import evaluate, fit
from transfer_utils.evaluation.metrics import balanced_accuracy
from transfer_utils.models.encoders import mean_pooling
from transfer_utils.techniques.adabn import adapt_batchnorm
from transfer_utils.techniques.dann import Dann, GradientReversal, dann_loss, reversal_strength, reverse_gradient
from transfer_utils.techniques.distances import squared_distances
from transfer_utils.techniques.domains import DomainModel, DomainPairs, both_features, domain_classifier
from transfer_utils.techniques.features import Features, FeatureSplits
from transfer_utils.techniques.mmd import Alignment, coral, mean_kernel, median_bandwidth, mmd
from transfer_utils.techniques.two_sample_tests import a_distance, divided, p_value, permutation_test
from transfer_utils.training.steps import TrainState

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from pytorch_adapt import layers as oracle


def cloud(count, width=6, shift=0.0, seed=0, dtype=torch.float64):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype) + shift


def network(width=6, hidden=8, norm=False):
    torch.manual_seed(0)
    body = nn.Sequential(nn.Linear(width, hidden), *([nn.BatchNorm1d(hidden)] if norm else []), nn.ReLU())
    return DomainModel(body, nn.Linear(hidden, 2), domain_classifier(hidden, 8))


def domains(count=40, shift=1.0, dtype=torch.float32):
    source = cloud(count, dtype=dtype)
    target = cloud(count, shift=shift, seed=1, dtype=dtype)
    return (TensorDataset(x, (x[:, 0] > x[:, 0].median()).long()) for x in (source, target))


STATE = TrainState(step=5, total_steps=10, epoch=0, epochs=1)

# ---------------------------------------------------------------- the oracle


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_reversal_equals_pytorch_adapt(strength):
    ours, theirs = cloud(5).requires_grad_(), cloud(5).requires_grad_()
    (GradientReversal(strength)(ours) ** 2).sum().backward()
    (oracle.GradientReversal(strength)(theirs) ** 2).sum().backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-7)
    assert torch.allclose(ours.grad, -strength * 2 * cloud(5))


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("sizes", [(8, 8), (9, 4), (3, 11)])
def test_the_loss_of_dann_equals_reversal_and_cross_entropy_of_pytorch_adapt(strength, sizes):
    """Value, gradient of the domain classifier and of the body; the oracle has its own reversal."""
    model, gradients, values = network().double(), [], []
    inputs = [cloud(sizes[0]), cloud(sizes[1], shift=1.0, seed=1)]
    for loss_of in (lambda x, y: dann_loss(x, y, model.domain_classifier, strength)[0],
                    lambda x, y: by_the_oracle(x, y, model.domain_classifier, strength)):  # fmt: skip
        model.zero_grad()
        loss = loss_of(*(model.body(x) for x in inputs))
        loss.backward()
        values.append(loss.item())
        gradients.append([p.grad.clone() for part in (model.body, model.domain_classifier) for p in part.parameters()])
    assert values[0] == pytest.approx(values[1], abs=1e-12)
    for ours, theirs in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, theirs)
    assert any(gradient.any() for gradient in gradients[0][:2]) == (strength > 0)  # 0 cuts the body off
    assert gradients[0][2].any()


def by_the_oracle(source, target, classifier, strength):
    logits = classifier(oracle.GradientReversal(strength)(torch.cat([source, target])))
    losses = [nn.functional.binary_cross_entropy(part.sigmoid(), torch.full_like(part, label), reduction="sum")
              for part, label in zip(logits.split([len(source), len(target)]), (0, 1), strict=True)]  # fmt: skip
    return sum(losses) / (len(source) + len(target))


@pytest.mark.parametrize("joint", [True, False])
def test_the_step_is_the_loss_of_classes_and_the_loss_of_dann(joint):
    (source, target), gradients, values = domains(), [], []
    batch = DomainPairs(source, target).collect(range(16))
    (inputs, labels), others = batch
    for way in ("step", "by hand"):
        model = network()
        if way == "step":
            loss, metrics = Dann(weight=0.7, joint=joint)(model, batch, STATE)
        else:
            features = both_features(model.body, inputs, others, joint)
            domain_loss, accuracy = dann_loss(*features, model.domain_classifier, 0.7 * reversal_strength(0.5))
            loss = nn.functional.cross_entropy(model.head(features[0]), labels) + domain_loss
        loss.backward()
        values.append(loss.item())
        gradients.append([p.grad for p in model.parameters()])
    assert values[0] == values[1]
    assert metrics["domain_accuracy"] == accuracy
    assert all(torch.equal(one, other) for one, other in zip(*gradients, strict=True))


def test_the_accuracy_of_the_domain_classifier_counts_the_items_of_both_domains():
    classifier = nn.Linear(1, 1, bias=False)
    nn.init.ones_(classifier.weight)
    source, target = torch.tensor([[-1.0], [-2.0], [3.0]]), torch.tensor([[0.2], [-5.0]])
    loss, accuracy = dann_loss(source, target, classifier, 1.0)
    assert accuracy == pytest.approx(3 / 5)
    margins = torch.tensor([1.0, 2.0, -3.0, 0.2, -5.0])  # of the right answer
    assert loss.item() == pytest.approx(nn.functional.softplus(-margins).mean().item())


@pytest.mark.parametrize("scales", [(1.0,), (0.25, 0.5, 1.0, 2.0, 4.0)])
@pytest.mark.parametrize(("count", "other"), [(20, 20), (15, 31)])
def test_unbiased_mmd_equals_pytorch_adapt(scales, count, other):
    x, y = cloud(count), cloud(other, shift=0.5, seed=1)
    bandwidth = median_bandwidth(x, y)
    inverse = torch.tensor([1 / s for s in scales], dtype=torch.float64)  # theirs scales the inverse of the width
    theirs = oracle.MMDLoss(kernel_scales=inverse, mmd_type="quadratic", bandwidth=bandwidth)(x, y)
    assert mmd(x, y, scales=scales, unbiased=True).item() == pytest.approx(theirs.item(), abs=1e-10)


@pytest.mark.parametrize(("count", "other"), [(20, 20), (15, 31)])
def test_coral_equals_pytorch_adapt(count, other):
    x, y = cloud(count), 2 * cloud(other, seed=1)
    assert coral(x, y).item() == pytest.approx(oracle.CORALLoss()(x, y).item(), abs=1e-10)


def test_biased_mmd_equals_a_loop_over_all_pairs():
    x, y = cloud(7), cloud(5, shift=1.0, seed=1)

    def mean_kernel(a, b):
        pairs = [torch.exp(-(p - q).pow(2).sum() / (s * 3.0)) for p in a for q in b for s in (0.5, 2.0)]
        return sum(pairs) / len(pairs)

    expected = mean_kernel(x, x) + mean_kernel(y, y) - 2 * mean_kernel(x, y)
    assert mmd(x, y, bandwidth=3.0, scales=(0.5, 2.0)).item() == pytest.approx(expected.item(), abs=1e-12)


# ---------------------------------------------------------------- properties


@settings(max_examples=30)
@given(count=st.integers(2, 12), other=st.integers(2, 12), width=st.integers(1, 5), seed=st.integers(0, 99))
def test_mmd_is_symmetric_not_negative_and_blind_to_order(count, other, width, seed):
    x, y = cloud(count, width, seed=seed), cloud(other, width, seed=seed + 1)
    value = mmd(x, y)
    assert value >= -1e-12
    assert torch.isclose(value, mmd(y, x))
    order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    assert torch.isclose(value, mmd(x[order], y))
    assert mmd(x, x).abs() < 1e-12


def test_the_unbiased_estimate_may_be_negative_and_is_zero_on_average():
    values = torch.stack([mmd(cloud(10, seed=s), cloud(10, seed=s + 500), unbiased=True) for s in range(100)])
    assert values.min() < 0
    assert abs(values.mean()) < 3 * values.std() / 10
    assert torch.stack([mmd(cloud(10, seed=s), cloud(10, seed=s + 500)) for s in range(20)]).min() > 0


def test_the_bandwidth_carries_no_gradient():
    x = cloud(6).requires_grad_()
    width = median_bandwidth(x, cloud(6, seed=1))
    assert isinstance(width, float)
    assert torch.autograd.grad(mmd(x, cloud(6, seed=1), bandwidth=width), x)[0].abs().sum() > 0


def test_reversal_strength_grows_from_nothing_to_one_with_the_steps():
    values = [reversal_strength(p / 10) for p in range(11)]
    assert values[0] == 0
    assert values == sorted(values)
    assert values[-1] == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("joint", [True, False])
def test_both_features_gives_each_domain_its_rows(joint):
    x, y = cloud(3), cloud(5, seed=1)
    source, target = both_features(nn.Identity(), x, y, joint)
    assert torch.equal(source, x)
    assert torch.equal(target, y)


# ----------------------------------------------------- the bugs of tutorials


def test_gamma_one_in_many_dimensions_has_no_gradient_at_all():
    """exp(-|x - y|^2) with squared distances near a thousand is exactly 0, and so is what is learned from it."""
    x, y = cloud(20, 512, dtype=torch.float32).requires_grad_(), cloud(20, 512, 1.0, seed=1, dtype=torch.float32)
    torch.exp(-squared_distances(x, y)).mean().backward()
    assert torch.equal(x.grad, torch.zeros_like(x))
    x.grad = None
    mmd(x, y).backward()
    assert x.grad.abs().max() > 0


def test_lambda_by_epoch_is_zero_for_the_whole_first_epoch():
    steps = [TrainState(step, 30, step // 10, 3) for step in range(30)]
    assert {reversal_strength(s.epoch / s.epochs) for s in steps[:10]} == {0.0}
    assert len({reversal_strength(s.progress) for s in steps[:10]}) == 10


def test_a_minus_sign_and_a_reversal_cancel():
    x = cloud(4).requires_grad_()
    (-(reverse_gradient(x) ** 2).sum()).backward()
    assert torch.allclose(x.grad, 2 * cloud(4))  # the body would learn to tell the domains apart


def test_one_batch_of_both_domains_mixes_their_batchnorm_statistics():
    model = network(norm=True).double().train()
    apart = copy.deepcopy(model)
    x, y = cloud(30), cloud(30, shift=5.0, seed=1)
    joint, separate = both_features(model.body, x, y, True)[0], both_features(apart.body, x, y, False)[0]
    assert not torch.allclose(joint, separate, atol=0.1)


# --------------------------------------------------------------------- steps


def test_dann_pushes_the_body_against_the_domain_classifier():
    (source, target), model = domains(), network()
    batch = DomainPairs(source, target).collect(range(16))
    model.zero_grad()
    Dann()(model, batch, STATE)[0].backward()
    with_domain = model.body[0].weight.grad.clone()
    model.zero_grad()
    Dann(weight=0.0)(model, batch, STATE)[0].backward()
    classes_only = model.body[0].weight.grad.clone()
    assert model.domain_classifier[0].weight.grad.abs().sum() > 0  # it learns even where nothing flows back
    model.zero_grad()
    (inputs, _), target_inputs = batch
    features = model.body(torch.cat([inputs, target_inputs]))
    truth = torch.cat([torch.zeros(16), torch.ones(16)])
    nn.functional.binary_cross_entropy_with_logits(model.domain_classifier(features).squeeze(1), truth).backward()
    pushed = reversal_strength(STATE.progress) * model.body[0].weight.grad
    assert torch.allclose(with_domain, classes_only - pushed, atol=1e-6)


@pytest.mark.parametrize(
    "step", [Dann(), Dann(joint=False), Alignment(mmd), Alignment(coral), Alignment(mmd, joint=False)]
)
def test_every_step_trains_and_the_model_is_an_ordinary_classifier(step):
    (source, target), model = domains(), network(norm=True)
    result = fit(model, DomainPairs(source, target), target, epochs=2, step=step, progress="")
    assert len(result.history) == 2
    assert 0 <= evaluate(model, target, progress="")["accuracy"] <= 1


def test_alignment_brings_the_clouds_together():
    source, target = domains(shift=3.0)
    apart = {}
    for name, weight in (("source only", 0.0), ("aligned", 5.0)):
        model = network()
        fit(model, DomainPairs(source, target), epochs=30, step=Alignment(mmd, weight), lr=1e-2, progress="")
        with torch.no_grad():
            width = median_bandwidth(source.tensors[0], target.tensors[0])
            apart[name] = mmd(model.body(source.tensors[0]), model.body(target.tensors[0]), bandwidth=width)
    assert apart["aligned"] < apart["source only"] / 2


def test_target_labels_are_not_in_a_batch():
    source, target = domains()
    (inputs, labels), target_inputs = DomainPairs(source, target).collect([0, 1])
    assert torch.equal(labels, source.tensors[1][:2])
    assert torch.equal(target_inputs, target.tensors[0][DomainPairs(source, target).target_order[:2]])
    assert DomainPairs(source, target)[0][1].shape == (6,)


def test_the_smaller_domain_is_gone_through_more_than_once():
    source, target = TensorDataset(cloud(3), torch.zeros(3).long()), TensorDataset(cloud(8), torch.zeros(8).long())
    pairs = DomainPairs(source, target)
    assert len(pairs) == 8
    assert torch.equal(pairs.collect(range(8))[0][0], cloud(3)[[0, 1, 2, 0, 1, 2, 0, 1]])


def feature_splits(shift):
    parts = []
    for seed in range(3):
        x = cloud(300, seed=seed, dtype=torch.float32)
        parts.append(Features(x * 2 + shift, (x[:, 0] > 0).long(), ("fine", "broken")))
    return FeatureSplits(*parts)


def trained(source, target, step=None):
    """Return the network with a wide hidden layer after a few passes over both domains."""
    model = network(hidden=64)
    pairs = DomainPairs(source.train.dataset(), target.train.dataset())
    fit(model, pairs, epochs=4, batch_size=16, step=step or Dann(0.0, joint=False), lr=1e-2, seed=3, progress="")
    return model


def scores_of(model, part):
    with torch.no_grad():
        return model(part.values)


def test_own_statistics_undo_a_shift_that_breaks_the_source_only_model():
    source, target = feature_splits(0.0), feature_splits(8.0)
    by_source, by_own = target.standardised(source.train), target.standardised()
    model = trained(source.standardised(), by_source)
    blind, own = scores_of(model, by_source.test), scores_of(model, by_own.test)
    assert balanced_accuracy(blind, target.test.labels) < 0.65
    assert balanced_accuracy(own, target.test.labels) > 0.85


@pytest.mark.parametrize("step", [None, Dann(), Alignment(mmd)])
def test_a_run_is_repeated_by_its_seed_and_never_sees_target_labels(step):
    source, target = feature_splits(0.0), feature_splits(1.0)
    parts = (target.train, target.validation, target.test)
    flipped = FeatureSplits(*(Features(p.values, 1 - p.labels, p.class_names) for p in parts))
    scores = [scores_of(trained(source, given, step), target.test) for given in (target, target, flipped)]
    assert torch.equal(scores[0], scores[1])
    assert torch.equal(scores[0], scores[2])


# ------------------------------------------------------ statistics, distances


def test_adabn_gives_the_statistics_of_the_target_and_touches_no_weight():
    torch.manual_seed(0)
    model = nn.Sequential(nn.BatchNorm1d(6), nn.Linear(6, 2))
    before = copy.deepcopy(model.state_dict())
    data = TensorDataset(cloud(64, shift=3.0, dtype=torch.float32), torch.zeros(64).long())
    adapt_batchnorm(model, data, batch_size=64)
    assert torch.allclose(model[0].running_mean, data.tensors[0].mean(0), atol=1e-5)
    assert torch.allclose(model[0].running_var, data.tensors[0].var(0), atol=1e-5)
    for name in ("0.weight", "0.bias", "1.weight", "1.bias"):
        assert torch.equal(model.state_dict()[name], before[name])
    assert not model[0].training
    assert model[0].momentum == 0.1


def test_adabn_averages_over_all_batches():
    model, values = nn.BatchNorm1d(6), cloud(96, dtype=torch.float32)
    values[32:] += 5  # the last two batches differ from the first
    adapt_batchnorm(model, TensorDataset(values, torch.zeros(96).long()), batch_size=32)
    torch.testing.assert_close(model.running_mean, values.mean(0))
    within = torch.stack([part.var(0) for part in values.split(32)]).mean(0)
    torch.testing.assert_close(model.running_var, within)


def test_adabn_leaves_dropout_asleep():
    model = nn.Sequential(nn.Dropout(0.99), nn.BatchNorm1d(6))
    data = TensorDataset(torch.ones(32, 6) + cloud(32, dtype=torch.float32), torch.zeros(32).long())
    adapt_batchnorm(model, data)
    assert torch.allclose(model[1].running_mean, data.tensors[0].mean(0), atol=1e-5)


def test_a_distance_is_two_for_clouds_far_apart_and_near_zero_for_one_cloud():
    assert a_distance(cloud(60), cloud(60, shift=5.0, seed=1)) == pytest.approx(2, abs=0.05)
    assert a_distance(cloud(200), cloud(200, seed=1)) < 0.3


def test_the_witness_is_what_mmd_is_the_length_of():
    x, y = cloud(12), cloud(9, shift=1.0, seed=1)
    over = {name: mean_kernel(at, x, 3.0) - mean_kernel(at, y, 3.0) for name, at in (("x", x), ("y", y))}
    assert torch.isclose(over["x"].mean() - over["y"].mean(), mmd(x, y, 3.0))


def test_the_permutation_test_finds_a_shift_and_only_a_shift():
    assert permutation_test(cloud(40), cloud(40, shift=1.0, seed=1), 100)[1] == pytest.approx(1 / 101)
    values = [permutation_test(cloud(15, seed=s), cloud(15, seed=s + 99), 50, seed=s)[1] for s in range(30)]
    assert 0.02 < sum(value <= 0.2 for value in values) / 30 < 0.45  # about a fifth, as it should be


# ------------------------------------------------------------------ bad input


def test_empty_domains_and_domains_that_do_not_match_are_refused():
    source, target = domains()
    empty = TensorDataset(torch.zeros(0, 6), torch.zeros(0).long())
    with pytest.raises(ValueError, match="target domain is empty"):
        DomainPairs(source, empty)
    with pytest.raises(ValueError, match="source domain is empty"):
        DomainPairs(empty, target)
    with pytest.raises(ValueError, match="Use one transform"):
        DomainPairs(source, TensorDataset(torch.zeros(4, 5), torch.zeros(4).long()))


def test_domains_with_other_classes_are_refused():
    source, target = domains()
    source.class_names, target.class_names = ("fine", "broken"), ("cat", "dog")
    with pytest.raises(ValueError, match="different classes"):
        DomainPairs(source, target)


def test_the_permutation_test_counts_ties_that_differ_by_rounding():
    """Three points against three have ten different divisions, so no p-value can be below about a tenth."""
    found = [permutation_test(cloud(3, seed=s), cloud(3, shift=10.0, seed=s + 50), 2000)[1] for s in range(5)]
    assert min(found) > 0.08
    assert max(found) < 0.12


def test_a_statistic_of_the_real_and_of_random_divisions():
    x, y = torch.zeros(3, 1), torch.ones(4, 1)
    real, *random = divided(lambda a, b: b.mean() - a.mean(), x, y, divisions=30, seed=1)
    assert (real, len(random)) == (1.0, 30)
    assert max(random) <= 1
    assert min(random) < 0
    assert divided(lambda a, b: b.mean() - a.mean(), x, y, 30, seed=1)[1:] == random
    assert p_value([2.0, 1.0, 2.0 - 1e-12, 3.0]) == 0.75


@pytest.mark.parametrize("measure", [mmd, coral, permutation_test, a_distance])
def test_measures_refuse_what_has_no_answer(measure):
    with pytest.raises(ValueError, match="one example in this batch"):
        measure(cloud(1), cloud(4))
    with pytest.raises(ValueError, match="NaN or infinite"):
        measure(cloud(4) * torch.nan, cloud(4))
    with pytest.raises(ValueError, match="with one D"):
        measure(cloud(4, 3), cloud(4, 2))


def test_features_that_are_all_the_same_are_said():
    with pytest.raises(ValueError, match="bandwidth must be larger than 0"):
        mmd(torch.ones(4, 2), torch.ones(4, 2))


def test_dann_without_a_domain_classifier_and_adabn_without_batchnorm_are_refused():
    source, target = domains()
    model = DomainModel(nn.Identity(), nn.Linear(6, 2))
    with pytest.raises(ValueError, match="needs a domain classifier"):
        Dann()(model, DomainPairs(source, target).collect(range(4)), STATE)
    with pytest.raises(ValueError, match="no BatchNorm layer"):
        adapt_batchnorm(model, source)


def test_labels_the_head_does_not_know_are_refused():
    source = TensorDataset(cloud(8, dtype=torch.float32), torch.full((8,), 7))
    with pytest.raises(ValueError, match="Labels run from 7 to 7"):
        Alignment(mmd)(network(), DomainPairs(source, source).collect(range(8)), STATE)


def test_domains_without_a_transform_are_refused_in_words():
    for data in (tiny_images(8), tiny_texts(8)):
        with pytest.raises(ValueError, match="no transform. Use data.with_transform"):
            DomainPairs(data, data)


# ------------------------------------------------------- the order of the target, and texts


@pytest.mark.parametrize("sizes", [(400, 400), (400, 200), (200, 400)])
def test_labels_of_source_and_target_in_a_batch_are_unrelated_even_where_both_are_sorted_by_class(sizes):
    def sorted_by_class(count):
        return TensorDataset(torch.zeros(count, 1), torch.arange(count) * 2 // count)

    source, target = map(sorted_by_class, sizes)
    target = TensorDataset(target.tensors[1][:, None].float(), target.tensors[1])  # the input gives its label away
    pairs = DomainPairs(source, target)
    agree = [int(label) == int(target_input) for (_, label), target_input in (pairs[i] for i in range(len(pairs)))]
    assert 0.4 < np.mean(agree) < 0.6
    if sizes[1] == len(pairs):
        assert sorted(pairs.target_order) == list(range(len(pairs))), "every item of the larger domain once"


def test_two_domains_of_texts_are_aligned_like_any_other():
    source, target = (tiny_texts(12, seed=seed) for seed in (0, 1))
    encoder = tiny_encoder()
    transform = encoder.card.preprocess(24)
    source, target = source.with_transform(transform), target.with_transform(transform)
    body = SentenceBody(encoder)
    model = DomainModel(body, nn.Linear(16, 2), domain_classifier(16))
    for step in (Dann(), Alignment(coral), Dann(joint=False)):
        result = fit(model, DomainPairs(source, target), source, epochs=1, batch_size=6, step=step, progress="")
        assert result.steps == 2
    (inputs, _), others = DomainPairs(source, target).collect([0, 1, 2, 3])
    joint, separate = both_features(body, inputs, others), both_features(body, inputs, others, joint=False)
    for together, alone in zip(joint, separate, strict=True):
        torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-4)  # padding adds nothing


class SentenceBody(nn.Module):
    """An encoder without its head: tokens -> the mean over their vectors."""

    def __init__(self, encoder):
        super().__init__()
        self.encoder = encoder.encoder

    def forward(self, tokens):
        return mean_pooling(self.encoder(**tokens).last_hidden_state, tokens["attention_mask"])
