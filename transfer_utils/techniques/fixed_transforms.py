"""Fixed transforms: whether one gives one answer for an image, and what tells it from another.

An answer that is kept must be the only one there is, so nothing may be drawn at random; and it must be found again for
the same transform alone. The ``repr`` does not tell: two different functions can share one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np
import torch

from ..data import Labelled, LabelledImages
from ..runtime.digests import code_digest
from ..runtime.seeding import kept_random_state, set_seed


def require_fixed_transform(data: Labelled) -> None:
    """Raise ``ValueError`` unless ``data`` has a transform that gives one answer for an item.

    Four images are asked for twice. That a transform draws from the generators of Python, NumPy or PyTorch is seen by
    the random numbers that come after it, whatever comes out of it this time.
    """
    if data.transform is None:
        raise ValueError("The data has no transform. Use data.with_transform(model.card.preprocess(size)).")
    augments = getattr(data.transform, "augment", None) is not None
    if augments or (isinstance(data, LabelledImages) and _is_random(data)):  # a tokenizer is not random
        raise ValueError(
            "The transform augments at random, so an image has no one answer to store. Extract with "
            "model.card.preprocess(size), or train with fit(...) to use augmentation."
        )


def _is_random(data: LabelledImages) -> bool:
    indices = sorted({i * (len(data) - 1) // 3 for i in range(4 if len(data) else 0)})
    answers: list[list[torch.Tensor]] = []
    with kept_random_state():
        untouched = _draws_after(lambda: None)
        touched = [_draws_after(lambda: answers.append([data[i][0] for i in indices])) for _ in range(2)]
    return touched != [untouched] * 2 or not all(map(torch.equal, *answers))


def _draws_after(work: Callable[[], object]) -> tuple[float, ...]:
    """Return a random number of each generator after ``work``: another than usual where it drew."""
    set_seed(0)
    work()
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def settings_of(transform: Any) -> str | None:
    """Return a text that tells a transform from others, or ``None`` where there is none.

    There is one for dataclasses whose fields are settings, such as ``card.preprocess(size)``: the class, the settings,
    and the code of its ``__call__``, which a learner may have edited. Where a field is a function, or the transform
    anything else, what it does cannot be known from outside.
    """
    if not is_dataclass(transform):
        return None
    settings = [(field.name, getattr(transform, field.name)) for field in fields(transform) if field.repr]
    if not all(_is_setting(value) for _, value in settings):
        return None
    return f"{type(transform).__qualname__} {settings!r} {code_digest(transform)}"


def _is_setting(value: Any) -> bool:
    if isinstance(value, (tuple, list)):
        return all(map(_is_setting, value))
    return value is None or isinstance(value, (bool, int, float, str, torch.dtype))
