"""Progress bars: shown where a person waits, silent where outputs are stored."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm


def is_static() -> bool:
    """Return whether outputs are being made for keeping (``COURSE_STATIC=1``): no bars, no live widgets."""
    return os.environ.get("COURSE_STATIC", "") not in ("", "0")


def is_build() -> bool:
    """Return whether the course is being built (``COURSE_BUILD=1``): what a learner is told then stops the run."""
    return os.environ.get("COURSE_BUILD", "") not in ("", "0")


def progress_bar(
    items: Iterable | None = None, text: str = "", *, total: int | None = None, done: int = 0, show: bool = True
) -> tqdm:
    """Return a bar over ``items`` that appears after a second and disappears at the end, also after an error.

    Args:
        text: what is going on, e.g. ``"extracting features"``; empty for no bar.
        total, done: number of steps in all and already done, where there are no ``items``.
        show: ``False`` for no bar, e.g. in all but the first of several processes.

    Example:
        >>> for image in progress_bar(images, "resizing"): ...       # doctest: +SKIP
    """
    hidden = is_static() or not text or not show
    place = _CellLine() if _in_notebook() else sys.stderr
    return tqdm(items, desc=text, total=total, initial=done, leave=False, delay=1, disable=hidden, file=place)


def _in_notebook() -> bool:
    """Return whether a Jupyter kernel runs this process; a terminal's IPython has no ``kernel``."""
    ipython = sys.modules.get("IPython")
    return getattr(ipython and ipython.get_ipython(), "kernel", None) is not None


class _CellLine:
    r"""A line below a notebook's cell, for tqdm to write to: ``\r`` and a text replace it, ``\r`` and blanks empty it.

    A widget of tqdm's own would need ipywidgets, and its emptied view would stay in the stored outputs.
    """

    encoding = "utf-8"  # without it, tqdm draws bars of #

    def __init__(self) -> None:
        self.handle: Any = None

    def write(self, text: str) -> None:
        if not text.startswith("\r"):  # moves to the line of a bar inside another; here each has a line of its own
            return
        content = {"text/plain": text.strip()} if text.strip() else {}
        if self.handle:
            self.handle.update(content, raw=True)
        elif content:
            from IPython.display import display

            self.handle = display(content, raw=True, display_id=True)

    def flush(self) -> None:
        """Do nothing: what is written is shown at once."""
