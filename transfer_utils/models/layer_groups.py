"""The layers of a network in groups, from the stem to the head."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from .heads import card_of, head_names


@dataclass(frozen=True)
class LayerGroup:
    """Layers that are frozen, unfrozen and given a learning rate together.

    Attributes:
        name: ``"stem"``, ``"stage 1"`` ... or ``"head"``.
        modules: every module that lies wholly in the group.
        parameters: name -> parameter, each parameter of the model in exactly one group.
    """

    name: str
    modules: tuple[nn.Module, ...]
    parameters: dict[str, nn.Parameter]

    def count(self) -> int:
        """Return the number of parameters in the group."""
        return sum(p.numel() for p in self.parameters.values())


# torchvision's families whose stages have names: what the parameters of each stage start with.
_RESNET = (("conv1.", "bn1."), ("layer1.",), ("layer2.",), ("layer3.",), ("layer4.",))
_NAMED_STAGES = {
    "resnet": _RESNET, "resnext": _RESNET, "wide_resnet": _RESNET,
    "densenet": (("features.conv0", "features.norm0"), ("features.denseblock1", "features.transition1"),
                 ("features.denseblock2", "features.transition2"),
                 ("features.denseblock3", "features.transition3"), ("features.denseblock4", "features.norm5")),
    "vit_": (("conv_proj", "class_token", "encoder.pos_embedding"),
             *((f"encoder.layers.encoder_layer_{i}.",) for i in range(32)), ("encoder.ln",)),
    "inception_v3": (("Conv2d_",), ("Mixed_5",), ("Mixed_6",), ("AuxLogits", "Mixed_7")),
    "shufflenet": (("conv1",), ("stage2",), ("stage3",), ("stage4",), ("conv5",)),
    "regnet": (("stem",), *((f"trunk_output.block{i}",) for i in range(1, 9))),
}  # fmt: skip


def layer_groups(model: nn.Module) -> list[LayerGroup]:
    """Return the layers of a backbone in groups, from the stem to the head.

    timm's own coarse grouping for timm models; stages of the same depth for torchvision's. The groups of an
    upper half (``techniques.upper_half``) keep the names that they have in the whole network.

    Raises:
        TypeError: the model has no card.
    """
    depths = _parameter_depths(model)
    module_depths = _module_depths(model, depths)
    ranks, below = sorted({*depths.values(), math.inf}), getattr(model, "groups_below", 0)
    names = [f"stage {i}" if i else "stem" for i in range(below, below + len(ranks) - 1)] + ["head"]
    parameters = dict(model.named_parameters())
    groups = []
    for name, rank in zip(names, ranks, strict=True):
        inside = [m for m in model.modules() if all(module_depths.get(part, rank) == rank for part in m.modules())]
        groups.append(LayerGroup(name, tuple(inside), {n: p for n, p in parameters.items() if depths[n] == rank}))
    return groups


def _parameter_depths(model: nn.Module) -> dict[str, float]:
    """Map each parameter's name to a number that grows with depth; the head has the largest."""
    names, heads = [name for name, _ in model.named_parameters()], tuple(f"{name}." for name in head_names(model))
    body = [name for name in names if not name.startswith(heads)]
    if hasattr(model, "group_matcher"):
        from timm.models import group_parameters

        depths = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    else:
        depths = {name: _torchvision_depth(card_of(model).name, name) for name in body}
    last = max(d for n, d in depths.items() if n in body and d != math.inf)
    return {name: min(depths[name], last) if name in body else math.inf for name in names}


def _torchvision_depth(model_name: str, name: str) -> float:
    stages = next((s for family, s in _NAMED_STAGES.items() if model_name.startswith(family)), None)
    if stages is None:  # families whose stages have numbers: features.0, features.1, ...
        parts = name.split(".")
        return float(parts[1]) if parts[0] == "features" else math.inf
    return next((float(i) for i, prefixes in enumerate(stages) if name.startswith(prefixes)), math.inf)


def _module_depths(model: nn.Module, depths: dict[str, float]) -> dict[nn.Module, float]:
    """Map each module with parameters of its own to their depth, and each leaf without to that of the one before."""
    found, depth = {}, min(depths.values())
    for module_name, module in model.named_modules():
        own = [name for name, _ in module.named_parameters(module_name, recurse=False)]
        depth = depths[own[0]] if own else depth
        if own or next(module.children(), None) is None:
            found[module] = depth
    return found
