"""The layers of a network in groups, from the stem to the head."""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import nn

from .heads import card_of


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

    timm's own coarse grouping for timm models; stages of the same depth for torchvision's.

    Raises:
        TypeError: the model has no card.
    """
    depths = _parameter_depths(model)
    leaf_depths = _leaf_depths(model, depths)
    ranks = sorted(set(depths.values()))
    names = ["stem", *(f"stage {i}" for i in range(1, len(ranks) - 1)), "head"]
    parameters = dict(model.named_parameters())
    groups = []
    for name, rank in zip(names, ranks, strict=True):
        inside = [m for m in model.modules() if all(leaf_depths[leaf] == rank for leaf in _leaves(m))]
        groups.append(LayerGroup(name, tuple(inside), {n: p for n, p in parameters.items() if depths[n] == rank}))
    return groups


def _leaves(module: nn.Module) -> list[nn.Module]:
    return [m for m in module.modules() if next(m.children(), None) is None]


def _parameter_depths(model: nn.Module) -> dict[str, float]:
    """Map each parameter's name to a number that grows with depth; the head has the largest."""
    card = card_of(model)
    names = [name for name, _ in model.named_parameters()]
    body = [name for name in names if not name.startswith(card.head + ".")]
    if hasattr(model, "group_matcher"):
        from timm.models import group_parameters

        depths = group_parameters(model, model.group_matcher(coarse=True), reverse=True)
    else:
        depths = {name: _torchvision_depth(card.name, name) for name in body}
    last = max(d for n, d in depths.items() if n in body and d != math.inf)
    return {name: min(depths[name], last) if name in body else math.inf for name in names}


def _torchvision_depth(model_name: str, name: str) -> float:
    stages = next((s for family, s in _NAMED_STAGES.items() if model_name.startswith(family)), None)
    if stages is None:  # families whose stages have numbers: features.0, features.1, ...
        parts = name.split(".")
        return float(parts[1]) if parts[0] == "features" else math.inf
    return next((float(i) for i, prefixes in enumerate(stages) if name.startswith(prefixes)), math.inf)


def _leaf_depths(model: nn.Module, depths: dict[str, float]) -> dict[nn.Module, float]:
    """Map each leaf module to the depth of its parameters, or of the leaf before where it has none."""
    found, depth = {}, min(depths.values())
    for module_name, module in model.named_modules():
        if next(module.children(), None) is None:
            own = [f"{module_name}.{name}" for name, _ in module.named_parameters()]
            depth = depths[own[0]] if own else depth
            found[module] = depth
    return found
