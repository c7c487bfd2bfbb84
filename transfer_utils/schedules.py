"""How the learning rate goes over a run: functions of the progress, from 0 at the start to 1 at the end.

A schedule gives a factor; each parameter group multiplies its own rate by it, so the
ratio between head and stem stays. Nothing is remembered between steps, so a run
that resumes has the rate it would have had.
"""

from __future__ import annotations

import math


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
