"""Which layers learn: freezing and unfreezing.

A frozen layer must not change at all. ``requires_grad = False`` is only half of it:
in training mode a BatchNorm layer goes on moving its running mean and variance, and
dropout goes on dropping. So :func:`freeze` also keeps the layer in evaluation mode,
through every later ``model.train()``.
"""

from __future__ import annotations

import functools

from torch import nn

from .layer_groups import LayerGroup
from .wrapping import Wrapper


def freeze(*parts: nn.Module | LayerGroup) -> None:
    """Stop ``parts`` from changing: no gradients, and evaluation mode that ``train()`` does not undo.

    Parameters and BatchNorm buffers stay bit-identical until :func:`unfreeze`. A frozen module refers to itself: a
    reference cycle, freed by ``gc.collect()``, which ``load_backbone`` and ``load_encoder`` call.

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

    An adapter or LoRA layer around a frozen layer does not count: what surrounds it is as frozen as before. BERT's
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
