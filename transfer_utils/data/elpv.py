"""ELPV: electroluminescence photographs of solar cells, functional or defective.

2,624 greyscale photographs of 300 x 300 pixels, cut from pictures of 44 solar
modules. Experts gave each cell a probability of being defective: 0, 1/3, 2/3 or 1.
The course calls a cell defective when it is above 1/2. Cells are monocrystalline or
polycrystalline, which makes two domains that look different.

Sources: Buerhop-Lutz et al. 2018, "A Benchmark for Visual Identification of
Defective Solar Cells in Electroluminescence Imagery"; Deitsch et al. 2019,
"Automatic classification of defective photovoltaic module cells in
electroluminescence images", Solar Energy 185; Deitsch et al. 2021, "Segmentation of
photovoltaic module cells in uncalibrated electroluminescence images". CC BY-NC-SA 4.0.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from ..runtime.sources import package_files, sources
from .folder import read_rgb
from .images import ImageSplits, LabelledImages
from .labelled import three_way_split

CLASS_NAMES = ("functional", "defective")
BLOCK_LENGTH = 72  # cells in a row that go to the same split; a module has 60 or 72 of them


def load(
    domain: Literal["mono", "poly"] | None = None,
    split: Literal["random", "blocks"] = "random",
) -> ImageSplits:
    """Load the solar cells in the split that all lessons share: 60 % train, 15 % validation, 25 % test.

    Args:
        domain: only monocrystalline or only polycrystalline cells; ``None`` for both.
            The split is made before, so a cell is in the same split either way.
        split: ``"random"`` is stratified by grade and type. ``"blocks"`` keeps
            neighbouring cells, which come from the same module, in one split.

    Returns:
        Splits whose ``extra`` holds ``grade`` (the experts' probability) and
        ``module_type`` (``"mono"`` or ``"poly"``).

    Raises:
        ValueError: ``domain`` or ``split`` is none of the above.
        SourceMissing, WrongHash: see :func:`transfer_utils.runtime.sources.package_files`.
    """
    if domain not in (None, "mono", "poly"):
        raise ValueError(f"ELPV has the domains 'mono' and 'poly', not {domain!r}. None gives both.")
    if split not in ("random", "blocks"):
        raise ValueError(f"ELPV has the splits 'random' and 'blocks', not {split!r}.")
    source = sources()["elpv"]
    paths, grades, types = _labels()
    everything = LabelledImages(
        images=paths,
        labels=torch.from_numpy((grades > 0.5).astype(np.int64)),
        class_names=CLASS_NAMES,
        read=read_rgb,
        extra={"grade": grades, "module_type": types},
        identity=tuple(f"{source.sha256[:16]} {path.name}" for path in paths),
    )
    parts = _random_split(grades, types) if split == "random" else _block_split(len(grades))
    if domain:
        parts = [part[types[part] == domain] for part in parts]
    name = " ".join(["ELPV", *([domain] if domain else []), *(["blocks"] if split == "blocks" else [])])
    return ImageSplits(name, *(everything.subset(p) for p in parts), source.licence, source.attribution)


@cache
def _labels() -> tuple[list[Path], np.ndarray, np.ndarray]:
    """Return image paths, grades and types in the order of the labels file, read once a process."""
    root = package_files("elpv")[0].parent
    rows = [line.split() for line in (root / "labels.csv").read_text().splitlines() if line.strip()]
    paths = [root / name for name, _, _ in rows]
    return paths, np.array([float(grade) for _, grade, _ in rows]), np.array([kind for _, _, kind in rows])


def _random_split(grades: np.ndarray, types: np.ndarray) -> list[np.ndarray]:
    groups = np.char.add(np.char.mod("%.2f ", grades), types)
    return list(three_way_split(groups))


def _block_split(count: int) -> list[np.ndarray]:
    blocks = np.arange(count) // BLOCK_LENGTH
    parts = three_way_split(np.zeros(blocks[-1] + 1))
    return [np.flatnonzero(np.isin(blocks, part)) for part in parts]
