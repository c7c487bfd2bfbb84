"""Parts of right and wrong answers to 02.4: augmentations, and scores of made-up trainings."""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
import torch
from PIL import Image, ImageChops, ImageDraw
from torch import Tensor, nn


def says(wrong_cells: range, count: int = 200) -> Tensor:
    """Return scores (count, 2) that are right but on some cells; the labels are 0, 1, 0, 1 and so on."""
    scores = nn.functional.one_hot(torch.arange(count) % 2, 2).float()
    scores[list(wrong_cells)] = scores[list(wrong_cells)].flip(1)
    return scores + torch.rand(count, 1, generator=torch.Generator().manual_seed(len(wrong_cells)))


def turned_at_random(picture: Image.Image) -> Image.Image:
    """Return a picture in one of four quarter turns."""
    return picture.rotate(90 * random.randrange(4))


def sometimes(change: Callable, share: float) -> Callable:
    """Return an augmentation that changes a share of the pictures so, and flips the others."""

    def apply(picture: Image.Image) -> Image.Image:
        return change(picture) if random.random() < share else picture.transpose(random.choice([0, 1]))

    return apply


def crop(picture: Image.Image) -> Image.Image:
    """Return a random quarter of a picture at its full size, which may leave the defect out."""
    side = picture.width // 2
    x, y = random.randrange(side), random.randrange(side)
    return picture.crop((x, y, x + side, y + side)).resize(picture.size)


def shifted(most: int, *, border: bool = True) -> Callable:
    """Return an augmentation that pushes a picture by up to ``most`` pixels and leaves black, or lets it wrap round."""

    def apply(picture: Image.Image) -> Image.Image:
        x, y = random.randint(-most, most), random.randint(-most, most)
        if not border:
            return ImageChops.offset(picture, x, y)
        return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, x, 0, 1, y))

    return apply


def tilted(picture: Image.Image) -> Image.Image:
    """Return a picture turned by any angle, with black corners."""
    return picture.rotate(random.uniform(-45, 45))


def covered(side: int, numbers: np.random.Generator | None = None) -> Callable:
    """Return an augmentation that lays a black square of ``side`` pixels over some place inside a picture.

    With ``numbers`` it draws from a generator of its own, which no seed of the libraries reaches.
    """
    between = numbers.integers if numbers else random.randrange

    def apply(picture: Image.Image) -> Image.Image:
        picture = picture.copy()
        x, y = (int(between(1, length - side)) for length in picture.size)
        ImageDraw.Draw(picture).rectangle((x, y, x + side - 1, y + side - 1), fill=0)
        return picture

    return apply


def turned_beyond_repeat(picture: Image.Image) -> Image.Image:
    """Return a picture in one of four quarter turns, by numbers that no seed and no state brings back."""
    return picture.rotate(90 * random.SystemRandom().randrange(4))
