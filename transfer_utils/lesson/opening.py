"""The first thing a lesson does: say where and how big it runs."""

from __future__ import annotations

import platform
from importlib.metadata import version
from types import SimpleNamespace
from typing import Any

from ..runtime.devices import describe_device
from ..runtime.profile import PROFILES, Profile, get_profile
from .plots import use_course_style

_current = "unnamed"


def print_environment() -> None:
    """Print profile, device and versions: the last line of every lesson's setup cell."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    print(
        f"Profile: {get_profile().name}. Device: {describe_device()}. Python {platform.python_version()}, {versions}."
    )


def start(lesson: str) -> Profile:
    """Begin a lesson: set the style of its plots and return the profile in force.

    Args:
        lesson: the notebook's name without its ending, e.g. ``"01_feature_extraction"``;
            the rows that follow in the ledger carry it.
    """
    global _current
    _current = lesson
    use_course_style()
    return get_profile()


def current_lesson() -> str:
    """Return the name that :func:`start` was given."""
    return _current


class Sizes(SimpleNamespace):
    """The sizes of a lesson in one profile, read as ``size.epochs``; made by :func:`sizes`."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"This lesson declares no size {name!r}; it declares {', '.join(vars(self))}. "
            f"Add a row to its cell of sizes, with an entry for each of {', '.join(PROFILES)}."
        )

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"Sizes stand in one cell: change the row {name!r} there, and run the lesson again.")

    def __delattr__(self, name: str) -> None:
        self.__setattr__(name, None)


def sizes(**rows: tuple[Any, Any, Any]) -> Sizes:
    """Declare the sizes of a lesson, a row each, and return the column of the profile in force.

    Args:
        rows: name -> what it is in ``tiny``, in ``laptop`` and in ``full``. An entry may be of any type.

    Raises:
        ValueError: a row has not three entries.

    Example:
        >>> size = sizes(image_size=(64, 80, 224), seeds=((0, 1), (0, 1, 2), (0, 1, 2, 3, 4)))
        >>> size.image_size         # in the profile laptop
        80
    """
    for name, row in rows.items():
        if not isinstance(row, tuple) or len(row) != len(PROFILES):
            raise ValueError(
                f"The row {name!r} needs three entries in parentheses, for {', '.join(PROFILES)}; it is {row!r}."
            )
    column = list(PROFILES).index(get_profile().name)
    return Sizes(**{name: row[column] for name, row in rows.items()})
