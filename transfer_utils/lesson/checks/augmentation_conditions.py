"""What must hold of an augmentation that keeps the label: a defect drawn into a picture is there afterwards."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from PIL import Image

from .registry import Conditions, NotUsable

SIDE, DEFECT = 80, 14  # pixels
BRIGHT, DARK, TEXTURE = 170, 30, 4  # grey levels
DRAWS, LOST_AT_MOST = 320, 0.03


def picture_with_a_defect(x: int, y: int) -> Image.Image:
    """Return an even bright cell with fine texture and one dark square with its corner at ``x``, ``y``."""
    pixels = np.random.default_rng(x * SIDE + y).normal(BRIGHT, TEXTURE, (SIDE, SIDE)).clip(0, 255)
    pixels[y : y + DEFECT, x : x + DEFECT] = DARK
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


def lost_defect(picture: Image.Image) -> str:
    """Return why the dark square cannot be seen, nothing where it can: a patch stands out, by half of what it did."""
    grey = np.asarray(picture.convert("L"), dtype=float)
    away = np.abs(grey - np.median(grey))
    patch = DEFECT * DEFECT * grey.size / SIDE**2 / 4  # a quarter of it is enough
    if (away > (BRIGHT - DARK) / 2).sum() >= patch:
        return ""
    if grey.std() < 1:
        return "nothing is left of the cell"
    return "the defect is too faint to see" if (away > 5 * TEXTURE).sum() >= patch else "the defect is cut off"


def keeps_the_defect(augmentation: Callable[[Any], Any]) -> Conditions:
    """Change many pictures with a dark square and look for the square; corners that a rotation fills do not count.

    Raises:
        NotUsable: the augmentation does not return pictures.
    """
    torch.manual_seed(0)
    random.seed(0)
    state = random.Random("places")
    places = [(state.randrange(8, SIDE - DEFECT - 8), state.randrange(8, SIDE - DEFECT - 8)) for _ in range(DRAWS)]
    plain = picture_with_a_defect(20, 40)
    several = [augmentation(plain) for _ in range(20)]
    if not all(isinstance(one, Image.Image) for one in several):
        raise NotUsable(f"the augmentation returns a {type(several[0]).__name__}, not a PIL image")
    yield all(one.size == plain.size for one in several), "The picture must keep its size."
    yield len({one.tobytes() for one in several}) > 1, "It is not random: twenty calls gave one and the same picture."
    lost = [why for place in places if (why := lost_defect(augmentation(picture_with_a_defect(*place))))]
    most = max(set(lost), key=lost.count, default="")
    yield (
        len(lost) <= LOST_AT_MOST * DRAWS,
        (
            f"In {lost.count(most)} of {DRAWS} pictures with a defect {most}, and the label still says defective. "
            "Look at a page of your pictures."
        ),
    )
