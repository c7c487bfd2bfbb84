"""Pretrained networks, each with what must come with it: preprocessing, head, layer groups.

    model = load_backbone("efficientnet_lite0")     # from an installed package, no network
    model.card.preprocess(160)                      # PIL image -> tensor, as in pretraining
    model.card.head                                 # "classifier": where its last layer sits

A backbone is an ordinary ``nn.Module`` of timm or torchvision. Its *card* holds
what a tutorial usually hard-codes for one architecture.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from PIL import Image, ImageOps
from torch import nn

from ..runtime.files import WrongHash
from ..runtime.profile import get_profile
from ..runtime.seeding import set_seed
from ..runtime.sources import explained_download, package_files
from .hub import hub_download


@dataclass(frozen=True)
class Preprocess:
    """Turn a PIL image into the tensor that a backbone was trained on.

    Cut out the largest square in the middle and resize it, then ``augment`` where given, then
    to (3, size, size) float32 with the mean and standard deviation *of the pretraining*: a
    network fed with other statistics still answers, only worse (lesson 01 shows how much).

    Attributes:
        size: side of the square, in pixels.
        mean, std: per channel, of images scaled to 0..1.
        augment: PIL image -> PIL image, random; only for training.
    """

    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Callable[[Image.Image], Image.Image] | None = None

    def __call__(self, image: Image.Image) -> torch.Tensor:
        """Return the image as a float32 tensor (3, size, size)."""
        from torchvision.transforms.v2 import functional as v2

        if image.size != (self.size, self.size):
            image = ImageOps.fit(image, (self.size, self.size), Image.Resampling.BICUBIC)
        if self.augment is not None:
            image = self.augment(image)
        return v2.normalize(v2.to_dtype(v2.to_image(image), scale=True), list(self.mean), list(self.std))

    def augmented(self, augment: Callable[[Image.Image], Image.Image]) -> Preprocess:
        """Return the same preprocessing with a random change of each image before it."""
        return replace(self, augment=augment)


@dataclass(frozen=True)
class BackboneCard:
    """What comes with pretrained weights.

    Attributes:
        name: as given to :func:`load_backbone`.
        weights: which weights these are; ``"random"`` for none.
        head: dotted name of the last layer, for ``model.get_submodule``.
        auxiliary_head: the same for a second head, or ``""``. Inception trains with it, a distilled DeiT
            averages the scores of both.
        mean, std, image_size: of the pretraining.
    """

    name: str
    weights: str
    head: str
    mean: tuple[float, ...]
    std: tuple[float, ...]
    image_size: int
    auxiliary_head: str = ""

    def preprocess(self, size: int | None = None) -> Preprocess:
        """Return the preprocessing of the pretraining, at ``size`` pixels or at the original size."""
        return Preprocess(size or self.image_size, self.mean, self.std)


def load_backbone(name: str | None = None, *, pretrained: bool = True, seed: int = 0) -> nn.Module:
    """Return a network with its card, in the memory layout that is fastest for images.

    Args:
        name: ``"efficientnet_lite0"`` (bundled), a torchvision model such as
            ``"resnet50"``, or ``"timm/NAME"``. ``None`` takes the profile's.
        pretrained: with the published weights; ``False`` draws random ones.
        seed: for random weights.

    Returns:
        The network, on the CPU, in ``eval()`` mode, its parameters trainable, its
        head the one of the pretraining (1,000 ImageNet classes, as a rule).

    Raises:
        ValueError: no model has this name.
        SourceMissing: the weights are not here and cannot be downloaded.
        WrongHash: the weights are not the expected file.
    """
    gc.collect()  # a frozen model is a reference cycle: those that are needed no more are freed here
    name = name or get_profile().backbone
    if not pretrained:
        set_seed(seed)
    if name == "efficientnet_lite0":
        model, card = _efficientnet_lite0(pretrained)
    elif name.startswith("timm/"):
        model, card = _from_timm(name, pretrained)
    else:
        model, card = _from_torchvision(name, pretrained)
    model.card = card
    return model.to(memory_format=torch.channels_last).eval()


def _efficientnet_lite0(pretrained: bool) -> tuple[nn.Module, BackboneCard]:
    """EfficientNet-Lite0 (Tan and Le 2019): its file has timm's tensors in timm's order, under other names."""
    import timm

    model = timm.create_model("tf_efficientnet_lite0")
    if pretrained:
        (path,) = package_files("efficientnet_lite0")
        tensors = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(dict(zip(model.state_dict(), tensors.values(), strict=True)), strict=True)
    weights = "ImageNet" if pretrained else "random"
    return model, BackboneCard("efficientnet_lite0", weights, "classifier", (0.5,) * 3, (0.5,) * 3, 224)


def _from_timm(name: str, pretrained: bool) -> tuple[nn.Module, BackboneCard]:
    import timm

    timm_name = name.removeprefix("timm/")
    if not timm.is_model(timm_name):
        raise ValueError(f"timm has no model {name!r}. timm.list_models('*part*') lists them.")
    with hub_download(name, "'efficientnet_lite0'") if pretrained else contextlib.nullcontext():
        model = timm.create_model(timm_name, pretrained=pretrained)
    data, config = timm.data.resolve_model_data_config(model), model.pretrained_cfg
    heads = config["classifier"] or ""
    head, auxiliary_head = (heads, "") if isinstance(heads, str) else heads
    if not head:
        raise ValueError(f"timm names no classifier of {name}, so there is no head to replace. Take another model.")
    if isinstance(model.get_submodule(head), nn.Conv2d):
        _make_head_linear(model, head)
    weights = (config.get("tag") or "ImageNet") if pretrained else "random"
    size = data["input_size"][-1]
    return model, BackboneCard(name, weights, head, tuple(data["mean"]), tuple(data["std"]), size, auxiliary_head)


def _make_head_linear(model: nn.Module, name: str) -> None:
    """Replace a head that is a 1x1 convolution on the pooled pixel by the linear layer that it is, weights and all."""
    from timm.layers import SelectAdaptivePool2d

    convolution = model.get_submodule(name)
    linear = nn.Linear(convolution.in_channels, convolution.out_channels)
    linear.weight.data, linear.bias.data = convolution.weight.data.flatten(1), convolution.bias.data
    model.set_submodule(name, linear)
    pool = [module for module in model.modules() if isinstance(module, SelectAdaptivePool2d)][-1]
    pool.flatten = nn.Flatten(1)  # (N, D, 1, 1) -> (N, D)


TORCHVISION_HEADS = {  # family: (head, auxiliary head)
    "resnet": ("fc", ""), "resnext": ("fc", ""), "wide_resnet": ("fc", ""), "shufflenet": ("fc", ""),
    "regnet": ("fc", ""), "inception_v3": ("fc", "AuxLogits.fc"), "vgg": ("classifier.6", ""),
    "alexnet": ("classifier.6", ""), "mobilenet_v2": ("classifier.1", ""), "mobilenet_v3": ("classifier.3", ""),
    "efficientnet": ("classifier.1", ""), "densenet": ("classifier", ""), "convnext": ("classifier.2", ""),
    "vit_": ("heads.head", ""), "swin": ("head", ""),
}  # fmt: skip


def _from_torchvision(name: str, pretrained: bool) -> tuple[nn.Module, BackboneCard]:
    from torchvision import models

    family = next((f for f in TORCHVISION_HEADS if name.startswith(f)), None)
    if family is None or name not in models.list_models(module=models):
        raise ValueError(
            f"No backbone is named {name!r}. There is 'efficientnet_lite0' (bundled), torchvision's "
            f"{', '.join(f.strip('_') for f in TORCHVISION_HEADS)} (for example 'resnet50'), and 'timm/NAME'."
        )
    weights = models.get_model_weights(name).DEFAULT
    settings, options = weights.transforms(), {}  # what the weights were evaluated with; nothing is downloaded yet
    size = settings.crop_size[0]
    if family == "vit_":
        options["image_size"] = size  # its positions are for one size
    if family == "inception_v3" and pretrained:
        options["transform_input"] = True  # its weights expect a scaling of their own
    with explained_download(name, "'efficientnet_lite0'"):
        model = models.get_model(name, weights=None, **options)  # with weights=... it unpickles without weights_only
        if pretrained:
            model.load_state_dict(_downloaded(name, weights))
    head, auxiliary_head = TORCHVISION_HEADS[family]
    tag = weights.name if pretrained else "random"
    return model, BackboneCard(name, tag, head, tuple(settings.mean), tuple(settings.std), size, auxiliary_head)


def _downloaded(name: str, weights: Any) -> dict[str, torch.Tensor]:
    """Return tensors that torchvision downloads, or has in its cache; the hash is part of the file's name."""
    try:
        return weights.get_state_dict(check_hash=True, weights_only=True)
    except RuntimeError as error:
        if "invalid hash value" not in str(error):
            raise
        raise WrongHash(
            f"{weights.url} sent a file that is not the published weights of {name} ({error}). Nothing was kept. "
            "Try again; if it stays so, ask whether something between you and the server changes downloads."
        ) from error
