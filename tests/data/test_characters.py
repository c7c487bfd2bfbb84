"""Characters: rendered ones and Omniglot's layout. Alphabets are held out, images come out the same each time."""

import zipfile
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from transfer_utils import data
from transfer_utils.data import characters, omniglot, rendering
from transfer_utils.runtime import sources
from transfer_utils.runtime.files import download_folder, sha256


def test_whole_alphabets_are_held_out():
    kept = characters.plain_characters()
    by_split = {split: {entry[1] for entry in kept if entry[0] == split} for split in characters.ALPHABETS}
    assert by_split["test"] == {"Armenian", "Georgian", "Hebrew", "N'Ko", "Lao"}
    assert not by_split["train"] & by_split["test"]
    assert not by_split["train"] & by_split["validation"]
    counts = {split: sum(entry[0] == split for entry in kept) for split in by_split}
    assert counts["train"] > 400
    assert counts["test"] > 150
    assert counts["validation"] > 50
    assert len({entry[2] for entry in kept}) == len(kept)


def test_no_two_characters_look_alike():
    shapes = np.stack([characters._standardised(pixels) for *_, pixels in characters.plain_characters()])
    alike = shapes @ shapes.T - np.eye(len(shapes))
    assert alike.max() <= characters.LARGEST_CORRELATION + 1e-4


def test_twins_of_other_alphabets_are_left_out():
    kept = {character for _, _, character, _ in characters.plain_characters()}
    twins = {"\N{LATIN CAPITAL LETTER A}", "\N{CYRILLIC CAPITAL LETTER A}", "\N{GREEK CAPITAL LETTER ALPHA}"}
    assert len(kept & twins) <= 1


def test_the_interface_is_that_of_other_images():
    chars, limit = data.load("characters", classes=24), 24
    for split in (chars.train, chars.validation, chars.test):
        assert len(split.class_names) == limit
        assert len(split) == 20 * limit
        image, label = split[25]
        assert (image.size, image.mode, label) == ((28, 28), "L", 1)
        alphabet, _, character = split.class_names[1].rpartition(" ")
        assert split.extra["alphabet"][25] == alphabet
        assert len(character) == 1
    assert chars.class_names == chars.train.class_names
    assert "DejaVu" in chars.attribution
    assert "licences" in chars.licence


def test_the_same_seed_gives_the_same_images():
    first, again = (characters.load(images_per_class=2, seed=3, classes=24).test for _ in range(2))
    assert first.fingerprint() == again.fingerprint()
    assert first.fingerprint() != characters.load(images_per_class=2, seed=4, classes=24).test.fingerprint()
    assert not np.array_equal(first.images[0], first.images[1])


def test_a_weaker_distortion_leaves_characters_closer_to_themselves():
    def spread(distortion):
        images = np.stack(characters.load(distortion, images_per_class=6, classes=24).test.images).astype(float)
        return images.reshape(-1, 6, 28 * 28).std(1).mean()

    weak = rendering.Distortion(4.0, 0.95, 1.05, 0.04, 0.03, 0.02, stroke=False, noise=0.05)
    assert spread(weak) < 0.7 * spread(rendering.HARD)


def test_in_memory_gives_the_same_items():
    images = data.load("characters", classes=24).test.with_transform(
        lambda image: torch.from_numpy(np.array(image))[None]
    )
    stacked = images.in_memory()
    assert stacked.tensors[0].shape == (len(images), 1, 28, 28)
    assert torch.equal(stacked[7][0], images[7][0])
    assert torch.equal(stacked.tensors[1], images.labels)


# ------------------------------------------------------------------- Omniglot


@pytest.fixture
def drawings(monkeypatch):
    """Archives with the layout of Omniglot's, in the download folder, as if put there by hand."""
    everything = dict(sources.sources())
    for part, alphabets in (("background", 8), ("evaluation", 2)):
        archive = download_folder() / f"images_{part}.zip"
        with zipfile.ZipFile(archive, "w") as opened:
            for alphabet in range(alphabets):
                for character in range(1, 4):
                    for person in range(1, 5):
                        image = Image.new("1", (105, 105), 1)
                        image.paste(0, (10 * character, 5 * person, 10 * character + 12, 90))
                        path = f"images_{part}/Alphabet_{alphabet}_of_{part}/character0{character}/0{person}.png"
                        with opened.open(path, "w") as file:
                            image.save(file, "PNG")
        name = f"omniglot_{part}"
        everything[name] = replace(everything[name], sha256=sha256(archive))
    monkeypatch.setattr(sources, "sources", lambda: everything)


def test_omniglot_is_read_by_alphabet(drawings):
    splits = data.load("omniglot")
    assert [len(part.class_names) for part in (splits.train, splits.validation, splits.test)] == [9, 15, 6]
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [36, 60, 24]
    assert splits.test.class_names[0] == "Alphabet 0 of evaluation 01"
    assert set(splits.test.extra["alphabet"]) == {"Alphabet 0 of evaluation", "Alphabet 1 of evaluation"}
    image, label = splits.test[4]
    assert (image.size, image.mode, label) == ((28, 28), "L", 1)
    assert np.asarray(image).max() == 255  # ink is bright
    assert np.asarray(image)[:, -1].max() == 0
    few = data.load("omniglot", classes=4)
    assert [len(part.class_names) for part in (few.train, few.validation, few.test)] == [4, 4, 4]


def test_omniglot_without_a_network_says_what_to_do():
    with pytest.raises(sources.SourceMissing, match="images_background.zip"):
        omniglot.load()
