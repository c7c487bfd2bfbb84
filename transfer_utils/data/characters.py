"""Characters of many alphabets, rendered from a font that comes with matplotlib: few images, many classes.

Each class is one character, each image a distorted rendering of it: 28 x 28 pixels, greyscale, ink bright on dark.
Whole alphabets are held out, so the test asks about characters of a script that no training image showed.
It is made in the way of Omniglot (Lake et al. 2015), and it needs no network.

Two characters of different alphabets may look the same, such as the Latin and the Cyrillic A. Of characters whose
plain renderings correlate by more than ``LARGEST_CORRELATION``, one is kept, and test comes first: no training class
looks like a test class.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFont

from ..runtime.seeding import generator
from .images import ImageSplits, LabelledImages
from .rendering import CANVAS, HARD, Distortion, distort, font_path, render

LARGEST_CORRELATION = 0.88
LICENCE = "Bitstream Vera and Arev font licences (free use, also modified); the changes of DejaVu are public domain"
ATTRIBUTION = "Characters rendered from DejaVu Sans (Bitstream, Tavmjong Bah and the DejaVu authors)"
ALPHABETS = {  # split -> alphabet -> code points from, to (both included)
    "test": {"Armenian": (0x531, 0x586), "Georgian": (0x10A0, 0x10FA), "Hebrew": (0x5D0, 0x5EA),
             "N'Ko": (0x7CA, 0x7EA), "Lao": (0xE81, 0xEC4)},
    "validation": {"Tifinagh": (0x2D30, 0x2D65), "Old Italic": (0x10300, 0x1031E), "Coptic": (0x3E2, 0x3EF)},
    "train": {"Latin": (0x41, 0x2AF), "Greek": (0x391, 0x3D7), "Cyrillic": (0x410, 0x52F), "Arabic": (0x621, 0x6D3),
              "Canadian syllabics": (0x1401, 0x14D0), "Ogham": (0x1681, 0x169A), "Lisu": (0xA4D0, 0xA4F7),
              "double-struck": (0x1D538, 0x1D56B)},
}  # fmt: skip


@dataclass(frozen=True, eq=False)
class AlphabetSplits(ImageSplits):
    """Splits whose classes differ: each has its own alphabets, so each has its own ``class_names``, from 0 on.

    In ``extra`` of a split, ``alphabet`` names the alphabet of each image.
    """


def load(
    distortion: Distortion = HARD, images_per_class: int = 20, seed: int = 0, classes: int | None = None
) -> AlphabetSplits:
    """Return images of characters, ``images_per_class`` of each, by alphabet in train, validation and test.

    Args:
        distortion: how far an image may differ from the plain character; ``HARD`` needs more than pixels.
        seed: of the distortions.
        classes: at most so many classes a split, from all its alphabets; ``None`` for all.
    """
    parts = {}
    for split in ("train", "validation", "test"):
        chosen = [entry for entry in plain_characters() if entry[0] == split]
        chosen = chosen[:: max(1, len(chosen) // classes)][:classes] if classes else chosen
        plain = torch.stack([torch.tensor(pixels) for *_, pixels in chosen]).float() / 255
        images = distort(plain, images_per_class, distortion, generator(seed, "characters", split))
        labels = torch.arange(len(chosen)).repeat_interleave(images_per_class)
        names = tuple(f"{alphabet} {character}" for _, alphabet, character, _ in chosen)
        alphabets = np.array([alphabet for _, alphabet, *_ in chosen])[labels.numpy()]
        parts[split] = LabelledImages(
            list(images.numpy()), labels, names, Image.fromarray, extra={"alphabet": alphabets}
        )
    return AlphabetSplits("characters", **parts, licence=LICENCE, attribution=ATTRIBUTION)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return a greyscale image as float32 (1, height, width), from 0 to 1: a transform that hides nothing."""
    return torch.from_numpy(np.array(image)).float()[None] / 255


@cache
def plain_characters() -> tuple[tuple[str, str, str, np.ndarray], ...]:
    """Return (split, alphabet, character, pixels (CANVAS, CANVAS)) of all that are kept, test first."""
    font = ImageFont.truetype(str(font_path()), size=80)
    known = _characters_of(font_path())
    kept, shapes = [], np.empty((0, CANVAS * CANVAS), dtype=np.float32)
    for split, alphabets in ALPHABETS.items():
        for alphabet, (first, last) in alphabets.items():
            for character in map(chr, range(first, last + 1)):
                if ord(character) not in known or not _is_plain_letter(character):
                    continue
                pixels = render(character, font)
                shape = _standardised(pixels)
                if len(shapes) == 0 or float((shapes @ shape).max()) <= LARGEST_CORRELATION:
                    kept.append((split, alphabet, character, pixels))
                    shapes = np.vstack([shapes, shape])
    return tuple(kept)


def _characters_of(path: Path) -> set[int]:
    from matplotlib.ft2font import FT2Font

    return set(FT2Font(str(path)).get_charmap())


def _is_plain_letter(character: str) -> bool:
    """Return whether it is a letter, and not another letter with an accent on it."""
    accented = unicodedata.decomposition(character)[:1] not in ("", "<")
    return unicodedata.category(character) in ("Lu", "Ll", "Lo") and not accented


def _standardised(pixels: np.ndarray) -> np.ndarray:
    """Return the pixels blurred a little, with mean 0 and length 1: their dot product is the correlation."""
    image = torch.tensor(pixels, dtype=torch.float32)[None, None]
    flat = F.avg_pool2d(image, 5, stride=1, padding=2).flatten().numpy()
    flat = flat - flat.mean()
    return flat / np.linalg.norm(flat)
