"""Which layers learn, and how fast: freezing, layer groups, rates by depth, unfreezing schedules.

A frozen layer must not change at all. ``requires_grad = False`` is only half of it:
in training mode a BatchNorm layer goes on moving its running mean and variance, and
dropout goes on dropping. So :func:`freeze` also keeps the layer in evaluation mode,
through every later ``model.train()``.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import nn

from .heads import _card
from .insertion import Wrapper


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


# ----------------------------------------------------------------- freezing


def freeze(*parts: nn.Module | LayerGroup) -> None:
    """Stop ``parts`` from changing: no gradients, and evaluation mode that ``train()`` does not undo.

    Parameters and BatchNorm buffers stay bit-identical until :func:`unfreeze`. A frozen module refers to itself, so
    when it is needed no more its memory comes back with Python's next search for such circles, which the loaders of
    models start.

    Example:
        >>> freeze(model)                          # the whole network  # doctest: +SKIP
        >>> replace_head(model, 2)                 # a new head is trainable  # doctest: +SKIP
        >>> freeze(*layer_groups(model)[:3])       # the stem and the first two stages  # doctest: +SKIP
    """
    for part in parts:
        for parameter in _parameters(part):
            parameter.requires_grad_(False)
            parameter.grad = None  # left over from when it learned, an optimizer would still follow it
        for module in _modules(part):
            module.train = functools.partial(_train_what_can_learn, module)
    for part in parts:
        for module in _modules(part):
            module.train(module.training)


def unfreeze(*parts: nn.Module | LayerGroup) -> None:
    """Let ``parts`` learn again: gradients on, and training mode as ``train()`` says."""
    for part in parts:
        for parameter in _parameters(part):
            parameter.requires_grad_(True)
        for module in _modules(part):
            module.__dict__.pop("train", None)


def _train_what_can_learn(module: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for ``module.train``: training mode only where something below can still learn."""
    module.training = mode and _learns(module)
    for child in module.children():
        child.train(mode)
    return module


def _learns(module: nn.Module) -> bool:
    """Return whether something below can learn.

    A small module put around a frozen layer does not count: what surrounds it is as frozen as before. BERT's
    attention, for one, asks its own mode whether it is to drop weights.
    """
    below = (child for child in module.children() if not isinstance(child, Wrapper))
    return any(p.requires_grad for p in module.parameters(recurse=False)) or any(map(_learns, below))


def _parameters(part: nn.Module | LayerGroup) -> list[nn.Parameter]:
    return list(part.parameters.values() if isinstance(part, LayerGroup) else part.parameters())


def _modules(part: nn.Module | LayerGroup) -> list[nn.Module]:
    return list(part.modules if isinstance(part, LayerGroup) else part.modules())


def trainable_parameters(model: nn.Module) -> int:
    """Return the number of parameters that an optimizer would change."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def distance_moved(model: nn.Module, start: nn.Module, names: Iterable[str] | None = None) -> float:
    """Return how far parameters of ``model`` lie from those of ``start``, relative to their length.

    ``|theta - theta_0| / |theta_0|`` over all ``names`` together, Euclidean. Without ``names``: the whole body.
    """
    now, before = dict(model.named_parameters()), dict(start.named_parameters())
    head = _card(start).head + "."
    chosen = [name for name in before if not name.startswith(head)] if names is None else list(names)
    difference = torch.cat([(now[n].detach().cpu() - before[n].detach().cpu()).flatten() for n in chosen])
    return float(difference.norm() / torch.cat([before[n].detach().cpu().flatten() for n in chosen]).norm())


# ------------------------------------------------------------- layer groups

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
    card = _card(model)
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


# ---------------------------------------------------------- rates by depth


def layerwise_lr(model: nn.Module, lr: float, decay: float = 0.75, **options: object) -> list[dict]:
    """Return optimizer groups in which the head learns at ``lr`` and each group below it slower.

    Group ``g`` of ``G``, counted from the stem, gets ``lr * decay ** (G - 1 - g)``: the stem,
    whose edges and colours serve any task, the smallest. ULMFiT (Howard and Ruder 2018,
    section 3.2) divides by 2.6 from one layer to the one below, ``decay = 1 / 2.6``.
    The scales equal those of ``timm.optim.param_groups_layer_decay`` on the same groups.

    Frozen parameters are included: they have no gradient, so no optimizer moves them, and
    they are there, with their own rate, when they are unfrozen.

    Args:
        lr: learning rate of the head.
        decay: factor from a group to the one below, in (0, 1].
        options: more for each group, e.g. ``weight_decay``.

    Raises:
        ValueError: ``decay`` is outside (0, 1], which would give the stem the largest rate.
    """
    if not 0 < decay <= 1:
        raise ValueError(f"decay must be in (0, 1] so that early layers learn slower; got {decay}.")
    groups = layer_groups(model)
    return [
        {"name": group.name, "params": list(group.parameters.values()),
         "lr": lr * decay ** (len(groups) - 1 - depth), **options}
        for depth, group in enumerate(groups)
        if group.parameters
    ]  # fmt: skip


# ------------------------------------------------------ unfreezing schedules


@dataclass(frozen=True)
class UnfreezingSchedule:
    """A table from epoch to the number of layer groups that learn, counted from the head.

    ``UnfreezingSchedule({0: 1, 2: 3, 4: 9})`` trains the head, from epoch 2 the last three
    groups, from epoch 4 all nine. Gradual unfreezing: Howard and Ruder 2018, section 3.3.

    The state of a model depends on the epoch alone, so training resumes in the right stage.
    """

    table: dict[int, int]

    def __post_init__(self) -> None:
        if 0 not in self.table or min(self.table) < 0 or min(self.table.values()) < 1:
            raise ValueError(f"The schedule must start at epoch 0 and train one group or more; got {self.table}.")

    def groups_at(self, epoch: int) -> int:
        """Return how many groups learn in ``epoch`` (counted from 0)."""
        return self.table[max(start for start in self.table if start <= epoch)]

    def apply(self, model: nn.Module, epoch: int) -> None:
        """Freeze and unfreeze the groups of ``model`` as ``epoch`` wants it."""
        groups = layer_groups(model)
        count = min(self.groups_at(epoch), len(groups))
        freeze(*groups[: len(groups) - count])
        unfreeze(*groups[len(groups) - count :])
