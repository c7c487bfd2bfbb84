"""Progress bars: shown where a person waits, silent where outputs are stored."""

from __future__ import annotations

import os
from collections.abc import Iterable

from tqdm.auto import tqdm


def is_static() -> bool:
    """Return whether outputs are being made for keeping (``COURSE_STATIC=1``): no bars, no live widgets."""
    return os.environ.get("COURSE_STATIC", "") not in ("", "0")


def progress_bar(
    items: Iterable | None = None, text: str = "", *, total: int | None = None, done: int = 0, show: bool = True
) -> tqdm:
    """Return a bar over ``items`` that appears after a second and disappears at the end.

    Args:
        text: what is going on, e.g. ``"extracting features"``; empty for no bar.
        total, done: number of steps in all and already done, where there are no ``items``.
        show: ``False`` for no bar, e.g. in all but the first of several processes.
    """
    hidden = is_static() or not text or not show
    return tqdm(items, desc=text, total=total, initial=done, leave=False, delay=1, disable=hidden)
