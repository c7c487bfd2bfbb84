"""Data sets, all with one small interface: three splits, class names, a licence.

cells = data.load("elpv")
cells.train, cells.validation, cells.test     # each a LabelledImages
cells.class_names                             # ("functional", "defective")

digits = data.load("digits", domain="rendered")    # a second domain is "handwritten"
letters = data.load("characters")             # whole alphabets held out: each split has its own classes
films = data.load("sentiment", domain="films")     # each split a LabelledTexts
photos = data.image_folder("my_photos")       # root/class/file or root/train/class/file
mails = data.text_splits(texts, labels)       # two lists
"""

from __future__ import annotations

from collections.abc import Callable

from ..runtime.profile import get_profile
from . import characters, digits, elpv, hymenoptera, omniglot, sentiment, sst2
from .characters import AlphabetSplits
from .folder import image_folder
from .images import ImageSplits, LabelledImages
from .labelled import Labelled, Splits
from .texts import LabelledTexts, TextSplits, labelled_texts, text_splits

_LOADERS: dict[str, Callable[..., Splits]] = {
    "characters": characters.load,
    "digits": digits.load,
    "elpv": elpv.load,
    "hymenoptera": hymenoptera.load,
    "omniglot": omniglot.load,
    "sentiment": sentiment.load,
    "sst2": sst2.load,
}


def load(name: str, **options: object) -> Splits:
    """Load a data set by name, at most as many items a split as the profile allows.

    Args:
        name: ``"characters"``, ``"digits"``, ``"elpv"``, ``"hymenoptera"``, ``"omniglot"``, ``"sentiment"`` or
            ``"sst2"``.
        options: passed to the loader; see ``data.elpv.load`` and so on.

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
            "For your own data use data.image_folder(path) or data.text_splits(texts, labels)."
        )
    splits, profile = _LOADERS[name](**options), get_profile()
    if isinstance(splits, ImageSplits):
        return splits.limited(profile.train_images, profile.validation_images, profile.test_images)
    return splits.limited(profile.train_texts, profile.validation_texts, profile.test_texts)


__all__ = [
    "AlphabetSplits",
    "ImageSplits",
    "Labelled",
    "LabelledImages",
    "LabelledTexts",
    "Splits",
    "TextSplits",
    "characters",
    "digits",
    "elpv",
    "hymenoptera",
    "image_folder",
    "labelled_texts",
    "load",
    "omniglot",
    "sentiment",
    "sst2",
    "text_splits",
]
