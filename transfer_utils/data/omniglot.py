"""Omniglot: 1,623 handwritten characters of 50 alphabets, each drawn by 20 people, for the profile ``full``.

Its authors divide the alphabets into 30 to learn from (*background*) and 20 to be tested on (*evaluation*). The
course chooses on the last 5 background alphabets. Images are inverted and shrunk, as those of ``data.characters``:
28 x 28 pixels, ink bright on dark.

Source: Lake, Salakhutdinov and Tenenbaum 2015, "Human-level concept learning through probabilistic program
induction", Science 350.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..runtime.sources import downloaded_folder, sources
from .characters import AlphabetSplits
from .images import LabelledImages
from .rendering import SIZE

VALIDATION_ALPHABETS = 5


def load(classes: int | None = None) -> AlphabetSplits:
    """Load Omniglot, fetched on first use, its hashes checked.

    Args:
        classes: at most so many classes a split, the first ones; ``None`` for all.

    Raises:
        SourceMissing, WrongHash: see :func:`transfer_utils.runtime.sources.downloaded_folder`.
    """
    background = _alphabets(downloaded_folder("omniglot_background") / "images_background")
    evaluation = _alphabets(downloaded_folder("omniglot_evaluation") / "images_evaluation")
    learned, chosen_on = background[:-VALIDATION_ALPHABETS], background[-VALIDATION_ALPHABETS:]
    source = sources()["omniglot_background"]
    parts = (_read(alphabets, classes) for alphabets in (learned, chosen_on, evaluation))
    return AlphabetSplits("Omniglot", *parts, licence=source.licence, attribution=source.attribution)


def _alphabets(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir())


def _read(alphabets: list[Path], classes: int | None) -> LabelledImages:
    """Return every drawing below ``alphabets/character``, one class a character."""
    characters = [path for alphabet in alphabets for path in sorted(alphabet.iterdir()) if path.is_dir()]
    characters = characters[:classes]
    images, labels = [], []
    for label, folder in enumerate(characters):
        drawings = sorted(folder.glob("*.png"))
        images += [_read_ink(path) for path in drawings]
        labels += [label] * len(drawings)
    scripts = [folder.parent.name.replace("_", " ") for folder in characters]
    numbers = [folder.name.removeprefix("character") for folder in characters]
    names = tuple(f"{script} {number}" for script, number in zip(scripts, numbers, strict=True))
    alphabet = np.array([scripts[label] for label in labels])
    return LabelledImages(images, torch.tensor(labels), names, Image.fromarray, extra={"alphabet": alphabet})


def _read_ink(path: Path) -> np.ndarray:
    with Image.open(path) as opened:
        ink = ImageOps.invert(opened.convert("L"))
    return np.asarray(ink.resize((SIZE, SIZE), Image.Resampling.BOX))
