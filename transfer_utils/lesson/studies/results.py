"""The results of one run of a study: numbers by name, in the types in which they are stored.

Scores are float16: half the size, and beside 1 the step is 0.001; but float32 where the largest number of a row would
be another one. Single numbers and short curves are kept exactly.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np
import torch

MANY = 100  # numbers; smaller arrays of floats, such as curves, keep float32
Flat = dict[str, torch.Tensor]


def flattened(results: object, path: tuple[str, ...] = ()) -> Flat:
    """Return the results of a run as tensors by path (a JSON list of keys), in the types that are stored.

    Raises:
        TypeError: there is something else than numbers.
        ValueError: a list is ragged, there is nothing, or there are seconds.
    """
    if not path and not (isinstance(results, Mapping) and results):
        raise TypeError(f"run(seed) must return a dict with results, such as {{'scores': tensor}}; it gave "
                        f"{'an empty one' if isinstance(results, Mapping) else type(results).__name__}.")  # fmt: skip
    if not isinstance(results, Mapping):
        return {json.dumps(path): _packed(_as_tensor(results, path))}
    if not results:
        raise ValueError(f"run(seed)[{_shown(path)}] is an empty dict. Leave it out, or put results into it.")
    flat: Flat = {}
    for name, value in results.items():
        if not isinstance(name, str):
            raise TypeError(f"The names in what run(seed) returns must be texts; {name!r} is not.")
        if name == "seconds":
            raise ValueError(f"run(seed)[{_shown((*path, name))}]: no two machines share seconds, so a stored run "
                             "would never agree with a live one. Leave them out; the attribute `seconds` of a study "
                             "holds those of each run.")  # fmt: skip
        flat |= flattened(value, (*path, name))
    return flat


def shown_path(path: str) -> str:
    """Return a path as it is written in code: ``run(seed)['linear head']['scores']``."""
    return f"run(seed)[{_shown(json.loads(path))}]"


def _shown(path: Sequence[str]) -> str:
    return "][".join(map(repr, path))


def _as_tensor(value: object, path: tuple[str, ...]) -> torch.Tensor:
    where = f"run(seed)[{_shown(path)}]"
    if isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
    else:
        numbers = [_number_or_list(item) for item in value] if isinstance(value, (list, tuple)) else value
        try:
            array = np.asarray(numbers)
        except ValueError as error:
            raise ValueError(f"{where} is a ragged list: its rows have different lengths. Cut them to one length, or "
                             "fill up with nan.") from error  # fmt: skip
        if array.dtype.kind not in "biuf":
            raise TypeError(f"{where} is {type(value).__name__} {str(value)[:40]!r}. A study stores tensors, arrays, "
                            "numbers, lists of numbers, and dicts of those.")  # fmt: skip
        tensor = torch.from_numpy(np.ascontiguousarray(array).reshape(array.shape).copy())
    if tensor.is_complex() or tensor.is_sparse:
        raise TypeError(f"{where} is complex or sparse, which a study does not store.")
    if not tensor.numel():
        raise ValueError(f"{where} is empty.")
    return tensor


def _number_or_list(item: object) -> object:
    return item.detach().cpu().numpy() if isinstance(item, torch.Tensor) else item


def _packed(tensor: torch.Tensor) -> torch.Tensor:
    """Return ``tensor`` in the smallest type that keeps what matters: single numbers are kept as they are."""
    if tensor.dtype == torch.bool:
        return tensor
    if not tensor.is_floating_point():
        low, high = int(tensor.min()), int(tensor.max())
        fits = (t for t in (torch.int8, torch.int16, torch.int32) if torch.iinfo(t).min <= low
                and high <= torch.iinfo(t).max)  # fmt: skip
        return tensor.to(next(fits, torch.int64))
    if tensor.ndim == 0:
        return tensor.double()
    largest = tensor.nan_to_num(0, 0, 0).abs().max()
    if tensor.numel() < MANY or largest > torch.finfo(torch.float16).max:
        return tensor.float()
    half = tensor.half()
    # beside 3000 the step of float16 is 2: a prediction must not change by it
    changed = tensor.ndim > 1 and bool((half.argmax(-1) != tensor.argmax(-1)).any())
    return tensor.float() if changed else half


def unpacked(tensor: torch.Tensor) -> torch.Tensor:
    """Return a stored tensor as lessons use it: float32, int64 or bool; single numbers float64."""
    if tensor.dtype == torch.float64:
        return tensor
    if tensor.is_floating_point():
        return tensor.float()
    return tensor if tensor.dtype == torch.bool else tensor.long()


def same_shapes(first: Flat, other: Flat, seeds: tuple[int, int]) -> None:
    """Raise ``ValueError`` unless two runs have the same results in the same shapes."""
    for path in {*first, *other}:
        shapes = [tuple(flat[path].shape) if path in flat else None for flat in (first, other)]
        if shapes[0] != shapes[1]:
            told = [f"seed {seed}: {'nothing' if shape is None else shape}" for seed, shape in
                    zip(seeds, shapes, strict=True)]  # fmt: skip
            raise ValueError(f"{shown_path(path)} differs between seeds ({', '.join(told)}). "
                             "Each seed must give the same results; fill up a shorter curve with nan.")  # fmt: skip


def stacked(runs: Sequence[Flat]) -> dict[str, object]:
    """Return the results of several runs in one nested dict, each a tensor (runs, ...)."""
    nested: dict[str, object] = {}
    for path in runs[0]:
        *arms, name = json.loads(path)
        inner = nested
        for arm in arms:
            inner = inner.setdefault(arm, {})
        inner[name] = torch.stack([unpacked(run[path]) for run in runs])
    return nested


def differences(live: torch.Tensor, stored: torch.Tensor) -> list[tuple[float, str]]:
    """Return how far two results of one shape are apart, and in what.

    Floats (N, C) with C > 1 are taken for scores: the share of items whose largest class differs, and the mean absolute
    difference of the softmax probabilities. Of all else it is the mean absolute difference.
    """
    live, stored = unpacked(live), unpacked(stored)
    if live.ndim == 2 and live.shape[1] > 1 and live.is_floating_point():
        share = (live.argmax(1) != stored.argmax(1)).double().mean().item()
        of_probabilities = _mean_apart(live.double().softmax(1), stored.double().softmax(1))
        return [(share, "share of items with another class"),
                (of_probabilities, "mean absolute difference of the softmax probabilities")]  # fmt: skip
    return [(_mean_apart(live.double(), stored.double()), "mean absolute difference")]


def _mean_apart(live: torch.Tensor, stored: torch.Tensor) -> float:
    """Return the mean absolute difference; two that are not a number agree."""
    return torch.where(live.isnan() & stored.isnan(), 0.0, (live - stored).abs()).mean().item()
