"""Where work runs: devices, precision and processes."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


def pick_device() -> torch.device:
    """Return the best device: CUDA, else Apple's MPS, else the CPU.

    The environment variable ``TRANSFER_DEVICE`` (``cpu``, ``cuda``, ``mps``) overrules.

    Raises:
        RuntimeError: the device asked for is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    wanted = os.environ.get("TRANSFER_DEVICE")
    if wanted and not present.get(wanted, False):
        raise RuntimeError(
            f"TRANSFER_DEVICE asks for {wanted!r}, which this machine does not have. "
            f"Present here: {', '.join(name for name, here in present.items() if here)}."
        )
    return torch.device(wanted or next(name for name, here in present.items() if here))


def describe_device(device: torch.device | None = None) -> str:
    """Return one line a reader can compare with another machine's."""
    device = device or pick_device()
    if device.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "Apple GPU (MPS)"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}, {platform.machine()}"


@contextmanager
def on_device(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Move ``model`` to ``device`` for a block of code, and back to where it was, also after an error.

    So what trained on a GPU can be called with tensors that lie on the CPU, as it could before.
    """
    before = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), device)
    model.to(device)
    try:
        yield
    finally:
        model.to(before)


def accelerator():
    """Return Accelerate's view of this machine: device, processes, precision.

    bfloat16 on GPUs that compute in it, float32 elsewhere. The same under ``accelerate
    launch`` on many processes.
    """
    from accelerate import Accelerator

    device = pick_device()
    low_precision = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if low_precision else "no")


def to_device(batch: Any, device: torch.device) -> Any:
    """Move a batch to ``device``; images (4-D) in the memory layout that is fastest for convolutions."""
    if isinstance(batch, torch.Tensor):
        layout = torch.channels_last if batch.ndim == 4 else torch.preserve_format
        return batch.to(device, memory_format=layout, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    if isinstance(batch, (list, tuple)):
        return tuple(to_device(value, device) for value in batch)
    return batch
