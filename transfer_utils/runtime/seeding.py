"""Randomness that can be repeated.

Two kinds of randomness are kept apart: a *stream* (weights at the start, dropout),
set once with :func:`set_seed`, and a *named draw* (which images, in which order),
made with :func:`generator`, which depends on its arguments alone and so comes out
the same whatever ran before it.
"""

from __future__ import annotations

import functools
import hashlib
import random

import numpy as np
import torch


def set_seed(seed: int) -> None:
    """Seed Python, NumPy and PyTorch (all devices) with ``seed``."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    # torch.manual_seed would do, but without a GPU it stores a stack trace for one at every call,
    # which is most of the time of a small training step.
    torch.default_generator.manual_seed(seed)
    if _has_cuda():
        torch.cuda.manual_seed_all(seed)
    if torch.backends.mps.is_available():
        torch.mps.manual_seed(seed)


@functools.cache
def _has_cuda() -> bool:
    return torch.cuda.is_available()


def named_seed(*name: object) -> int:
    """Turn any description, such as ``(seed, "order", epoch)``, into a 63-bit seed.

    Neighbouring seeds give unrelated streams, which adding numbers would not.
    """
    digest = hashlib.sha256(repr(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*name: object) -> torch.Generator:
    """Return a CPU generator seeded from a description: the same name, the same draws."""
    return torch.Generator().manual_seed(named_seed(*name))
