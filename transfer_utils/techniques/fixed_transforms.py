"""Fixed transforms: which of them give one answer for an image, and what tells one from another.

An answer that is kept must be the only one there is, so nothing may be drawn at random; and it must be found again
for the same transform alone. A ``repr`` does neither: a flip by chance has one, and two functions can share one.
"""

from __future__ import annotations

import hashlib
import inspect
import random
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import PurePath
from types import CodeType, FunctionType
from typing import Any

import numpy as np
import torch
from torch import nn

from ..data import Labelled, LabelledImages
from ..models.weights import weights_digest

_VALUES = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, torch.Size)
_GENERATORS = (torch.Generator, np.random.Generator, np.random.RandomState, random.Random)
_TRIED = 4  # images, each asked for twice


def require_fixed_transform(data: Labelled) -> None:
    """Raise ``ValueError`` unless ``data`` has a transform that gives one answer for an item.

    Whether it draws is seen by the state of the random number generators, which every draw moves, so that no transform
    passes by luck. It is then asked twice for the same images, for what is random in another way.
    """
    if data.transform is None:
        raise ValueError("The data has no transform. Use data.with_transform(model.card.preprocess(size)).")
    reason = None
    if getattr(data.transform, "augment", None) is not None:
        reason = "it has an augment"
    elif isinstance(data, LabelledImages) and len(data):  # a tokenizer is not random
        reason = _why_random(data)
    if reason:
        raise ValueError(
            f"The transform augments at random: {reason}. So an image has no one answer to store. Extract with "
            "model.card.preprocess(size), or train with fit(...) to use augmentation."
        )


def _why_random(data: LabelledImages) -> str | None:
    indices = sorted({round(i * (len(data) - 1) / (_TRIED - 1)) for i in range(_TRIED)})
    before = _random_states()
    answers = [[data[i][0] for i in indices] for _ in range(2)]
    after = _random_states()
    random.setstate(before[0])
    np.random.set_state(before[1])
    torch.set_rng_state(before[2])
    if not all(map(_same, before, after)):
        return "it draws random numbers"
    if not all(map(torch.equal, *answers)):
        return "it answered differently for the same image"
    try:
        settings_of(data.transform)
    except HoldsGenerator:
        return "it holds a generator of random numbers"
    except Unnamed:
        pass
    return None


def _random_states() -> tuple[tuple, tuple, torch.Tensor]:
    return random.getstate(), np.random.get_state(), torch.get_rng_state()


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, tuple):
        return all(map(_same, one, other))
    return bool((one == other).all()) if isinstance(one, (np.ndarray, torch.Tensor)) else one == other


class Unnamed(ValueError):
    """What a transform does cannot be told from its settings, for example because it holds a function."""


class HoldsGenerator(Unnamed):
    """A transform draws from a generator of its own."""


def settings_of(thing: Any, around: tuple[int, ...] = ()) -> str:
    """Return a text that is the same for two transforms only if they do the same.

    It holds, all the way down, the class of each part, the byte code of its methods, and its settings: the fields of a
    dataclass (those with ``compare=False`` left out), else what ``copy.copy`` would carry over. What it cannot see are
    functions and variables that a method of your own uses from outside its class: after a change there, use
    ``cache=False``.

    Raises:
        Unnamed: a part is a function, or does not tell its settings.
    """
    if isinstance(thing, _GENERATORS):
        raise HoldsGenerator(f"{thing!r} draws random numbers")
    if type(thing) in _VALUES or isinstance(thing, (Enum, np.generic, PurePath)):
        return f"{type(thing).__name__} {thing!r}"
    if isinstance(thing, type):
        return f"{thing.__module__}.{thing.__qualname__}"
    if isinstance(thing, torch.Tensor):
        return weights_digest([("", thing)])
    if isinstance(thing, np.ndarray) and not thing.dtype.hasobject:
        return f"{thing.dtype} {thing.shape} {hashlib.sha256(thing.tobytes()).hexdigest()}"
    if id(thing) in around or isinstance(thing, FunctionType):
        raise Unnamed(f"{thing!r} does not tell what it does")
    return f"{settings_of(type(thing))}({', '.join(_parts(thing, (*around, id(thing))))})"


def _parts(thing: Any, around: tuple[int, ...]) -> Iterable[str]:
    """Return the texts of what ``thing`` is made of."""
    if type(thing) in (dict, OrderedDict):
        thing = list(thing.items())
    if type(thing) in (set, frozenset):
        return sorted(settings_of(item, around) for item in thing)
    if type(thing) not in (list, tuple):
        thing = [*_state(thing), *_code(type(thing))]
    return [settings_of(item, around) for item in thing]


def _state(thing: Any) -> Iterator[Any]:
    """Yield the settings of ``thing``: its fields, or what would be needed to make it again (``copyreg``)."""
    if is_dataclass(thing):
        yield from ((field.name, getattr(thing, field.name)) for field in fields(thing) if field.compare)
        return
    try:
        made_by, *needed = thing.__reduce_ex__(2)
    except TypeError as error:
        raise Unnamed(f"{thing!r} does not tell its settings") from error
    if isinstance(made_by, str):  # only a name under which to import it
        raise Unnamed(f"{thing!r} is a function")
    yield f"{made_by.__module__}.{made_by.__qualname__}"
    yield from (list(part) if isinstance(part, Iterator) else part for part in needed)


def _code(kind: type) -> Iterator[Any]:
    """Yield the byte code of the methods of a class, and what they hold from around it."""
    for base in kind.__mro__:
        for name, method in vars(base).items() if base not in (object, nn.Module) else ():
            method = inspect.unwrap(getattr(method, "__func__", getattr(method, "fget", method)))
            if isinstance(method, FunctionType) and method.__code__.co_filename != "<string>":  # made by dataclass
                yield name, _instructions(method.__code__), method.__defaults__, method.__kwdefaults__
                yield [cell.cell_contents for cell in method.__closure__ or ()]


def _instructions(code: CodeType) -> list[Any]:
    constants = [_instructions(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code, code.co_names, constants]
