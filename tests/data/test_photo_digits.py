"""Digits on photographs: the recipe of MNIST-M, two domains, and backgrounds that training has not seen."""

import numpy as np
import pytest
import torch

from transfer_utils import data
from transfer_utils.data import photo_digits
from transfer_utils.data.rendering import SIZE
from transfer_utils.runtime.seeding import generator

COUNTS = (2040, 510, 850)


@pytest.fixture(scope="module")
def domains():
    return {domain: photo_digits.load(domain) for domain in ("plain", "photograph")}


def parts(splits):
    return splits.train, splits.validation, splits.test


@pytest.mark.parametrize("domain", ["plain", "photograph"])
def test_counts_classes_and_shapes(domains, domain):
    splits = domains[domain]
    assert tuple(map(len, parts(splits))) == COUNTS
    assert splits.class_names == tuple("0123456789")
    for part in parts(splits):
        assert set(part.class_counts().values()) == {len(part) // 10}
        image, _ = part[0]
        assert (image.size, image.mode) == ((28, 28), "RGB")
    tensor = photo_digits.to_tensor(image)
    assert (tensor.shape, tensor.dtype) == ((3, 28, 28), torch.float32)
    assert -1 <= tensor.min() < tensor.max() <= 1
    assert "photographs" in splits.attribution


@pytest.fixture(scope="module")
def few():
    """Return a loader with few images of each digit."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(photo_digits, "PER_FONT", 4)
        yield photo_digits.load


@pytest.mark.parametrize("domain", ["plain", "photograph"])
def test_the_seed_decides_every_pixel(few, domain):
    first, again, other = (few(domain, seed=seed).test.fingerprint() for seed in (1, 1, 2))
    assert first == again
    assert first != other


def windows(columns):
    """Return the first red row of every patch in these columns of the photographs, as bytes, with its place."""
    found = {}
    for number, photograph in enumerate(photo_digits.photographs()):
        for row in range(photograph.shape[0] - SIZE):
            for column in columns:
                found.setdefault(photograph[row, column : column + SIZE].tobytes(), []).append((number, row, column))
    return found


def test_pixels_are_the_difference_of_patch_and_digit_and_test_patches_are_new(few, monkeypatch):
    """Where a digit has no ink the photograph shows: its first rows tell where the patch comes from."""
    drawn = []
    patches = photo_digits._patches

    def watched(count, seen, random):
        drawn.append((seen, patches(count, seen, random)))
        return drawn[-1][1]

    monkeypatch.setattr(photo_digits, "_patches", watched)
    splits = few("photograph", seed=5)
    digits, labels = photo_digits._rendered(generator(5, "photo digits", "photograph"))
    border = round(photo_digits.TRAINED_SHARE * 640)
    columns = {True: range(border - SIZE), False: range(border, 640 - SIZE)}
    indices = photo_digits.three_way_split(labels)
    for (seen, backgrounds), part, chosen in zip(drawn, parts(splits), indices, strict=True):
        assert seen == (part is splits.train)
        places = windows(columns[seen])
        assert len(backgrounds) == len(part)
        for patch, image, index in zip(backgrounds, part.images, chosen, strict=True):
            assert np.array_equal(image, np.abs(patch - digits[index][..., None].astype(int)))
            assert patch[0].astype(np.uint8).tobytes() in places
        assert torch.equal(part.labels, torch.from_numpy(labels[chosen]))


def test_grey_and_plain_digits_have_three_equal_channels(few):
    grey, colour = few("photograph", colour=False), few("photograph")
    for image in [*grey.test.images[:50], *few("plain").test.images[:50]]:
        assert np.array_equal(image[..., 0], image[..., 1])
        assert np.array_equal(image[..., 0], image[..., 2])
    mean = colour.test.images[3].mean(axis=-1)
    assert np.abs(grey.test.images[3][..., 0] - mean).max() < 1
    assert np.ptp(colour.test.images[3].astype(int), axis=-1).max() > 0


def test_no_digit_is_in_two_domains_nor_in_two_splits(domains):
    digits = [photo_digits._rendered(generator(0, "photo digits", d))[0] for d in ("plain", "photograph")]
    plain, others = ({image.tobytes() for image in one} for one in digits)
    assert not plain & others
    images = [{image.tobytes() for image in part.images} for part in parts(domains["plain"])]
    assert not images[0] & images[1]
    assert not images[0] & images[2]
    assert not images[1] & images[2]


def test_it_is_loaded_by_name_with_limits():
    splits = data.load("photo_digits", items=(40, 20, 30), domain="photograph")
    assert tuple(map(len, parts(splits))) == (40, 20, 30)
    assert splits.name == "digits, photograph"


def test_another_domain_is_refused():
    with pytest.raises(ValueError, match="'plain' and 'photograph', not 'handwritten'"):
        photo_digits.load("handwritten")
