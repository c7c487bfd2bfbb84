"""Digests: short texts that differ where weights or code do."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterable
from types import CodeType
from typing import Any

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


def code_digest(function: Any) -> str:
    """Return 16 hexadecimal digits for the code of a function, a method, or the ``__call__`` of an object.

    They change when its code, a default or a plain value that it holds from around it changes, not with comments, the
    file or the process. Global names that it uses are not followed. A function without Python code has its name's.
    """
    return hashlib.sha256(repr(_code_of(function)).encode()).hexdigest()[:16]


def _code_of(function: Any) -> list[str]:
    if isinstance(function, functools.partial):
        return [*_code_of(function.func), repr(function.args), repr(function.keywords)]
    python = getattr(function, "__func__", function)
    if not hasattr(python, "__code__"):
        python = type(function).__call__
    if not hasattr(python, "__code__"):
        return [getattr(function, "__qualname__", type(function).__qualname__)]
    held = [cell.cell_contents for cell in python.__closure__ or ()]
    keywords = tuple((python.__kwdefaults__ or {}).values())
    plain = [value for value in (*held, *(python.__defaults__ or ()), *keywords) if _is_plain(value)]
    return [_instructions(python.__code__), repr(plain)]


def _instructions(code: CodeType) -> str:
    """Return byte code, names and constants; of a function inside, the same, because its repr names a file."""
    constants = [
        _instructions(value) if isinstance(value, CodeType)
        else repr(sorted(map(repr, value))) if isinstance(value, frozenset) else repr(value)
        for value in code.co_consts
    ]  # fmt: skip
    return f"{code.co_code.hex()} {code.co_names} {constants}"


def _is_plain(value: Any) -> bool:
    """Return whether a value cannot change: a list to which a step appends must not make another run of it."""
    if isinstance(value, tuple):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (bool, int, float, str))
