"""Frozen is frozen: parameters, BatchNorm statistics and dropout, through everything that training does."""

import copy
import io

import pytest
import torch
from tiny import TinyNet, changed, linear, tiny_images, weights_of
from torch import nn

from transfer_utils import (
    UnfreezingSchedule,
    fit,
    freeze,
    layer_groups,
    load_backbone,
    replace_head,
    trainable_parameters,
    unfreeze,
)

OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, 0.05, momentum=0.9, weight_decay=0.1),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, 0.01, weight_decay=0.1),
    "RMSprop": lambda parameters: torch.optim.RMSprop(parameters, 0.01, momentum=0.9, weight_decay=0.1),
}


def train_by_hand(model, steps=100, optimizer=None, set_to_none=True):
    """Make ``steps`` steps with an optimizer over every parameter, ``model.train()`` called before each."""
    optimizer = optimizer or OPTIMIZERS["AdamW"](model.parameters())
    generator = torch.Generator().manual_seed(0)
    for _ in range(steps):
        model.train()
        images = torch.randn(8, 3, 16, 16, generator=generator) * 3 + 1
        loss = nn.functional.cross_entropy(model(images), torch.randint(0, 2, (8,), generator=generator))
        optimizer.zero_grad(set_to_none=set_to_none)
        loss.backward()
        optimizer.step()


def body(names):
    return {name for name in names if not name.startswith("fc")}


# ------------------------------------------------------------- nothing changes


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_frozen_body_is_bit_identical_after_train_and_a_hundred_steps(optimizer):
    model = TinyNet()
    freeze(model.features)
    before = weights_of(model)
    train_by_hand(model, 100, OPTIMIZERS[optimizer](model.parameters()))
    assert changed(before, weights_of(model)) == {"fc.weight", "fc.bias"}


def test_the_common_bug_no_gradients_alone_let_batchnorm_drift():
    model = TinyNet()
    for parameter in model.features.parameters():
        parameter.requires_grad_(False)
    before = weights_of(model)
    train_by_hand(model, 1)
    moved = changed(before, weights_of(model))
    assert {"features.0.1.running_mean", "features.0.1.running_var", "features.0.1.num_batches_tracked"} <= moved
    assert not any("weight" in name for name in body(moved))


@pytest.mark.parametrize("set_to_none", [True, False])
def test_what_is_frozen_again_after_training_stops_at_once(set_to_none):
    model = TinyNet()
    optimizer = OPTIMIZERS["AdamW"](model.parameters())
    train_by_hand(model, 3, optimizer)
    freeze(model.features)
    before = weights_of(model)
    train_by_hand(model, 20, optimizer, set_to_none)
    assert changed(before, weights_of(model)) == {"fc.weight", "fc.bias"}


def test_a_real_backbone_frozen_as_a_whole_keeps_everything_but_its_new_head():
    model = load_backbone("mobilenet_v3_small", pretrained=False)
    freeze(model)
    replace_head(model, 2)
    before = weights_of(model)
    train_by_hand(model, 3)
    assert changed(before, weights_of(model)) == {"classifier.3.weight", "classifier.3.bias"}


def test_fit_leaves_the_frozen_part_alone():
    model = TinyNet()
    freeze(model.features)
    before = weights_of(model)
    images = tiny_images(12).with_transform(model.card.preprocess())
    optimizer = torch.optim.AdamW(model.parameters(), 0.01, weight_decay=0.1)
    fit(model, images, images, epochs=3, optimizer=optimizer, batch_size=4, progress="")
    assert changed(before, weights_of(model)) == {"fc.weight", "fc.bias"}


# ------------------------------------------------------------- in which order


def test_a_head_replaced_after_freezing_is_trainable():
    model = TinyNet()
    freeze(model)
    assert trainable_parameters(model) == 0
    replace_head(model, 3)
    assert trainable_parameters(model) == 12 * 3 + 3


def test_a_head_replaced_before_freezing_is_frozen_with_the_rest():
    model = replace_head(TinyNet(), 3)
    freeze(model)
    assert trainable_parameters(model) == 0
    unfreeze(model.fc)
    assert trainable_parameters(model) == 12 * 3 + 3


def test_the_common_bug_unfreezing_the_old_head_does_not_train_the_new_one_s_body():
    model = TinyNet()
    freeze(model)
    unfreeze(model.fc)
    old = model.fc
    replace_head(model, 3)
    assert model.fc is not old
    assert {name for name, p in model.named_parameters() if p.requires_grad} == {"fc.weight", "fc.bias"}


def test_unfreezing_lets_everything_learn_again():
    model = TinyNet()
    freeze(model)
    unfreeze(model)
    before = weights_of(model)
    train_by_hand(model, 2)
    assert changed(before, weights_of(model)) == set(before)
    assert all(module.training for module in model.modules())


def test_freezing_twice_is_freezing_once():
    model = TinyNet()
    freeze(model.features)
    freeze(model.features)
    unfreeze(model.features)
    assert all(module.training for module in model.train().modules())


# ------------------------------------------------------------------- functional


def test_dropout_in_a_frozen_part_is_inactive():
    model = TinyNet(dropout=0.9)
    freeze(model.features)
    images = torch.randn(4, 3, 16, 16)
    assert torch.equal(model.train()(images), model(images))
    assert torch.equal(model.train()(images), model.eval()(images))
    unfreeze(model.features)
    model.train()
    assert not torch.equal(model(images), model(images))


def test_a_frozen_container_trains_what_can_learn_below_it():
    model = TinyNet()
    freeze(model)
    unfreeze(model.features[1])
    model.train()
    assert model.training
    assert model.features.training
    assert model.features[1][1].training
    assert not any(module.training for module in model.features[0].modules())
    assert not any(module.training for module in model.eval().modules())


def test_freezing_works_at_once_on_a_model_in_training():
    model = TinyNet().train()
    freeze(model.features)
    assert not any(module.training for module in model.features.modules())
    assert model.training


def test_the_copy_of_a_frozen_model_is_frozen_on_its_own():
    model = TinyNet()
    freeze(model.features)
    copied = copy.deepcopy(model)
    unfreeze(copied)
    copied.train()
    model.train()
    assert copied.features[0][1].training
    assert not model.features[0][1].training
    untouched, before = copy.deepcopy(model), weights_of(model)
    train_by_hand(untouched, 3)
    assert changed(before, weights_of(untouched)) == {"fc.weight", "fc.bias"}
    assert not changed(before, weights_of(model))


def test_a_frozen_model_survives_being_saved_and_loaded():
    model, file = TinyNet(), io.BytesIO()
    freeze(model.features)
    torch.save(model, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=False).train()  # our own, from a line above
    assert not any(module.training for module in loaded.features.modules())
    assert loaded.fc.training


# ---------------------------------------------------------------------- schedule


def test_a_schedule_trains_more_groups_with_each_stage_and_only_those():
    model, schedule = TinyNet(), UnfreezingSchedule({0: 1, 2: 2, 3: 9})
    learning = {0: {"fc"}, 1: {"fc"}, 2: {"fc", "features.1"}, 3: {"fc", "features.1", "features.0"}}
    for epoch in (0, 1, 2, 3, 7, 1):  # and back again
        schedule.apply(model, epoch)
        before = weights_of(model)
        train_by_hand(model, 2)
        moved = {
            name.rsplit(".", 2 if name.startswith("features") else 1)[0] for name in changed(before, weights_of(model))
        }
        assert moved == learning[min(epoch, 3)]


@pytest.mark.parametrize("table", [{}, {1: 1}, {0: 0}, {-1: 1, 0: 2}])
def test_a_schedule_must_start_at_the_first_epoch_with_a_group(table):
    with pytest.raises(ValueError, match="start at epoch 0 and train one group or more"):
        UnfreezingSchedule(table)


def test_layer_groups_of_a_model_without_a_card_are_unknown():
    with pytest.raises(TypeError, match="has no card"):
        layer_groups(linear())
