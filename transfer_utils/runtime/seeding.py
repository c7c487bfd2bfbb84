"""Randomness that can be repeated.

Two kinds of randomness are kept apart: a *stream* (weights at the start, dropout),
set once with :func:`set_seed`, and a *named draw* (which images, in which order),
made with :func:`generator`, which depends on its arguments alone and so comes out
the same whatever ran before it.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import random
from collections.abc import Iterator

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


@contextlib.contextmanager
def kept_random_state() -> Iterator[None]:
    """Let a block of code draw and seed as it likes; afterwards all generators stand where they stood before."""
    devices = range(torch.cuda.device_count()) if _has_cuda() else []
    python, numpy, on_cpu = random.getstate(), np.random.get_state(), torch.get_rng_state()
    on_gpus = [torch.cuda.get_rng_state(device) for device in devices]
    on_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    try:
        yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
        torch.set_rng_state(on_cpu)
        for device, state in zip(devices, on_gpus, strict=True):
            torch.cuda.set_rng_state(state, device)
        if on_mps is not None:
            torch.mps.set_rng_state(on_mps)


def named_seed(*name: object) -> int:
    """Turn any description, such as ``(seed, "order", epoch)``, into a 63-bit seed.

    Neighbouring seeds give unrelated streams, which adding numbers would not.
    """
    digest = hashlib.sha256(repr(name).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(*name: object) -> torch.Generator:
    """Return a CPU generator seeded from a description: the same name, the same draws."""
    return torch.Generator().manual_seed(named_seed(*name))
