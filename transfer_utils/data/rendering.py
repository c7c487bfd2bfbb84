"""Characters drawn from a font, and images of them that are all a little different.

Images are greyscale, ink bright on dark.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageDraw, ImageFont

SIZE, CANVAS, INK = 28, 56, 40  # of an image, of the canvas it is shrunk from, of the longer side of a character


@dataclass(frozen=True)
class Distortion:
    """How far a rendering may differ from the plain character; every image draws its own values.

    Attributes:
        rotation: degrees to either side.
        smallest, largest: factors on the size.
        shear: to either side, horizontally and vertically.
        shift: to either side, as a share of half the image.
        elastic: length of smooth local displacements (a standard deviation), as a share of half the image.
        stroke: whether lines become thinner or bolder.
        noise: standard deviation, where ink is 1.
    """

    rotation: float = 25.0
    smallest: float = 0.75
    largest: float = 1.15
    shear: float = 0.3
    shift: float = 0.18
    elastic: float = 0.10
    stroke: bool = True
    noise: float = 0.15


HARD = Distortion()


def font_path() -> Path:
    """Return the file of DejaVu Sans that matplotlib ships."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"


def render(character: str, font: ImageFont.FreeTypeFont) -> np.ndarray:
    """Return the character, centred, its longer side ``INK`` pixels, as uint8 (CANVAS, CANVAS)."""
    picture = Image.new("L", (240, 240))
    ImageDraw.Draw(picture).text((80, 60), character, font=font, fill=255)
    ink = picture.crop(picture.getbbox())
    scale = INK / max(ink.size)
    small = ink.resize([max(1, round(side * scale)) for side in ink.size], Image.Resampling.BOX)
    canvas = Image.new("L", (CANVAS, CANVAS))
    canvas.paste(small, ((CANVAS - small.width) // 2, (CANVAS - small.height) // 2))
    return np.asarray(canvas)


def distort(plain: torch.Tensor, count: int, by: Distortion, random: torch.Generator) -> torch.Tensor:
    """Return ``count`` distorted images of each character, uint8 (C * count, SIZE, SIZE), class after class.

    Args:
        plain: (C, CANVAS, CANVAS), ink 1 on 0.
    """
    done = []
    for characters in plain.split(50):  # a few at a time, to save memory
        images = characters.repeat_interleave(count, 0)[:, None]
        if by.stroke:
            images = _other_strokes(images, random)
        images = F.grid_sample(images, _sampling_grid(len(images), by, random), align_corners=False)
        images = F.avg_pool2d(images, CANVAS // SIZE)
        images = images + by.noise * torch.randn(images.shape, generator=random)
        done.append((255 * images.clamp(0, 1)).round().to(torch.uint8)[:, 0])
    return torch.cat(done)


def _other_strokes(images: torch.Tensor, random: torch.Generator) -> torch.Tensor:
    """Make the lines of a third of the images thinner, of a third bolder."""
    kind = torch.randint(3, (len(images), 1, 1, 1), generator=random)
    bolder = F.max_pool2d(images, 3, stride=1, padding=1)
    thinner = -F.max_pool2d(-images, 3, stride=1, padding=1)
    return torch.where(kind == 0, images, torch.where(kind == 1, bolder, thinner))


def _sampling_grid(count: int, by: Distortion, random: torch.Generator) -> torch.Tensor:
    """Return where each pixel of ``count`` images is taken from, (count, CANVAS, CANVAS, 2), in -1..1."""

    def uniform(low: float, high: float) -> torch.Tensor:
        return low + (high - low) * torch.rand(count, generator=random)

    angle = torch.deg2rad(uniform(-by.rotation, by.rotation))
    across, down = uniform(-by.shear, by.shear), uniform(-by.shear, by.shear)
    zoom = 1 / uniform(by.smallest, by.largest)
    one = torch.ones(count)
    turn = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    skew = torch.stack([one, across, down, one], 1).view(-1, 2, 2)
    move = torch.stack([uniform(-by.shift, by.shift) for _ in range(2)], 1)[..., None]
    affine = torch.cat([zoom[:, None, None] * turn @ skew, move], 2)
    grid = F.affine_grid(affine, [count, 1, CANVAS, CANVAS], align_corners=False)
    waves = by.elastic * torch.randn(count, 2, 4, 4, generator=random)
    waves = F.interpolate(waves, (CANVAS, CANVAS), mode="bicubic", align_corners=True)
    return grid + waves.permute(0, 2, 3, 1)
