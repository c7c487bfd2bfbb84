"""A folder of one's own images: both layouts, every kind of file, and what is wrong said by name."""

import shutil
import warnings

import numpy as np
import pytest
import torch
from PIL import Image

from transfer_utils import data
from transfer_utils.data.folder import UnreadableImage, read_rgb


def sizes(splits):
    return [len(split) for split in (splits.train, splits.validation, splits.test)]


def names(split):
    return sorted(f"{path.parent.name}/{path.name}" for path in split.images)


# ----------------------------------------------------------------------- layouts


def test_a_folder_a_class_is_split_here_by_class(image_tree):
    splits = data.image_folder(image_tree({"cat": 20, "dog": 40}))
    assert sizes(splits) == [36, 9, 15]
    assert splits.class_names == ("cat", "dog")
    assert splits.test.class_counts() == {"cat": 5, "dog": 10}
    assert len({path for split in (splits.train, splits.validation, splits.test) for path in split.images}) == 60


def test_the_seed_decides_the_split(image_tree):
    root = image_tree({"cat": 20, "dog": 20})
    assert names(data.image_folder(root).test) == names(data.image_folder(root).test)
    assert names(data.image_folder(root).test) != names(data.image_folder(root, seed=1).test)


def test_the_shares_may_be_chosen(image_tree):
    assert sizes(data.image_folder(image_tree({"a": 20, "b": 20}), validation_share=0.25, test_share=0.5)) == [
        10,
        10,
        20,
    ]


@pytest.mark.parametrize("validation", ["val", "valid", "validation", "Val"])
def test_splits_that_are_laid_out_are_taken_as_they_are(image_tree, validation):
    root = image_tree({f"train/{c}": 4 for c in "ab"} | {f"{validation}/{c}": 2 for c in "ab"})
    splits = data.image_folder(image_tree({f"test/{c}": 3 for c in "ab"}, root))
    assert sizes(splits) == [8, 4, 6]
    assert names(splits.validation) == ["a/0.png", "a/1.png", "b/0.png", "b/1.png"]


@pytest.mark.parametrize("held_out", ["val", "test"])
def test_with_one_held_out_folder_it_is_tested_on_and_validation_is_drawn_from_train(image_tree, held_out):
    splits = data.image_folder(image_tree({f"train/{c}": 20 for c in "ab"} | {f"{held_out}/{c}": 5 for c in "ab"}))
    assert sizes(splits) == [34, 6, 10]
    assert all(path.parents[1].name == held_out for path in splits.test.images)
    assert all(path.parents[1].name == "train" for path in [*splits.train.images, *splits.validation.images])
    assert not set(splits.train.images) & set(splits.validation.images)
    assert splits.validation.class_counts() == {"a": 3, "b": 3}


def test_images_in_sub_folders_belong_to_their_class(image_tree):
    root = image_tree({"cat/indoors": 6, "cat/outdoors": 6, "dog": 12})
    assert sum(sizes(data.image_folder(root))) == 24


def test_hidden_files_and_other_files_are_ignored(image_tree):
    root = image_tree({"cat": 12, "dog": 12, ".git": 2, "__pycache__": 1})
    shutil.copy(root / "cat/0.png", root / "cat/._0.png")
    (root / "cat/notes.txt").write_text("not an image")
    (root / "readme.md").write_text("not a class")
    splits = data.image_folder(root)
    assert (sum(sizes(splits)), splits.class_names) == (24, ("cat", "dog"))


def test_names_may_have_spaces_and_any_letters(image_tree):
    root = image_tree({"große Katze": 12, "собака 犬": 12})
    (root / "große Katze/0.png").rename(root / "große Katze/mein Bild #1 %.JPG")
    splits = data.image_folder(root)
    assert splits.class_names == ("große Katze", "собака 犬")
    assert sum(sizes(splits)) == 24
    assert isinstance(splits.train[0][0], Image.Image)


def test_the_fingerprint_changes_when_a_file_does(image_tree):
    root = image_tree({"a": 12, "b": 12})
    before = data.image_folder(root).train.fingerprint()
    changed = data.image_folder(root).train.images[0]
    Image.new("RGB", (40, 40), "red").save(changed)
    assert data.image_folder(root).train.fingerprint() != before


# ------------------------------------------------------------------ what is wrong


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ({"cat": 9}, r"photos has 1 class folder\(s\); a classifier needs two or more"),
        ({"cat": 9, "dog": 0}, "class folder .*photos/dog holds no images.*remove the folder"),
        ({"cat": 9, "dog": 1}, "no image of dog is left for the train split"),
        ({"cat": 2, "dog": 9}, "no image of cat is left"),
        ({"train/a": 4, "train/b": 4}, "neither val nor test"),
        ({"train/a": 4, "train/b": 4, "val/a": 2, "val/c": 2}, r"train: a, b; validation: a, c.*must be the same"),
        ({"train/a": 4, "train/b": 4, "val/a": 2}, r"photos/val has 1 class folder\(s\)"),
        ({f"class{k}": 3 for k in range(12)}, "is left for the .* split"),
    ],
)
def test_a_folder_that_cannot_be_learned_from_is_refused_by_name(image_tree, counts, message):
    with pytest.raises(ValueError, match=message):
        data.image_folder(image_tree(counts))


def test_a_folder_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere is not a folder.*one sub-folder a class"):
        data.image_folder(tmp_path / "nowhere")


def test_a_label_folder_with_splits_but_no_train_is_not_mistaken_for_classes(image_tree):
    with pytest.raises(ValueError, match="no train folder"):
        data.image_folder(image_tree({f"{split}/{c}": 12 for split in ("val", "test") for c in "ab"}))


def truncate(path):
    path.write_bytes(path.read_bytes()[:-300])


BREAK = {
    "text": lambda path: path.write_text("not an image"),
    "empty": lambda path: path.write_bytes(b""),
    "truncated": truncate,
}


@pytest.mark.parametrize("how", BREAK)
@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_a_broken_image_is_found_before_training_by_name(image_tree, how, suffix):
    root = image_tree({"cat": 12, "dog": 12})
    noise = np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8)
    broken = root / f"cat/broken{suffix}"
    Image.fromarray(noise).save(broken)
    BREAK[how](broken)
    with pytest.raises(UnreadableImage, match=f"{broken} cannot be read as an image.*Delete it or replace it"):
        data.image_folder(root)
    assert sum(sizes(data.image_folder(root, check=False))) == 25


def test_links_that_lead_nowhere_are_counted_and_the_first_is_named(image_tree):
    root = image_tree({"cat": 12, "dog": 12})
    for number in (3, 7):
        (root / f"cat/gone {number}.png").symlink_to(root / "nowhere.png")
    (root / "dog/good.png").symlink_to(root / "dog/0.png")
    with pytest.warns(UserWarning, match="2 of the images are links that lead nowhere.*first .*cat/gone 3.png"):
        assert sum(sizes(data.image_folder(root))) == 25
    shutil.rmtree(root / "cat")
    (root / "cat").mkdir()
    (root / "cat/gone.png").symlink_to(root / "nowhere.png")
    with pytest.raises(ValueError, match="cat holds no images .*, only links that lead nowhere .1.. Put"):
        data.image_folder(root)


def test_of_several_broken_images_the_first_is_named_and_the_rest_counted(image_tree):
    root = image_tree({"cat": 12, "dog": 12})
    for number in (3, 5, 7):
        (root / f"dog/{number}.png").write_bytes(b"?")
    with pytest.raises(UnreadableImage, match="dog/.*cannot be read.* 2 more cannot be read either"):
        data.image_folder(root)


# --------------------------------------------------------------- every kind of file


def saved(path, image, **options):
    image.save(path, **options)
    return np.asarray(read_rgb(path))


def test_greyscale_becomes_three_equal_channels(tmp_path):
    pixels = saved(tmp_path / "a.png", Image.new("L", (4, 3), 77))
    assert (pixels.shape, set(pixels.ravel().tolist())) == ((3, 4, 3), {77})


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bits_are_scaled_to_eight_and_not_clipped_to_white(tmp_path, suffix):
    values = np.array([[0, 256, 20000, 65535]], np.uint16)
    pixels = saved(tmp_path / f"a.{suffix}", Image.fromarray(values))
    assert pixels[0, :, 0].tolist() == [0, 1, 78, 255]


def test_cmyk_is_converted(tmp_path):
    pixels = saved(tmp_path / "a.jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=95)
    red, green, blue = pixels.mean((0, 1))
    assert red > 200
    assert max(green, blue) < 60


def test_a_palette_is_looked_up(tmp_path):
    image = Image.new("RGB", (4, 4), (200, 30, 60)).convert("P", palette=Image.Palette.ADAPTIVE)
    assert saved(tmp_path / "a.gif", image)[0, 0].tolist() == [200, 30, 60]


@pytest.mark.parametrize(("mode", "colour"), [("RGBA", (255, 0, 0, 0)), ("LA", (0, 0))])
def test_what_is_transparent_becomes_white(tmp_path, mode, colour):
    assert saved(tmp_path / "a.png", Image.new(mode, (2, 2), colour))[0, 0].tolist() == [255, 255, 255]


def test_a_transparent_palette_becomes_white(tmp_path):
    image = Image.new("P", (2, 2), 0)
    image.putpalette([0, 0, 0, 9, 9, 9])
    assert saved(tmp_path / "a.png", image, transparency=0)[0, 0].tolist() == [255, 255, 255]


def test_one_bit_becomes_black_and_white(tmp_path):
    assert set(saved(tmp_path / "a.png", Image.new("1", (2, 2), 1)).ravel().tolist()) == {255}


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    pixels = np.zeros((8, 16, 3), np.uint8)
    pixels[:, :8] = 255  # left half white
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: rotate by 90 degrees clockwise to view
    upright = saved(tmp_path / "a.png", Image.fromarray(pixels), exif=exif)
    assert upright.shape == (16, 8, 3)
    assert upright[:7].min() > 250
    assert upright[9:].max() < 5


def test_what_was_converted_is_said(image_tree):
    root = image_tree({"cat": 12, "dog": 12})
    Image.new("L", (9, 9)).save(root / "cat/grey.png")
    Image.new("CMYK", (9, 9)).save(root / "dog/print.jpg")
    with pytest.warns(UserWarning, match="Converted to 8-bit RGB while reading: 1 of mode CMYK, 1 of mode L"):
        splits = data.image_folder(root)
    assert all(split[i][0].mode == "RGB" for split in (splits.train, splits.test) for i in range(len(split)))


def test_nothing_is_said_of_ordinary_photographs(image_tree):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        splits = data.image_folder(image_tree({"cat": 12, "dog": 12}))
    assert torch.bincount(splits.train.labels).tolist() == [7, 7]
