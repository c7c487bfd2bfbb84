"""The generators of random numbers that a function holds, so that it can be called twice with the same numbers."""

from __future__ import annotations

import functools
import random
import types
from typing import Any

import numpy as np
import torch

GENERATORS = (random.Random, np.random.Generator, np.random.RandomState, torch.Generator)
SHARED = (random.random.__self__, np.random.random.__self__, torch.default_generator)
MOST = 2000  # objects that are looked at: a notebook's names can lead to all of its networks


def generators_of(function: object) -> list[Any]:
    """Return the generators that a function or an object reaches by its names, closures and attributes.

    ``set_seed`` seeds those that the libraries share. One that a learner made, ``rng = np.random.default_rng(0)``, it
    cannot know of.
    """
    found, seen, waiting = [], {}, [function]
    while waiting and len(seen) < MOST:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen[id(one)] = one  # kept, so that no later object gets its identity
        if isinstance(one, GENERATORS):
            if not (isinstance(one, random.SystemRandom) or any(one is its for its in SHARED)):  # no state; seeded
                found.append(one)
        else:
            waiting += _inside(one)
    return found


def _inside(one: object) -> list[object]:
    """Return what an object holds that may hold a generator; nothing of modules and classes."""
    if isinstance(one, types.FunctionType):
        names = [one.__globals__[name] for name in one.__code__.co_names if name in one.__globals__]
        return [*names, *map(_content, one.__closure__ or ()), *(one.__defaults__ or ()), one.__kwdefaults__]
    if isinstance(one, (types.MethodType, types.BuiltinMethodType)):
        return [one.__self__, getattr(one, "__func__", None)]
    if isinstance(one, functools.partial):
        return [one.func, *one.args, one.keywords]
    if isinstance(one, (list, tuple, dict)):
        return list(one.values() if isinstance(one, dict) else one)
    if isinstance(one, (type, types.ModuleType)) or not hasattr(one, "__dict__"):
        return []
    methods = [value for value in vars(type(one)).values() if isinstance(value, types.FunctionType)]
    return [*vars(one).values(), *(methods if type(one).__module__ == "__main__" else [])]


def _content(cell: types.CellType) -> object:
    try:
        return cell.cell_contents
    except ValueError:  # the name has no value yet
        return None


def state_of_generator(one: Any) -> Any:
    """Return where a generator stands."""
    if isinstance(one, random.Random):
        return one.getstate()
    return one.bit_generator.state if isinstance(one, np.random.Generator) else one.get_state()


def put_back(one: Any, state: Any) -> None:
    """Let a generator stand where it stood."""
    if isinstance(one, random.Random):
        one.setstate(state)
    elif isinstance(one, np.random.Generator):
        one.bit_generator.state = state
    else:
        one.set_state(state)
