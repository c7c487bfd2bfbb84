"""Learning rates by depth: the head the largest, the stem the smallest, equal to timm's."""

import math

import pytest
import torch
from timm.optim import param_groups_layer_decay
from tiny import TinyNet

from transfer_utils import freeze, layer_groups, layerwise_lr, load_backbone, replace_head

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization of inception_v3")

NAMES = ["efficientnet_lite0", "timm/resnet18", "timm/vit_tiny_patch16_224", "timm/regnety_002"]


def random_backbone(name):
    with torch.device("meta"):
        return load_backbone(name, pretrained=False)


def test_the_head_has_the_largest_rate_and_the_stem_the_smallest():
    model = TinyNet()
    groups = {group["name"]: group["lr"] for group in layerwise_lr(model, 0.1, decay=0.5)}
    assert groups == {"stem": pytest.approx(0.025), "stage 1": pytest.approx(0.05), "head": 0.1}


@pytest.mark.parametrize("name", NAMES)
def test_rates_grow_strictly_from_stem_to_head(name):
    rates = [group["lr"] for group in layerwise_lr(random_backbone(name), 1e-2)]
    assert rates == sorted(set(rates))
    assert rates[-1] == 1e-2


def test_the_common_bug_a_reversed_exponent_gives_the_stem_the_largest_rate():
    groups, base_lr = layer_groups(TinyNet()), 1e-3
    n = len(groups)
    wrong = [base_lr * 2.6 ** (n - i - 1) for i in range(n)]
    assert max(wrong) == wrong[0] == pytest.approx(base_lr * 2.6**2)
    right = [group["lr"] for group in layerwise_lr(TinyNet(), base_lr, decay=1 / 2.6)]
    assert max(right) == right[-1] == base_lr
    assert right == pytest.approx(list(reversed([base_lr / 2.6**i for i in range(n)])))


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("decay", [0.75, 1 / 2.6])
def test_the_rate_of_every_parameter_equals_that_of_timm_on_the_same_groups(name, decay):
    model = random_backbone(name)
    matcher = model.group_matcher
    model.group_matcher = lambda coarse=False: matcher(coarse=True)  # timm's grouping is finer otherwise
    theirs = {
        id(p): group["lr_scale"]
        for group in param_groups_layer_decay(model, layer_decay=decay, no_opt_scale=None)
        for p in group["params"]
    }
    ours = {id(p): group["lr"] for group in layerwise_lr(model, 1.0, decay) for p in group["params"]}
    assert ours.keys() == theirs.keys()
    for key, rate in ours.items():
        assert math.isclose(rate, theirs[key], rel_tol=1e-12)


@pytest.mark.parametrize("name", [*NAMES, "resnet18", "vgg11", "densenet121", "inception_v3"])
def test_no_parameter_is_missing_or_twice_in_the_optimizer(name):
    model = replace_head(random_backbone(name), 2)
    listed = [id(p) for group in layerwise_lr(model, 1e-3) for p in group["params"]]
    assert sorted(listed) == sorted(id(p) for p in model.parameters())


def test_frozen_parameters_are_there_for_when_they_are_unfrozen():
    model = TinyNet()
    freeze(model.features)
    optimizer = torch.optim.AdamW(layerwise_lr(model, 1e-3, weight_decay=0.2))
    assert sum(len(group["params"]) for group in optimizer.param_groups) == len(list(model.parameters()))
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.2}


@pytest.mark.parametrize("decay", [0, -0.5, 2.6])
def test_a_decay_that_would_favour_the_stem_is_refused(decay):
    with pytest.raises(ValueError, match=r"decay must be in \(0, 1\]"):
        layerwise_lr(TinyNet(), 1e-3, decay)
