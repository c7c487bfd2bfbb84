"""Labelled images and how they are drawn and split: properties that hold for any labels."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import tiny_images, tiny_splits

from transfer_utils import data
from transfer_utils.data.labelled import stratified_draw, three_way_split

quickly = settings(max_examples=60, deadline=None, derandomize=True)
labels = st.lists(st.integers(-3, 3), min_size=1, max_size=80).map(np.array)
seeds = st.integers(0, 2**31)

# ------------------------------------------------------------ stratified draw


@quickly
@given(labels, st.floats(0, 1), seeds)
def test_a_draw_has_the_size_asked_for_and_takes_nothing_twice(groups, share, seed):
    count = round(share * len(groups))
    drawn = stratified_draw(groups, count, seed)
    assert len(drawn) == count == len(set(drawn.tolist()))
    assert set(drawn.tolist()) <= set(range(len(groups)))


@quickly
@given(labels, st.floats(0, 1), seeds)
def test_a_draw_takes_every_group_where_it_can(groups, share, seed):
    count = round(share * len(groups))
    drawn = groups[stratified_draw(groups, count, seed)]
    assert len(np.unique(drawn)) >= min(count, len(np.unique(groups)))


@quickly
@given(st.lists(st.integers(10, 40), min_size=2, max_size=5), st.floats(0.1, 1), seeds)
def test_a_draw_is_proportional_to_within_one_image(sizes, share, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    count = round(share * len(groups))
    drawn = np.bincount(groups[stratified_draw(groups, count, seed)], minlength=len(sizes))
    assert np.all(np.abs(drawn - count * np.array(sizes) / len(groups)) < 1 + 1e-9)


@quickly
@given(labels, seeds)
def test_the_same_seed_draws_the_same(groups, seed):
    count = len(groups) // 2
    assert np.array_equal(stratified_draw(groups, count, seed), stratified_draw(groups, count, seed))


def test_another_seed_draws_otherwise_and_in_random_order():
    groups = np.repeat([0, 1], 50)
    first, second = stratified_draw(groups, 40, 0), stratified_draw(groups, 40, 1)
    assert set(first) != set(second)
    assert not np.array_equal(first, np.sort(first))


def test_labels_may_be_words():
    assert len(stratified_draw(np.array(["cat", "dog"] * 5), 4, 0)) == 4


@pytest.mark.parametrize("count", [-1, 11])
def test_more_than_there_is_cannot_be_drawn(count):
    with pytest.raises(ValueError, match=f"Cannot draw {count} of 10"):
        stratified_draw(np.zeros(10), count, 0)


# ------------------------------------------------------------- three-way split


@quickly
@given(labels, st.floats(0, 0.5), st.floats(0, 0.5), seeds)
def test_three_splits_are_disjoint_and_cover_everything(groups, test, validation, seed):
    parts = three_way_split(groups, test, min(validation, 0.49), seed)
    assert np.array_equal(np.sort(np.concatenate(parts)), np.arange(len(groups)))
    assert len(parts[2]) == round(test * len(groups))
    assert all(np.array_equal(part, np.sort(part)) for part in parts)


@quickly
@given(st.lists(st.integers(20, 60), min_size=2, max_size=4), seeds)
def test_three_splits_keep_the_proportions(sizes, seed):
    groups = np.repeat(np.arange(len(sizes)), sizes)
    shares = np.array(sizes) / len(groups)
    for part in three_way_split(groups, 0.25, 0.15, seed):
        assert np.all(np.abs(np.bincount(groups[part], minlength=len(sizes)) - shares * len(part)) < 2.5)


@quickly
@given(labels, seeds)
def test_the_same_seed_splits_the_same(groups, seed):
    once, again = (three_way_split(groups, 0.25, 0.15, seed) for _ in range(2))
    assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


# -------------------------------------------------------------- LabelledImages


def test_an_item_is_the_image_through_the_transform_and_its_label():
    images = tiny_images(4)
    image, label = images[3]
    assert isinstance(image, Image.Image)
    assert (image.size, label) == ((16, 16), 1)
    assert images.with_transform(lambda image: image.size)[2] == ((16, 16), 0)


def test_a_subset_keeps_its_order_and_what_belongs_to_each_image():
    images = data.LabelledImages(
        list("abcd"), torch.tensor([0, 1, 0, 1]), ("x", "y"), str, None, {"n": np.arange(4)}, ("A", "B", "C", "D")
    )
    chosen = images.subset([3, 0])
    assert [chosen[i] for i in range(2)] == [("d", 1), ("a", 0)]
    assert chosen.extra["n"].tolist() == [3, 0]
    assert chosen.identity == ("D", "A")


def test_a_sample_is_stratified_and_repeatable():
    images = tiny_images(40, classes=4)
    sample = images.sample(8, seed=3)
    assert sample.class_counts() == {f"class {k}": 2 for k in range(4)}
    assert sample.fingerprint() == images.sample(8, seed=3).fingerprint() != images.sample(8, seed=4).fingerprint()


@pytest.mark.parametrize("count", [1, 25])
def test_a_sample_smaller_than_the_classes_or_larger_than_the_data_is_refused(count):
    with pytest.raises(ValueError, match=f"Cannot draw {count} items: there are 24, in 2 classes"):
        tiny_images(24).sample(count, seed=0)


@pytest.mark.parametrize("bad", [-1, 2])
def test_a_label_outside_the_range_is_refused(bad):
    images = tiny_images(3)
    with pytest.raises(ValueError, match=r"Labels run from .*2 classes \(class 0, class 1\).*0 to 1"):
        data.LabelledImages(images.images, torch.tensor([0, 1, bad]), images.class_names, images.read)


def test_as_many_labels_as_images_must_come():
    with pytest.raises(ValueError, match="2 images came with 3 labels"):
        data.LabelledImages(["a", "b"], torch.tensor([0, 1, 0]), ("x", "y"), str)


def test_resizing_once_gives_what_resizing_each_time_gives():
    images = tiny_images(4)
    small = images.resized(8)
    assert np.array_equal(np.asarray(small[1][0]), np.asarray(images[1][0].resize((8, 8), Image.Resampling.BICUBIC)))


def changes_of_one_image(images):
    pixels = [p.copy() for p in images.images]
    pixels[5][0, 0, 0] ^= 1
    yield data.LabelledImages(pixels, images.labels, images.class_names, images.read)
    yield data.LabelledImages(images.images, images.labels.flip(0), images.class_names, images.read)
    yield images.subset(range(23))
    yield images.subset([2, 1, 0, *range(3, 24)])


def test_the_fingerprint_changes_with_any_pixel_label_and_order():
    images = tiny_images(24)
    prints = {images.fingerprint(), *(other.fingerprint() for other in changes_of_one_image(images))}
    assert len(prints) == 5
    assert images.fingerprint() == tiny_images(24).fingerprint()


def test_the_fingerprint_tells_shapes_and_names_apart():
    def of(images):
        return data.LabelledImages(images, torch.zeros(len(images), dtype=torch.long), ("x", "y"), str).fingerprint()

    assert of([np.zeros((2, 8), np.uint8)]) != of([np.zeros((4, 4), np.uint8)])
    assert of(["ab", "c"]) != of(["a", "bc"])


# ------------------------------------------------------------------ ImageSplits


def test_only_the_training_split_is_augmented():
    splits = tiny_splits().with_transform(lambda image: "plain", lambda image: "augmented")
    assert [split[0][0] for split in (splits.train, splits.validation, splits.test)] == ["augmented", "plain", "plain"]


def test_splits_are_limited_only_where_they_are_larger():
    limited = tiny_splits(24).limited(10, None, 100)
    assert [len(split) for split in (limited.train, limited.validation, limited.test)] == [10, 24, 24]
    assert limited.class_names == ("class 0", "class 1")


def test_images_and_splits_are_compared_as_objects():
    assert tiny_images(4) not in [tiny_images(4)]
    assert tiny_splits(4) != tiny_splits(4)


def test_splits_are_resized_together():
    small = tiny_splits(4).resized(8)
    assert {split[0][0].size for split in (small.train, small.validation, small.test)} == {(8, 8)}


def test_an_unknown_data_set_is_refused():
    with pytest.raises(ValueError, match="no data set 'cifar'.*elpv, hymenoptera.*image_folder"):
        data.load("cifar")
