"""What must hold of an augmentation: a defect drawn into a picture is kept, and the verdict follows from the scores."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from torch import Tensor

from ...evaluation.differences import differences
from ...runtime.seeding import set_seed
from .random_sources import generators_of, put_back, state_of_generator
from .registry import Conditions, NotUsable, number_from

SIDE, DEFECT = 80, 14  # pixels
BRIGHT, DARK, TEXTURE = 170, 30, 4  # grey levels
DRAWS, LOST_AT_MOST = 320, 0.03
VERDICTS = ("better", "worse", "cannot tell")


def picture_of_a_cell(x: int, y: int, *, defect: bool) -> Image.Image:
    """Return an even bright cell with fine texture; with a ``defect`` one dark square with its corner at ``x``, ``y``.

    Of the same place the two pictures are equal but for the square.
    """
    pixels = np.random.default_rng(x * SIDE + y).normal(BRIGHT, TEXTURE, (SIDE, SIDE)).clip(0, 255)
    if defect:
        pixels[y : y + DEFECT, x : x + DEFECT] = DARK
    return Image.fromarray(pixels.astype(np.uint8)).convert("RGB")


def lost_defect(picture: Image.Image, clean: Image.Image) -> str:
    """Return why the dark square cannot be seen, nothing where it can.

    Args:
        picture: changed; a patch in it has to stand out, by half of what the square did.
        clean: the same without a square, changed in the same way. What stands out in both is no defect: the corners
            that a rotation fills, the border that a shift leaves, the patch that a cutout lays over the cell.
    """
    grey, without = (np.asarray(one.convert("L"), dtype=float) for one in (picture, clean))
    away = np.abs(grey - np.median(grey))
    patch = DEFECT * DEFECT * grey.size / SIDE**2 / 4  # a quarter of it is enough
    stands_out = away > (BRIGHT - DARK) / 2
    if min(stands_out.sum(), (np.abs(grey - without) > (BRIGHT - DARK) / 2).sum()) >= patch:
        return ""
    if grey.std() < 1:
        return "nothing is left of the cell"
    if stands_out.sum() >= patch:
        at_the_edge = stands_out[[0, -1]].any() or stands_out[:, [0, -1]].any()
        return "it is pushed out, and only the border stands out" if at_the_edge else "something else covers it"
    return "the defect is too faint to see" if (away > 5 * TEXTURE).sum() >= patch else "the defect is cut off"


def keeps_the_defect(augmentation: Callable[[Any], Any]) -> Conditions:
    """Change many pictures with a dark square, as they are and without it, and look for the square.

    Raises:
        NotUsable: the augmentation does not return pictures.
    """
    set_seed(0)
    state = random.Random("places")
    places = [(state.randrange(8, SIDE - DEFECT - 8), state.randrange(8, SIDE - DEFECT - 8)) for _ in range(DRAWS)]
    plain = picture_of_a_cell(20, 40, defect=True)
    several = [augmentation(plain) for _ in range(20)]
    if not all(isinstance(one, Image.Image) for one in several):
        raise NotUsable(f"the augmentation returns a {type(several[0]).__name__}, not a PIL image")
    yield all(one.size == plain.size for one in several), "The picture must keep its size."
    yield len({one.tobytes() for one in several}) > 1, "It is not random: twenty calls gave one and the same picture."
    own = generators_of(augmentation)
    pairs = (_pair(augmentation, place, seed, own) for seed, place in enumerate(places))
    lost = [why for picture, clean in pairs if (why := lost_defect(picture, clean))]
    most = max(set(lost), key=lost.count, default="")
    yield (
        len(lost) <= LOST_AT_MOST * DRAWS,
        (
            f"In {lost.count(most)} of {DRAWS} pictures with a defect {most}, and the label still says defective. "
            "Look at a page of your pictures."
        ),
    )


def _pair(augmentation: Callable[[Any], Any], place: tuple[int, int], seed: int, own: list) -> list[Image.Image]:
    """Return a picture with a defect and the same one without, changed by the same random numbers.

    Args:
        augmentation: what changes them.
        place: of the defect.
        seed: of the generators that the libraries share.
        own: the generators that the augmentation holds itself.
    """
    changed, states = [], [state_of_generator(one) for one in own]
    for defect in (True, False):
        set_seed(seed)
        for one, state in zip(own, states, strict=True):
            put_back(one, state)
        changed.append(augmentation(picture_of_a_cell(*place, defect=defect)))
    return changed


def verdict_follows(answer: dict, with_it: Tensor, flips: Tensor, again: Tensor, labels: Tensor) -> Conditions:
    """Hold the reported difference and verdict against the scores (N, C) of the three runs; labels (N,)."""
    found = differences({"own": with_it[None], "flips": flips[None]}, labels, against="flips")[0]
    floor = abs(_accuracy(again, labels) - _accuracy(flips, labels))
    reported, verdict = number_from(answer["difference"]), answer["verdict"]
    yield not math.isclose(reported, 100 * found.mean, abs_tol=0.05) or abs(found.mean) < 1e-3, "Not per cent: a share."
    turned = math.isclose(reported, -found.mean, abs_tol=1e-3) and abs(found.mean) > 2e-3
    yield not turned, "The sign is turned round: the accuracy with your augmentation minus that with flips alone."
    fits = math.isclose(reported, found.mean, abs_tol=1e-3)
    yield fits, "`difference` is not the difference in accuracy of the scores that you hand in, on the same cells."
    yield verdict in VERDICTS, f"The verdict is one of {', '.join(map(repr, VERDICTS))}."
    interval = found.over_items
    inside = interval.low <= 0 <= interval.high
    yield (
        not (inside and verdict != "cannot tell"),
        ("The interval of the difference contains zero: these cells cannot tell which is better, whatever its sign."),
    )
    small = not inside and abs(found.mean) <= floor
    yield not small or verdict == "cannot tell", "Flips with another seed differ by as much: one seed cannot tell."
    expected = "cannot tell" if inside or small else "better" if found.mean > 0 else "worse"
    yield (
        verdict == expected,
        "The interval leaves zero on one side, and another seed moves it less: say which is better.",
    )


def _accuracy(scores: Tensor, labels: Tensor) -> float:
    return (scores.argmax(1) == labels).double().mean().item()
