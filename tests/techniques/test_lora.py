"""LoRA: equal to peft and loralib, a start that changes nothing, a body that never moves, and the usual mistakes."""

import copy

import loralib
import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import TinyNet, changed, tiny_encoder, tiny_images, tiny_texts, tiny_tokens, weights_of
from torch import nn

from transfer_utils import add_lora, fit, merge_lora, trainable_parameters
from transfer_utils.models.backbones import BackboneCard
from transfer_utils.models.freezing import freeze
from transfer_utils.models.wrapping import find_layers
from transfer_utils.runtime.seeding import generator
from transfer_utils.techniques.lora import (
    LoRALayer,
    effective_rank,
    lora_layers,
    low_rank_update,
    random_effective_rank,
)
from transfer_utils.techniques.lora_memory import training_memory_apart

DTYPES = (torch.float32, torch.float64, torch.bfloat16)


def random_like(tensor, seed=0):
    return torch.randn(tensor.shape, generator=generator(seed, "random")).to(tensor.dtype)


def pointwise_net(classes=3):
    """A small network with a 3x3 convolution, and 1x1 convolutions with strides and padding."""
    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 12, 1, stride=2), nn.ReLU(), nn.Conv2d(12, 10, 1, padding=1)
    )
    model = nn.ModuleDict({"body": body, "head": nn.Linear(10, classes)})
    model.forward = lambda images: model["head"](model["body"](images).mean((2, 3)))
    model.card = BackboneCard("pointwise", "random", "head", (0.5,) * 3, (0.5,) * 3, 16)
    return model


def with_learned_change(model, seed=0):
    """Give every B of ``model`` random numbers, as if it had been trained."""
    for number, layer in enumerate(lora_layers(model).values()):
        layer.B.data = random_like(layer.B, seed + number) / 5
    return model


# ------------------------------------------------- equal to libraries written by others


@pytest.mark.parametrize(
    ("make", "inputs", "targets"),
    [
        (tiny_encoder, tiny_tokens(), ["query", "value", "intermediate.dense"]),
        (pointwise_net, torch.randn(2, 3, 9, 9, generator=generator(0, "images")), ["body.2", "body.4"]),
    ],
    ids=["BERT", "1x1 convolutions"],
)
def test_equal_to_peft_before_and_after_merging(make, inputs, targets):
    ours, theirs = make(), make()
    config = peft.LoraConfig(r=3, lora_alpha=7, target_modules=targets, init_lora_weights=False)
    theirs = peft.inject_adapter_in_model(config, theirs).eval()
    plain = make()(inputs)
    add_lora(ours, rank=3, targets=targets, alpha=7.0)
    for name, layer in lora_layers(ours).items():
        other = theirs.get_submodule(name)
        layer.A.data = other.lora_A["default"].weight.data.reshape(layer.A.shape).clone()
        layer.B.data = other.lora_B["default"].weight.data.reshape(layer.B.shape).clone()
        torch.testing.assert_close(layer.update().view_as(layer.base.weight), other.get_delta_weight("default"))
    assert (theirs(inputs) - plain).abs().max() > 1e-2
    torch.testing.assert_close(ours(inputs), theirs(inputs), atol=1e-6, rtol=0)
    for name in lora_layers(ours):
        theirs.get_submodule(name).merge()
    torch.testing.assert_close(merge_lora(ours)(inputs), theirs(inputs), atol=1e-6, rtol=0)


def test_equal_to_loralib_before_and_after_merging():
    base, x = nn.Linear(7, 5), torch.randn(4, 7)
    theirs = loralib.Linear(7, 5, r=2, lora_alpha=3)
    theirs.load_state_dict(base.state_dict(), strict=False)
    ours = LoRALayer(base, rank=2, alpha=3)
    theirs.lora_A.data, theirs.lora_B.data = ours.A.data.clone(), random_like(ours.B)
    ours.B.data = theirs.lora_B.data.clone()
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)
    ours.merge()
    theirs.eval()  # merges
    assert theirs.merged
    torch.testing.assert_close(ours.base.weight, theirs.weight, atol=1e-6, rtol=0)
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-6, rtol=0)


def test_the_start_is_the_one_of_pytorch_s_linear_layer():
    layer = LoRALayer(nn.Linear(400, 300), rank=50, alpha=1)
    bound = 400**-0.5  # of Kaiming uniform with a = sqrt(5)
    assert 0.99 * bound < layer.A.abs().max() <= bound * (1 + 1e-6)
    assert float(layer.A.detach().std()) == pytest.approx(bound / 3**0.5, rel=0.02)
    assert not layer.B.any()


# ------------------------------------------------------------------- for any layer


@st.composite
def layers(draw):
    """A linear layer or 1x1 convolution of any size and dtype, inputs for it, and LoRA beside it."""
    inputs, outputs = draw(st.integers(1, 12)), draw(st.integers(1, 12))
    rank, dtype = draw(st.integers(1, min(inputs, outputs))), draw(st.sampled_from(DTYPES))
    torch.manual_seed(draw(st.integers(0, 1000)))
    if draw(st.booleans()):
        base, x = nn.Linear(inputs, outputs, bias=draw(st.booleans())), torch.randn(draw(st.integers(1, 3)), inputs)
    else:
        base, x = nn.Conv2d(inputs, outputs, 1, stride=draw(st.integers(1, 2))), torch.randn(2, inputs, 4, 3)
    base, x = base.to(dtype), x.to(dtype)
    layer = LoRALayer(copy.deepcopy(base), rank, alpha=draw(st.sampled_from([0.5, 1.0, 16.0])))
    return base, layer.to(dtype), x


@settings(max_examples=60)
@given(layers())
def test_at_the_start_nothing_is_changed_to_the_last_bit(made):
    base, layer, x = made
    assert torch.equal(layer(x), base(x))
    layer.merge()
    assert torch.equal(layer.base.weight, base.weight)


@settings(max_examples=60)
@given(layers())
def test_the_update_has_rank_r_at_most_and_merging_is_undone_to_the_last_bit(made):
    base, layer, x = made
    layer.B.data = random_like(layer.B)
    rounding = 0.05 if x.dtype == torch.bfloat16 else 1e-5
    assert torch.linalg.matrix_rank(layer.update().double(), rtol=rounding) <= layer.rank
    beside = layer(x)
    layer.merge()
    layer.merge()  # once is enough
    tolerance = 0.2 if x.dtype == torch.bfloat16 else 1e-4
    torch.testing.assert_close(layer(x), beside, atol=tolerance, rtol=tolerance)
    layer.unmerge()
    layer.unmerge()
    assert torch.equal(layer.base.weight, base.weight)
    assert torch.equal(layer(x), beside)


def test_the_common_bug_subtracting_the_update_does_not_give_the_weights_back():
    base = nn.Linear(64, 64)
    layer = LoRALayer(copy.deepcopy(base), 8, alpha=16)
    layer.B.data = random_like(layer.B)
    layer.base.weight.data += layer.update()
    layer.base.weight.data -= layer.update()
    assert not torch.equal(layer.base.weight, base.weight)


@settings(max_examples=30)
@given(st.integers(1, 6), st.floats(0.1, 50))
def test_the_scale_is_alpha_over_r(rank, alpha):
    A, B = torch.randn(rank, 7, dtype=torch.float64), torch.randn(6, rank, dtype=torch.float64)
    slow = sum(torch.outer(B[:, k], A[k]) for k in range(rank)) * alpha / rank
    torch.testing.assert_close(low_rank_update(A, B, alpha), slow)


@settings(max_examples=10)
@given(st.integers(1, 16), st.sampled_from([["query"], ["query", "value"], ["layer.1.*.dense", "key"]]))
def test_merging_gives_the_plain_model_s_names_and_equal_predictions(rank, targets):
    model, tokens = tiny_encoder(), tiny_tokens()
    names = list(model.state_dict())
    add_lora(model, rank=rank, targets=targets)
    with_learned_change(model)
    before = model(tokens)
    assert merge_lora(model) is model
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model(tokens), before, atol=1e-5, rtol=1e-5)
    assert not hasattr(model, "task_settings")
    with pytest.raises(ValueError, match="has no LoRA layers"):
        merge_lora(model)


def test_dropout_acts_on_the_input_of_a_only_and_in_training_only():
    layer, x = LoRALayer(nn.Linear(6, 6), 2, alpha=2, dropout=0.999999), torch.randn(50, 6)
    layer.B.data = random_like(layer.B)
    assert torch.equal(layer.train()(x), layer.base(x))
    assert not torch.allclose(layer.eval()(x), layer.base(x))


# --------------------------------------------------------------------- effective rank


@pytest.mark.parametrize(("values", "expected"), [([1, 1, 1, 0], 3), ([5, 0, 0, 0], 1), ([1, 1, 1, 1], 4)])
def test_effective_rank_counts_equal_singular_values(values, expected):
    left, right = (torch.linalg.qr(torch.randn(4, 4, dtype=torch.float64))[0] for _ in range(2))
    matrix = left @ torch.diag(torch.tensor(values, dtype=torch.float64)) @ right
    assert effective_rank(matrix) == pytest.approx(expected, rel=1e-6)


def test_effective_rank_of_nothing_is_refused():
    with pytest.raises(ValueError, match="before training B is zero"):
        effective_rank(torch.zeros(3, 3))


# --------------------------------------------------------------------- what learns


def test_only_a_b_and_the_head_learn():
    model = add_lora(tiny_encoder(layers=2, width=16), rank=3)
    assert trainable_parameters(model) == 2 * 2 * (3 * 16 + 16 * 3) + (16 * 2 + 2)
    learns = {name.rpartition(".")[2] for name, p in model.encoder.named_parameters() if p.requires_grad}
    assert learns == {"A", "B"}


def test_the_base_is_bit_identical_after_real_training():
    model = add_lora(tiny_encoder(), rank=2)
    texts = tiny_texts(16).with_transform(model.card.preprocess(20))
    before, tokens = weights_of(model), tiny_tokens()
    said = model(tokens)
    fit(model, texts, texts, epochs=3, lr=1e-2, batch_size=4, progress="")
    moved = changed(before, weights_of(model))
    assert {name.rpartition(".")[2] for name in moved if name.startswith("encoder")} == {"A", "B"}
    assert moved - {name for name in moved if name.startswith("encoder")} == {"head.weight", "head.bias"}
    assert len(moved) == 2 * 4 + 2
    assert not torch.allclose(model(tokens), said)


def test_the_base_of_a_network_with_batchnorm_is_bit_identical_after_real_training():
    model = TinyNet()
    model.features[1].append(nn.Conv2d(12, 12, 1))
    add_lora(model, rank=2, targets=["features.1.4"])
    before = weights_of(model)
    images = tiny_images(16).with_transform(model.card.preprocess())
    fit(model, images, images, epochs=2, lr=1e-2, batch_size=4, progress="")
    assert changed(before, weights_of(model)) == {"features.1.4.A", "features.1.4.B", "fc.weight", "fc.bias"}


def test_in_training_the_frozen_body_drops_nothing():
    model, tokens = add_lora(tiny_encoder(dropout=0.5), rank=2), tiny_tokens()
    with_learned_change(model)
    said = model.eval()(tokens)
    model.train()
    assert not model.encoder.encoder.layer[0].attention.self.training, "it drops attention weights where this is true"
    assert torch.equal(model(tokens), said)


def test_at_the_first_step_a_gets_no_gradient_because_b_is_zero_and_b_gets_one():
    model = add_lora(tiny_encoder(), rank=2)
    nn.functional.cross_entropy(model(tiny_tokens()), torch.arange(5) % 2).backward()
    for layer in lora_layers(model).values():
        assert not layer.A.grad.any()
        assert layer.B.grad.abs().max() > 0


def test_the_common_bug_with_both_at_zero_nothing_would_ever_learn():
    layer = LoRALayer(nn.Linear(4, 4), 2, alpha=2)
    layer.A.data.zero_()
    layer(torch.randn(3, 4)).sum().backward()
    assert not layer.A.grad.any()
    assert not layer.B.grad.any()


def test_the_seed_decides_the_start():
    def start(seed):
        return add_lora(tiny_encoder(), rank=2, seed=seed).encoder.encoder.layer[0].attention.self.query.A

    torch.rand(3)  # what ran before does not count
    assert torch.equal(start(1), start(1))
    assert not torch.equal(start(1), start(2))


# --------------------------------------------------------------------- common mistakes


def refused(model, error, match, **options):
    """Ask for LoRA, see it refused, and see that the model is as it was."""
    before = copy.deepcopy(model)
    with pytest.raises(error, match=match):
        add_lora(model, **options)
    assert [(n, type(m)) for n, m in model.named_modules()] == [(n, type(m)) for n, m in before.named_modules()]
    assert not changed(weights_of(before), weights_of(model))
    assert [p.requires_grad for p in model.parameters()] == [p.requires_grad for p in before.parameters()]


def test_a_second_injection_is_refused():
    model = add_lora(tiny_encoder(), rank=2)
    refused(model, ValueError, "layer.0.attention.self.query is wrapped already")


def test_every_layer_is_wrapped_once_and_no_wrapper_inside_another():
    """The common bug: modules replaced while walking over them, so that the walk meets the new ones' bases."""
    model = tiny_encoder()
    linear = [f"encoder.{name}" for name, module in model.encoder.named_modules() if isinstance(module, nn.Linear)]
    layers = lora_layers(add_lora(model, rank=2, targets=["*"]))
    assert list(layers) == linear
    assert all(type(layer.base) is nn.Linear for layer in layers.values())


def test_a_pattern_that_fits_nothing_names_what_there_is():
    match = "'q_proj' fits no layer. Names of layers here end in dense, head, key, query, value"
    refused(tiny_encoder(), ValueError, match, targets=["query", "q_proj"])


def test_a_string_instead_of_a_list_is_refused():
    refused(tiny_encoder(), TypeError, r"Give a list of patterns: \['query'\]", targets="query")


@pytest.mark.parametrize("rank", [0, -1, 17])
def test_a_rank_that_does_not_fit_is_refused(rank):
    match = f"rank of a 16 x 16 layer is between 1 and 16, not {rank}"
    refused(tiny_encoder(width=16), ValueError, match, rank=rank)


def test_a_rank_that_fits_one_layer_only_is_refused_before_any_is_changed():
    refused(pointwise_net(), ValueError, "10 x 12 layer is between 1 and 10", rank=10 + 1, targets=["body.4"])
    refused(tiny_encoder(width=16), ValueError, "between 1 and 16, not 20", rank=20, targets=["dense", "query"])


def test_a_convolution_over_a_neighbourhood_is_refused():
    refused(pointwise_net(), TypeError, "1x1 nn.Conv2d with one group, not for Conv2d", rank=1, targets=["body.0"])


def test_a_convolution_in_groups_is_refused():
    with pytest.raises(TypeError, match="one group"):
        LoRALayer(nn.Conv2d(4, 4, 1, groups=2), 1, 1.0)


class Shared(nn.Module):
    """One layer in two places."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = self.first
        self.head = nn.Linear(4, 2)
        self.card = BackboneCard("shared", "random", "head", (0.5,) * 3, (0.5,) * 3, 16)

    def forward(self, x):
        return self.head(self.second(self.first(x).tanh()))


@pytest.mark.parametrize("targets", [["first", "second"], ["first"], ["second"]])
def test_a_layer_in_two_places_is_wrapped_once_and_stays_shared(targets):
    model, x = Shared(), torch.randn(3, 4)
    names = list(model.state_dict())
    add_lora(model, rank=1, targets=targets)
    assert model.first is model.second
    assert isinstance(model.first.base, nn.Linear)
    assert list(lora_layers(model)) == ["first"]
    with_learned_change(model)
    said = model(x)
    merge_lora(model)
    assert model.first is model.second
    assert list(model.state_dict()) == names
    torch.testing.assert_close(model(x), said)


def test_tied_weights_are_refused():
    model = Shared()
    model.second = nn.Linear(4, 4)
    model.second.weight = model.first.weight
    refused(model, ValueError, "first shares its weights with second; merging would change both", targets=["first"])


def test_patterns_that_fit_the_head_alone_are_refused():
    match = "The patterns fit the head alone, which learns anyway"
    refused(TinyNet(), ValueError, match, rank=1, targets=["fc"])
    refused(tiny_encoder(), ValueError, match, rank=1, targets=["head"])


def test_the_head_is_left_out_of_a_pattern_that_fits_everything():
    model = add_lora(Shared(), rank=1, targets=["*"])
    assert isinstance(model.head, nn.Linear)
    assert model.head.weight.requires_grad


def test_a_model_that_was_frozen_before_learns_as_any_other():
    model = tiny_encoder()
    freeze(model)
    add_lora(model, rank=1)
    assert all(layer.training and layer.A.requires_grad for layer in lora_layers(model.train()).values())
    assert model.head.training


# ------------------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("patterns", "count"),
    [
        (["query"], 3), (["query", "*.query"], 3), (["layer.[12].*.dense"], 6), (["layer.0.*"], 6),
        (["encoder.encoder.layer.0.attention.self.key"], 1), (["layer.2.attention.self.*", "head"], 4),
    ],
)  # fmt: skip
def test_patterns_fit_whole_names_or_their_ends(patterns, count):
    found = find_layers(tiny_encoder(layers=3), patterns, (nn.Linear,))
    assert len(found) == count
    assert len(set(found.values())) == count


def test_a_pattern_does_not_fit_the_end_of_a_word():
    with pytest.raises(ValueError, match="'ery' fits no layer"):
        find_layers(tiny_encoder(), ["ery"], (nn.Linear,))


def test_a_random_product_has_an_effective_rank_somewhat_below_its_rank():
    found = {rank: random_effective_rank(384, 384, rank) for rank in (1, 4, 16)}
    assert found[1] == pytest.approx(1)
    assert 3.5 < found[4] < 4
    assert 15.5 < found[16] < 16
    assert found[16] == random_effective_rank(384, 384, 16)


def test_without_dropout_a_lora_layer_draws_no_random_numbers_in_training():
    layer = LoRALayer(nn.Linear(5, 4), rank=2, alpha=4).train()
    torch.manual_seed(0)
    layer(torch.ones(3, 5))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    assert torch.equal(state, torch.get_rng_state())


@pytest.mark.parametrize("method", ["fine-tuning", "LoRA"])
def test_what_training_adds_to_the_memory_comes_from_a_process_of_its_own(method):
    assert 1 < training_memory_apart(method, texts=4, length=8) < 2000


def test_an_unknown_method_has_no_memory():
    with pytest.raises(ValueError, match="no method"):
        training_memory_apart("adapters")
