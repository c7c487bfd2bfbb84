"""Adapters: near identity at the start, counted to the parameter, put where they belong, a body that stays."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TinyNet, changed, tiny_encoder, tiny_images, tiny_texts, tiny_tokens, weights_of
from torch import nn

from transfer_utils import add_adapters, add_lora, fit, load_backbone, trainable_parameters
from transfer_utils.models.wrapping import wrappers
from transfer_utils.techniques.adapters import Adapted, Adapter, bottleneck


def slow_bottleneck(x, down, up):
    """``x + up(gelu(down(x)))`` for one vector, number by number."""
    narrow = []
    for weights, bias in zip(down.weight.flatten(1).tolist(), down.bias.tolist(), strict=True):
        z = sum(w * value for w, value in zip(weights, x, strict=True)) + bias
        narrow.append(z * 0.5 * (1 + math.erf(z / math.sqrt(2))))
    rows = zip(x, up.weight.flatten(1).tolist(), up.bias.tolist(), strict=True)
    return [value + sum(w * z for w, z in zip(weights, narrow, strict=True)) + bias for value, weights, bias in rows]


def randomised(adapter):
    """Give every parameter random numbers, so that no term can hide behind a zero."""
    for parameter in adapter.parameters():
        parameter.data.normal_()
    return adapter


sizes = st.integers(1, 12).flatmap(lambda width: st.tuples(st.just(width), st.integers(1, width)))


# --------------------------------------------------------------------- the bottleneck


@settings(max_examples=25)
@given(sizes)
def test_for_vectors_it_is_what_a_slow_loop_says(size):
    adapter, x = randomised(Adapter(*size).double()), torch.randn(2, 3, size[0], dtype=torch.float64)
    slow = [slow_bottleneck(row, adapter.down, adapter.up) for row in x.flatten(0, 1).tolist()]
    np.testing.assert_allclose(adapter(x).detach().flatten(0, 1), slow, atol=1e-12, rtol=1e-10)


@settings(max_examples=25)
@given(sizes)
def test_for_images_it_is_the_same_slow_loop_at_every_pixel(size):
    adapter = randomised(Adapter(*size, convolution=True).double())
    x = torch.randn(2, size[0], 2, 3, dtype=torch.float64)
    slow = np.empty(x.shape)
    for image, row, column in np.ndindex(2, 2, 3):
        slow[image, :, row, column] = slow_bottleneck(x[image, :, row, column].tolist(), adapter.down, adapter.up)
    np.testing.assert_allclose(adapter(x).detach(), slow, atol=1e-12, rtol=1e-10)


@pytest.mark.parametrize("convolution", [False, True])
@pytest.mark.parametrize(("size", "count"), [((4, 1), 13), ((16, 4), 148), ((768, 64), 99136)])
def test_it_has_as_many_parameters_as_counted_by_hand(size, count, convolution):
    """(4, 1): down 4 weights and 1 bias, up 4 and 4. (16, 4): 64 + 4, 64 + 16. (768, 64): 49152 + 64, 49152 + 768."""
    assert sum(p.numel() for p in Adapter(*size, convolution=convolution).parameters()) == count


@settings(max_examples=40)
@given(st.integers(8, 400).flatmap(lambda d: st.tuples(st.just(d), st.integers(1, d))), st.integers(0, 99))
def test_it_starts_near_the_identity_but_not_at_it(size, seed):
    adapter, x = Adapter(*size, seed=seed), torch.randn(4, size[0])
    moved = (adapter(x) - x).norm() / x.norm()
    assert 0 < moved < 0.05


@pytest.mark.parametrize("m", [0, -1, 9])
def test_a_bottleneck_that_is_none_is_refused(m):
    with pytest.raises(ValueError, match=f"between 1 and the width of the layer, 8; it is {m}"):
        Adapter(8, m)


def test_a_gradient_reaches_down_in_the_first_step():
    adapter = Adapter(8, 3)
    (adapter(torch.randn(5, 8)) * torch.randn(5, 8)).sum().backward()
    assert adapter.down.weight.grad.abs().max() > 0
    assert adapter.up.weight.grad.abs().max() > 0


def test_the_common_bug_with_up_at_zero_no_gradient_reaches_down():
    adapter = Adapter(8, 3)
    adapter.up.weight.data.zero_()
    (adapter(torch.randn(5, 8)) * torch.randn(5, 8)).sum().backward()
    assert not adapter.down.weight.grad.any()


def test_the_common_bug_without_the_sum_the_signal_is_lost():
    adapter, x = Adapter(8, 3), torch.randn(5, 8)
    assert bottleneck(x, adapter.down, adapter.up).norm() > 0.9 * x.norm()
    assert adapter.up(nn.functional.gelu(adapter.down(x))).norm() < 0.05 * x.norm()


# ------------------------------------------------------------------------- where they go


def test_in_bert_after_both_dense_outputs_of_every_layer():
    model, tokens = tiny_encoder(layers=11, width=8), tiny_tokens()
    before = model(tokens)
    add_adapters(model, bottleneck=2)
    expected = {f"encoder.encoder.layer.{i}.{part}.dense" for i in range(11) for part in ("attention.output", "output")}
    assert set(wrappers(model)) == expected
    assert 0 < (model(tokens) - before).abs().max() < 0.05 * before.abs().max()
    norms = (1 + 2 * 11) * 2 * 8
    assert trainable_parameters(model) == 22 * (2 * 8 * 2 + 2 + 8) + norms + (8 * 2 + 2)


@pytest.mark.parametrize(
    ("name", "places", "widths"),
    [
        ("efficientnet_lite0", [f"blocks.{i}" for i in range(7)], [16, 24, 40, 80, 112, 192, 320]),
        ("resnet18", [f"layer{i}" for i in range(1, 5)], [64, 128, 256, 512]),
    ],
)
def test_in_a_convolutional_network_after_each_stage(name, places, widths):
    model, images = load_backbone(name, pretrained=False), torch.randn(2, 3, 64, 64)
    before = model(images)
    add_adapters(model, bottleneck=4)
    assert list(wrappers(model)) == places
    adapters = [wrapper.adapter for wrapper in wrappers(model).values()]
    assert [adapter.up.out_channels for adapter in adapters] == widths
    assert all(isinstance(adapter.down, nn.Conv2d) for adapter in adapters)
    assert 0 < (model(images) - before).norm() < 0.05 * before.norm()
    head = sum(p.numel() for p in model.get_submodule(model.card.head).parameters())
    assert trainable_parameters(model) == sum(2 * d * 4 + 4 + d for d in widths) + head


def test_where_they_go_in_another_network_is_to_be_said():
    model = TinyNet()
    with pytest.raises(ValueError, match=r"Where adapters go in this model is not known. Name layers: at="):
        add_adapters(model, bottleneck=2)
    add_adapters(model, bottleneck=2, at=["features.1"])
    assert list(wrappers(model)) == ["features.1"]
    assert wrappers(model)["features.1"].adapter.down.in_channels == 12


# --------------------------------------------------------------------------- what learns


def test_layernorms_adapters_and_the_head_learn_and_nothing_else_changes_in_real_training():
    model = add_adapters(tiny_encoder(dropout=0.3), bottleneck=4)
    texts = tiny_texts(16).with_transform(model.card.preprocess(20))
    before = weights_of(model)
    fit(model, texts, texts, epochs=3, lr=1e-2, batch_size=4, progress="")
    moved = changed(before, weights_of(model))
    learn = {n for n in before if ".adapter." in n or ".LayerNorm." in n or n.startswith("head.")}
    assert moved == learn
    assert len(learn) == 4 * 4 + 5 * 2 + 2


def test_layernorms_stay_where_norms_is_false():
    model = add_adapters(tiny_encoder(), bottleneck=4, norms=False)
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    assert all(".adapter." in name or name.startswith("head.") for name in learns)
    assert len(learns) == 4 * 4 + 2


def test_batchnorm_does_not_learn_and_its_statistics_stay():
    model = add_adapters(TinyNet(dropout=0.5), bottleneck=3, at=["features.0", "features.1"])
    before = weights_of(model)
    images = tiny_images(16).with_transform(model.card.preprocess())
    fit(model, images, images, epochs=2, lr=1e-2, batch_size=4, progress="")
    moved = changed(before, weights_of(model))
    assert moved == {n for n in before if ".adapter." in n or n.startswith("fc.")}
    assert any("running_mean" in name for name in before.keys() - moved)


def test_in_training_the_frozen_body_drops_nothing():
    model, tokens = add_adapters(tiny_encoder(dropout=0.5), bottleneck=4), tiny_tokens()
    assert torch.equal(model.train()(tokens), model.eval()(tokens))


# ------------------------------------------------------------------------ common mistakes


@pytest.mark.parametrize(
    ("make", "options", "error", "match"),
    [
        (tiny_encoder, {"bottleneck": 17}, ValueError, "width of the layer, 16; it is 17"),
        (tiny_encoder, {"at": ["no_such_layer"]}, ValueError, "'no_such_layer' fits no layer"),
        (tiny_encoder, {"at": "output.dense"}, TypeError, "Give a list of patterns"),
        (tiny_encoder, {"bottleneck": 4, "at": ["query", "LayerNorm"]}, ValueError, "no channels.*LayerNorm"),
        (lambda: add_adapters(tiny_encoder(), 4), {"bottleneck": 4}, ValueError, "is wrapped already"),
        (lambda: add_lora(tiny_encoder(), 2), {"bottleneck": 4}, ValueError, "is wrapped already"),
    ],
    ids=["bottleneck", "pattern", "string", "layer", "adapters twice", "after LoRA"],
)
def test_what_is_refused_leaves_the_model_as_it_was(make, options, error, match):
    model = make()
    before = copy.deepcopy(model)
    with pytest.raises(error, match=match):
        add_adapters(model, **options)
    assert [(n, type(m)) for n, m in model.named_modules()] == [(n, type(m)) for n, m in before.named_modules()]
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]
    assert not changed(weights_of(before), weights_of(model))


def test_layers_inside_one_another_are_both_adapted():
    model, tokens = tiny_encoder(), tiny_tokens()
    before = model(tokens)
    add_adapters(model, 2, at=["layer.0.output", "layer.0.output.dense"])
    assert len(wrappers(model, Adapted)) == 2
    assert 0 < (model(tokens) - before).abs().max() < 0.05 * before.abs().max()
