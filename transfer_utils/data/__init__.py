"""Data sets, all with one small interface: three splits, class names, a licence.

cells = data.load("elpv")                     # or data.load("elpv", items=(100, 50, None)): not so many
cells.train, cells.validation, cells.test     # each a LabelledImages
cells.class_names                             # ("functional", "defective")

digits = data.load("photo_digits", domain="photograph")    # a second domain is "plain"
letters = data.load("characters")             # whole alphabets held out: each split has its own classes
films = data.load("sentiment", domain="films")     # each split a LabelledTexts
photos = data.image_folder("my_photos")       # root/class/file or root/train/class/file
mails = data.text_splits(texts, labels)       # two lists
"""

from __future__ import annotations

from collections.abc import Callable

from . import characters, clouds, elpv, hymenoptera, omniglot, photo_digits, sentiment, sst2
from .characters import AlphabetSplits
from .folder import image_folder
from .images import ImageSplits, LabelledImages
from .labelled import Labelled, Splits
from .texts import LabelledTexts, TextSplits, labelled_texts, text_splits

_LOADERS: dict[str, Callable[..., Splits]] = {
    "characters": characters.load,
    "elpv": elpv.load,
    "hymenoptera": hymenoptera.load,
    "omniglot": omniglot.load,
    "photo_digits": photo_digits.load,
    "sentiment": sentiment.load,
    "sst2": sst2.load,
}


def load(name: str, items: tuple[int | None, int | None, int | None] | None = None, **options: object) -> Splits:
    """Load a data set by name, all of it or at most so many items a split.

    Args:
        name: ``"characters"``, ``"elpv"``, ``"hymenoptera"``, ``"omniglot"``, ``"photo_digits"``,
            ``"sentiment"`` or ``"sst2"``.
        items: at most so many of (train, validation, test), drawn with seed 0; ``None`` for all of them.
            For characters, fewer ``classes`` are the better limit.
        options: passed to the loader; see ``data.elpv.load`` and so on.

    Raises:
        ValueError: there is no such data set.
        SourceMissing: it is not on this machine and cannot be fetched.

    Example:
        >>> cells = load("elpv", items=(100, None, None))       # doctest: +SKIP
        >>> image, label = cells.train[0]                       # doctest: +SKIP
    """
    if name not in _LOADERS:
        raise ValueError(
            f"There is no data set {name!r}; there are {', '.join(_LOADERS)}. "
            "For your own data use data.image_folder(path) or data.text_splits(texts, labels)."
        )
    splits = _LOADERS[name](**options)
    return splits.limited(*items) if items else splits


__all__ = [
    "AlphabetSplits",
    "ImageSplits",
    "Labelled",
    "LabelledImages",
    "LabelledTexts",
    "Splits",
    "TextSplits",
    "characters",
    "clouds",
    "elpv",
    "hymenoptera",
    "image_folder",
    "labelled_texts",
    "load",
    "omniglot",
    "photo_digits",
    "sentiment",
    "sst2",
    "text_splits",
]
