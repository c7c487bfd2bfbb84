"""Your own photographs: any folder with one sub-folder a class.

root/cat/1.jpg  root/dog/2.png                        split here, 60/15/25 by class
root/train/cat/1.jpg  root/val/...  root/test/...     taken as they are
root/train/cat/1.jpg  root/val/...                    "val" is tested on, and a
                                                      validation split is held out of "train"
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps

from ..runtime.progress import progress_bar
from .images import ImageSplits, LabelledImages
from .labelled import TEST_SHARE, VALIDATION_SHARE, stratified_draw, three_way_split

IMAGE_SUFFIXES = {".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"}
SPLIT_NAMES = {"train": "train", "val": "validation", "validation": "validation", "valid": "validation", "test": "test"}


class UnreadableImage(ValueError):
    """A file that should be an image is not, or is cut short."""


def image_folder(
    root: str | Path,
    *,
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    seed: int = 0,
    check: bool = True,
) -> ImageSplits:
    """Load a folder of images as train, validation and test splits.

    Args:
        root: laid out as ``root/class/file`` or ``root/{train,val,test}/class/file``.
        validation_share, test_share: shares of all images, where no split is laid out.
        seed: decides which images go where; the same seed, the same split.
        check: open every image once now, so that a broken one is found before training.

    Raises:
        FileNotFoundError: ``root`` is not a folder.
        ValueError: fewer than two classes, a class without images or with too few to
            split, or splits whose classes differ.
        UnreadableImage: a file cannot be decoded. Names the first and counts the rest.

    Links that lead nowhere are left out; a warning counts them and names the first.
    """
    root = Path(root)
    if not root.is_dir():
        raise FileNotFoundError(f"{root} is not a folder. Give the folder that holds one sub-folder a class.")
    laid_out = _laid_out_splits(root)
    if "train" in laid_out:
        parts = {name: _read_classes(folder) for name, folder in laid_out.items()}
        splits = _complete(parts, validation_share, seed)
    else:
        everything = _read_classes(root)
        indices = three_way_split(everything.labels.numpy(), test_share, validation_share, seed)
        splits = tuple(everything.subset(part) for part in indices)
    for name, split in zip(("train", "validation", "test"), splits, strict=True):
        _require_every_class(split, name, root)
    if check:
        check_images(path for split in splits for path in split.images)
    return ImageSplits(root.name, *splits, licence="your own", attribution="")


def _laid_out_splits(root: Path) -> dict[str, Path]:
    """Return the folders of ``root`` that are splits by their name, e.g. ``{"train": root / "train"}``."""
    folders = _sub_folders(root)
    found = {SPLIT_NAMES[p.name.lower()]: p for p in folders if p.name.lower() in SPLIT_NAMES}
    if found and "train" not in found and len(found) == len(folders):
        raise ValueError(f"{root} holds {', '.join(p.name for p in folders)}, but no train folder. Add one.")
    return found


def _sub_folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith((".", "__")))


def _read_classes(folder: Path) -> LabelledImages:
    """List the images below ``folder/class/``, in order of class and name."""
    classes = _sub_folders(folder)
    if len(classes) < 2:
        raise ValueError(
            f"{folder} has {len(classes)} class folder(s); a classifier needs two or more. "
            "Lay the images out as root/class/file, for example photos/cat/1.jpg."
        )
    paths, labels, dangling = [], [], []
    for label, class_folder in enumerate(classes):
        listed = sorted(
            p for p in class_folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and not p.name.startswith(".")
        )
        found = [p for p in listed if p.is_file()]
        nowhere = [p for p in listed if p.is_symlink() and not p.exists()]
        if not found:
            links = f", only links that lead nowhere ({len(nowhere)})" if nowhere else ""
            raise ValueError(
                f"The class folder {class_folder} holds no images ({', '.join(sorted(IMAGE_SUFFIXES))}){links}. "
                "Put images there, or remove the folder."
            )
        dangling += nowhere
        paths += found
        labels += [label] * len(found)
    if dangling:
        warnings.warn(
            f"{len(dangling)} of the images are links that lead nowhere and are left out, the first {dangling[0]}. "
            "Copy the images there, or delete the links.",
            stacklevel=3,
        )
    identity = tuple(f"{p.relative_to(folder)} {p.stat().st_size} {p.stat().st_mtime_ns}" for p in paths)
    names = tuple(p.name for p in classes)
    return LabelledImages(paths, torch.tensor(labels), names, read_rgb, identity=identity)


def _complete(parts: dict[str, LabelledImages], validation_share: float, seed: int) -> tuple[LabelledImages, ...]:
    """Return train, validation, test from the splits that are laid out."""
    if len({part.class_names for part in parts.values()}) > 1:
        listed = "; ".join(f"{name}: {', '.join(part.class_names)}" for name, part in parts.items())
        raise ValueError(f"The splits have different class folders ({listed}). They must be the same.")
    if len(parts) == 1:
        raise ValueError("There is a train folder, but neither val nor test. Add one, or use root/class/file.")
    if len(parts) == 3:
        return parts["train"], parts["validation"], parts["test"]
    # What is reported must not be what was chosen on: the one held-out folder becomes the test
    # split, and a validation split is drawn from train.
    train, test = parts["train"], parts.get("test") or parts["validation"]
    count = max(round(validation_share * len(train)), len(train.class_names))
    chosen = stratified_draw(train.labels.numpy(), min(count, len(train)), seed)
    return train.subset(np.setdiff1d(np.arange(len(train)), chosen)), train.subset(np.sort(chosen)), test


def _require_every_class(split: LabelledImages, name: str, root: Path) -> None:
    missing = [class_name for class_name, count in split.class_counts().items() if count == 0]
    if missing:
        raise ValueError(
            f"{root}: after splitting, no image of {', '.join(missing)} is left for the {name} split. "
            "Add images of it (about ten at least), or lay out train, val and test folders yourself."
        )


def read_rgb(path: str | Path) -> Image.Image:
    """Open an image as 8-bit RGB: upright, greyscale and CMYK converted, 16 bits scaled to 8, no alpha.

    Raises:
        UnreadableImage: the file is not an image, or is cut short.
    """
    try:
        with Image.open(path) as opened:
            image = ImageOps.exif_transpose(opened)
            if image.mode.startswith("I"):  # PIL would clip 16 bits at 255 and show white
                return Image.fromarray((np.asarray(image).astype(np.uint32) // 256).astype(np.uint8)).convert("RGB")
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                image = image.convert("RGBA")
                image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
            return image.convert("RGB")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableImage(
            f"{path} cannot be read as an image ({error}). Delete it or replace it with a good copy."
        ) from error


def check_images(paths: Iterable[Path]) -> None:
    """Decode every image once; warn about converted ones, raise on broken ones."""
    modes: Counter[str] = Counter()
    broken: list[UnreadableImage] = []
    for path in progress_bar(list(paths), "checking images"):
        try:
            read_rgb(path)
            with Image.open(path) as image:
                modes[image.mode] += 1
        except UnreadableImage as error:
            broken.append(error)
    if broken:
        more = f" {len(broken) - 1} more cannot be read either." if len(broken) > 1 else ""
        raise UnreadableImage(f"{broken[0]}{more}")
    converted = ", ".join(f"{count} of mode {mode}" for mode, count in sorted(modes.items()) if mode != "RGB")
    if converted:
        warnings.warn(f"Converted to 8-bit RGB while reading: {converted}.", stacklevel=3)
