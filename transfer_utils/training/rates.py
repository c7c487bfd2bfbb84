"""Learning rates: over a run, by depth, and the optimizer that takes them.

A schedule is a function of the progress, from 0 at the start to 1 at the end, and gives a factor; each parameter
group multiplies its own rate by it, so the ratio between head and stem stays. Nothing is remembered between steps,
so a run that resumes has the rate it would have had.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import nn

from ..models.layer_groups import layer_groups

Schedule = Callable[[float], float]


def set_rates(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every parameter group its own rate (``initial_lr``) times ``factor``, the value of a schedule."""
    for group in optimizer.param_groups:
        group["lr"] = group["initial_lr"] * factor


def constant(progress: float) -> float:
    """Return 1: the rate stays."""
    return 1.0


def one_cycle(progress: float, warmup: float = 0.3, start: float = 0.04, end: float = 1e-4) -> float:
    """Rise from ``start`` to 1 over the share ``warmup``, then fall to ``end``, both along a cosine.

    Smith and Topin 2018, "Super-Convergence", with the cosine form of fastai and PyTorch's ``OneCycleLR``.
    """
    if progress < warmup:
        return _cosine(start, 1.0, progress / warmup)
    return _cosine(1.0, end, (progress - warmup) / (1 - warmup))


def slanted_triangular(progress: float, cut: float = 0.1, ratio: float = 32) -> float:
    """Rise in a line over the share ``cut``, then fall in a line to ``1 / ratio``.

    Howard and Ruder 2018 (ULMFiT), equation 3.
    """
    height = progress / cut if progress < cut else 1 - (progress - cut) / (1 - cut)
    return (1 + height * (ratio - 1)) / ratio


def _cosine(start: float, end: float, share: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * share)) / 2


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


def adamw(model: nn.Module, lr: float, *, decay: float = 1.0, weight_decay: float = 0.01) -> torch.optim.AdamW:
    """Return AdamW (Loshchilov and Hutter 2019) over what can learn now, or over all layers with rates by depth.

    ``fused``: one pass over all weights at a step instead of several. For the 22 million parameters of
    MiniLM on a CPU that is about ten times faster, with the same result up to rounding.

    Args:
        lr: learning rate; with ``decay`` below 1 that of the head.
        decay: factor from a layer group to the one below, see :func:`transfer_utils.layerwise_lr`. Frozen
            groups are then included, each with its rate, for the time when they are unfrozen.

    Raises:
        ValueError: nothing can learn.
    """
    groups = layerwise_lr(model, lr, decay) if decay < 1 else [p for p in model.parameters() if p.requires_grad]
    if not groups:
        raise ValueError("Every parameter is frozen, so there is nothing to train. unfreeze(...) a part first.")
    return torch.optim.AdamW(groups, lr=lr, weight_decay=weight_decay, fused=True)
