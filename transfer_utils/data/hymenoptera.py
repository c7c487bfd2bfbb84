"""Hymenoptera: about 400 photographs of ants and bees, for the profile ``full``.

The data of the PyTorch transfer-learning tutorial. It comes in two parts, ``train``
and ``val``. The course tests on ``val`` and holds a validation split out of ``train``,
because a split that is reported must not be chosen on.
"""

from __future__ import annotations

from dataclasses import replace

from ..runtime.sources import downloaded_folder, sources
from .folder import image_folder
from .images import ImageSplits


def load() -> ImageSplits:
    """Load ants and bees, downloading and checking them the first time.

    Raises:
        SourceMissing, WrongHash, ValueError: see :func:`transfer_utils.runtime.sources.downloaded_folder`.
    """
    source = sources()["hymenoptera"]
    splits = image_folder(downloaded_folder("hymenoptera") / "hymenoptera_data")
    return replace(splits, name="hymenoptera", licence=source.licence, attribution=source.attribution)
