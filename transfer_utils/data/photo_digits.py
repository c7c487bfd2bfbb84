"""Digits in two domains, 28 x 28 pixels: plain ones, and the same kind of digits on photographs.

The recipe is that of MNIST-M (Ganin et al. 2016, section 5.2.4): a digit on a photograph is the absolute difference
between a patch of the photograph and the digit, so that its ink inverts what lies below. MNIST-M takes handwritten
digits and the photographs of BSDS500; here the digits are rendered from fonts of matplotlib, and the photographs are
the two of scikit-learn, so that nothing has to be fetched. The right-hand third of each photograph is kept for
validation and test: no test image has a background that training has seen.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from PIL import Image, ImageFont

from ..runtime.seeding import generator
from .images import ImageSplits, LabelledImages
from .labelled import three_way_split
from .rendering import SIZE, Distortion, distort, font_path, render

CLASS_NAMES = tuple("0123456789")
FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "STIXGeneral",
         "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10")  # fmt: skip
PER_FONT = 34  # images of each digit in each font: 3,400, of which 2,040 are trained on
VARIED = Distortion(rotation=15, smallest=0.8, largest=1.1, shear=0.2, shift=0.1, elastic=0.06, noise=0.0)
TRAINED_SHARE = 2 / 3  # of the width of a photograph
LICENCE = "fonts of matplotlib, free use; photographs of scikit-learn, CC BY 2.0"
ATTRIBUTION = "Digits rendered from matplotlib's fonts; photographs by danielbuechele and vultilion (CC BY 2.0)"


def load(domain: Literal["plain", "photograph"] = "plain", colour: bool = True, seed: int = 0) -> ImageSplits:
    """Load one domain: 60 % train, 15 % validation, 25 % test, every digit in its own proportion.

    The digits of the two domains are different images, so no digit of one stands in the other.

    Args:
        domain: ``"plain"``, bright ink on black, or ``"photograph"``.
        colour: photographs in colour, images (28, 28, 3); else grey. Plain digits have three equal channels.
        seed: of the distortions and the patches.

    Raises:
        ValueError: there is no such domain.
    """
    if domain not in ("plain", "photograph"):
        raise ValueError(f"These digits have the domains 'plain' and 'photograph', not {domain!r}.")
    digits, labels = _rendered(generator(seed, "photo digits", domain))
    parts = three_way_split(labels)
    images = np.repeat(digits[..., None], 3, axis=-1)
    if domain == "photograph":
        random = np.random.default_rng([seed, 7])
        for part, seen in zip(parts, (True, False, False), strict=True):
            patches = _patches(len(part), seen, random)
            images[part] = np.abs(patches - images[part].astype(np.int16)).astype(np.uint8)
        if not colour:
            images = np.repeat(images.mean(axis=-1, keepdims=True).astype(np.uint8), 3, axis=-1)
    everything = LabelledImages(list(images), torch.from_numpy(labels), CLASS_NAMES, Image.fromarray)
    splits = [everything.subset(part) for part in parts]
    return ImageSplits(f"digits, {domain}", *splits, licence=LICENCE, attribution=ATTRIBUTION)


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return an image of a digit as float32 (3, 28, 28), from -1 to 1."""
    return torch.from_numpy(np.array(image, dtype=np.float32)).permute(2, 0, 1) / 127.5 - 1


def photographs() -> list[np.ndarray]:
    """Return the two photographs that come with scikit-learn, uint8 (427, 640, 3)."""
    from sklearn.datasets import load_sample_images

    return list(load_sample_images().images)


def _rendered(random: torch.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Return distorted digits, uint8 (N, 28, 28), and what they are, (N,)."""
    fonts = [ImageFont.truetype(str(font_path().parent / f"{name}.ttf"), size=80) for name in FONTS]
    plain = np.stack([render(digit, font) for font in fonts for digit in CLASS_NAMES])
    images = distort(torch.from_numpy(plain).float() / 255, PER_FONT, VARIED, random)
    return images.numpy(), np.tile(np.repeat(np.arange(10), PER_FONT), len(FONTS))


def _patches(count: int, seen: bool, random: np.random.Generator) -> np.ndarray:
    """Return patches of the photographs, int16 (count, 28, 28, 3), from the part that training sees, or the other."""
    pictures, done = photographs(), []
    height, width = pictures[0].shape[:2]
    border = round(TRAINED_SHARE * width)
    for _ in range(count):
        photograph = pictures[random.integers(len(pictures))]
        left, right = (0, border - SIZE) if seen else (border, width - SIZE)
        row, column = random.integers(0, height - SIZE), random.integers(left, right)
        done.append(photograph[row : row + SIZE, column : column + SIZE])
    return np.stack(done).astype(np.int16)
