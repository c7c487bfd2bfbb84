"""The first thing a lesson does: say where and how big it runs."""

from __future__ import annotations

import platform
from importlib.metadata import version

from ..devices import describe_device
from ..plots import use_course_style
from ..profile import Profile, get_profile

_current = "unnamed"


def start(lesson: str) -> Profile:
    """Print profile, device and versions, set the style of the plots, and return the profile.

    Args:
        lesson: the notebook's name without its ending, e.g. ``"01_feature_extraction"``;
            the rows that follow in the ledger carry it.
    """
    global _current
    _current = lesson
    profile = get_profile()
    use_course_style()
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "torchvision", "timm"))
    print(f"Profile: {profile.name}   Device: {describe_device()}")
    print(f"Python {platform.python_version()}, {versions}")
    return profile


def current_lesson() -> str:
    """Return the name that :func:`start` was given."""
    return _current
