"""Digits in two domains: rendered from the fonts of matplotlib, and written by hand.

Both are greyscale images of 8 x 8 pixels, ink bright on dark. The handwritten ones are the 1,797 of scikit-learn (UCI
"Optical recognition of handwritten digits", Alpaydin and Kaynak 1998). The rendered ones cost nothing, and have labels
for nothing: can they teach to read handwriting?
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageFont

from ..runtime.seeding import generator
from .images import ImageSplits, LabelledImages
from .labelled import three_way_split
from .rendering import Distortion, distort, font_path, render

SIZE = 8
FONTS = ("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSansMono-Bold", "DejaVuSerif", "DejaVuSerif-Italic", "STIXGeneral",
         "STIXGeneralItalic", "cmr10", "cmss10", "cmtt10")  # fmt: skip
PER_FONT = 30  # images of each digit in each font
HANDLIKE = Distortion(rotation=12, smallest=0.85, largest=1.1, shear=0.2, shift=0.08, elastic=0.06, noise=0.0)
CLASS_NAMES = tuple("0123456789")


def load(domain: Literal["rendered", "handwritten"] = "handwritten") -> ImageSplits:
    """Load one domain: 60 % train, 15 % validation, 25 % test, every digit in its own proportion.

    Raises:
        ValueError: there is no such domain.
    """
    if domain not in ("rendered", "handwritten"):
        raise ValueError(f"Digits have the domains 'rendered' and 'handwritten', not {domain!r}.")
    pixels, labels = _rendered() if domain == "rendered" else _handwritten()
    everything = LabelledImages(list(pixels), torch.from_numpy(labels), CLASS_NAMES, Image.fromarray)
    parts = three_way_split(labels)
    licence = "CC BY 4.0" if domain == "handwritten" else "fonts of matplotlib, free use"
    source = "UCI digits, Alpaydin and Kaynak 1998" if domain == "handwritten" else "rendered from matplotlib's fonts"
    return ImageSplits(f"digits {domain}", *(everything.subset(part) for part in parts), licence, f"Digits: {source}")


def to_tensor(image: Image.Image) -> torch.Tensor:
    """Return an image of a digit as float32 (1, 8, 8), from -1 to 1."""
    return torch.from_numpy(np.asarray(image, dtype=np.float32))[None] / 127.5 - 1


def _handwritten() -> tuple[np.ndarray, np.ndarray]:
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 255 / 16).round().astype(np.uint8), found.target.astype(np.int64)


def _rendered() -> tuple[np.ndarray, np.ndarray]:
    folder: Path = font_path().parent
    fonts = [ImageFont.truetype(str(folder / f"{name}.ttf"), size=80) for name in FONTS]
    plain = np.stack([render(digit, font) for font in fonts for digit in CLASS_NAMES])
    images = distort(torch.from_numpy(plain).float() / 255, PER_FONT, HANDLIKE, generator(0, "digits"))
    shrunk = F.adaptive_avg_pool2d(_trimmed(images.float()), SIZE)  # (fonts * 10 * PER_FONT, 8, 8)
    brightest = shrunk.amax((1, 2), keepdim=True).clamp_min(1)
    labels = np.tile(np.repeat(np.arange(10), PER_FONT), len(FONTS))
    return (255 * shrunk / brightest).round().to(torch.uint8).numpy(), labels


def _trimmed(images: torch.Tensor) -> torch.Tensor:
    """Cut the dark margin off: handwritten digits fill their 8 x 8 pixels from top to bottom."""
    margin = images.shape[-1] // 7
    return images[:, margin:-margin, margin:-margin]
