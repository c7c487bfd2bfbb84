"""The first thing a lesson does: say where and how big it runs."""

from __future__ import annotations

import platform
from importlib.metadata import version

from ..runtime.devices import describe_device
from ..runtime.profile import Profile, get_profile
from .plots import use_course_style

_current = "unnamed"


def print_environment() -> None:
    """Print profile, device and versions: the last line of every lesson's setup cell."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    print(
        f"Profile: {get_profile().name}. Device: {describe_device()}. Python {platform.python_version()}, {versions}."
    )


def start(lesson: str) -> Profile:
    """Begin a lesson: set the style of its plots and return the profile its sizes come from.

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
