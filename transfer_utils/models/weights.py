"""Weights by their content: a hash that tells whether two networks hold the same numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch


def weights_digest(named_tensors: Iterable[tuple[str, torch.Tensor]]) -> str:
    """Return the SHA-256 of names, shapes, types and bytes, in the order given, as 64 hexadecimal digits.

    Device and memory layout do not count, nor whether a tensor has a gradient: the same numbers give the same digest.

    Args:
        named_tensors: for example ``model.state_dict().items()`` or ``model.named_parameters()``; any shapes and types.

    Example:
        >>> weights_digest({"bias": torch.zeros(2)}.items())[:8]
        'd0263d13'
    """
    digest = hashlib.sha256()
    for name, tensor in named_tensors:
        digest.update(f"{name!r} {tuple(tensor.shape)} {tensor.dtype}\n".encode())
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()
