"""Data sets, all with one small interface: three splits, class names, a licence.

cells = data.load("elpv")
cells.train, cells.validation, cells.test     # each a LabelledImages
cells.class_names                             # ("functional", "defective")

photos = data.image_folder("my_photos")       # root/class/file or root/train/class/file
"""

from __future__ import annotations

from collections.abc import Callable

from ..profile import get_profile
from . import elpv, hymenoptera
from .folder import image_folder
from .images import ImageSplits, LabelledImages

_LOADERS: dict[str, Callable[..., ImageSplits]] = {
    "elpv": elpv.load,
    "hymenoptera": hymenoptera.load,
}


def load(name: str, **options: object) -> ImageSplits:
    """Load a data set by name, at most as many images a split as the profile allows.

    Args:
        name: ``"elpv"`` or ``"hymenoptera"``.
        options: passed to the loader; see ``data.elpv.load`` and ``data.hymenoptera.load``.

    Raises:
        ValueError: there is no such data set.
        SourceMissing: it is not on this machine and cannot be fetched.

    Example:
        >>> cells = load("elpv")                                # doctest: +SKIP
        >>> image, label = cells.train[0]                       # doctest: +SKIP
    """
    if name not in _LOADERS:
        raise ValueError(
            f"There is no data set {name!r}; there are {', '.join(_LOADERS)}. "
            "For a folder of your own images use data.image_folder(path)."
        )
    profile = get_profile()
    limits = (profile.train_images, profile.validation_images, profile.test_images)
    return _LOADERS[name](**options).limited(*limits)


__all__ = ["ImageSplits", "LabelledImages", "elpv", "hymenoptera", "image_folder", "load"]
