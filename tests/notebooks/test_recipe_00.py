"""Recipe 00, is transfer worth it: run as a user runs it on a folder that the test makes, with the network refused."""

import importlib.util
import re
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from offline import guarded
from PIL import Image

from transfer_utils import data, extract_features, load_backbone
from transfer_utils.data.folder import read_rgb
from transfer_utils.runtime.files import checkout

RECIPE = checkout() / "notebooks" / "recipes" / "00_start_here.py"
ROW = re.compile(r"^ *(\d+)  (.*)$", re.M)
CELL = re.compile(r"([+-]?\d\.\d+) \[([+-]?\d\.\d+), ([+-]?\d\.\d+)\]")
WAYS = ["majority class", "nearest neighbour", "frozen features", "frozen - nearest neighbour"]


def texture(kind, random, side=48):
    """Return waves across the image, or waves both ways, in any direction and size, under noise."""
    y, x = np.mgrid[:side, :side]
    angle, speed = random.uniform(0, np.pi), random.uniform(0.3, 0.8)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.sin(speed * along) * (np.sin(speed * across) if kind == "checks" else 1)
    return Image.fromarray((127 + 60 * wave + random.normal(0, 25, wave.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Return a folder of 50 checks and 40 stripes, which pixels do not tell apart."""
    root, random = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for kind, count in {"checks": 50, "stripes": 40}.items():
        (root / kind).mkdir()
        for number in range(count):
            texture(kind, random).save(root / kind / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def printed(textures, tmp_path_factory):
    """Return what the recipe prints on the textures."""
    folder = tmp_path_factory.mktemp("recipe")
    environment = guarded(folder, paths=())
    command = [sys.executable, str(RECIPE), str(textures), "--size", "64", "--labels", "4", "20", "500", "--draws", "3"]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.fixture(scope="module")
def rows(printed):
    """Return {number of labels: {way: (mean, low, high)}}."""
    found = {
        int(count): [tuple(map(float, cell)) for cell in CELL.findall(rest)] for count, rest in ROW.findall(printed)
    }
    return {count: dict(zip(WAYS, cells, strict=True)) for count, cells in found.items()}


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_00", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_a_row_for_each_number_of_labels_that_there_are(printed, rows):
    assert "accuracy on 23 test images" in printed
    assert list(rows) == [20, 67]  # 4 are too few for two classes, 500 are not there, 67 are all
    assert all(way in printed for way in WAYS)


def test_every_number_lies_in_its_interval_and_the_difference_is_one(rows):
    for row in rows.values():
        assert all(low <= mean <= high for mean, low, high in row.values())
        gap = row["frozen features"][0] - row["nearest neighbour"][0]
        assert row["frozen - nearest neighbour"][0] == pytest.approx(gap, abs=0.0011)
        assert row["majority class"][0] == pytest.approx(13 / 23, abs=0.0006)


def test_frozen_features_tell_textures_apart_and_pixels_do_not(rows):
    assert rows[67]["frozen - nearest neighbour"][1] > 0
    assert rows[67]["frozen features"][0] > rows[67]["majority class"][0]


def test_its_features_are_those_of_the_helper_package(textures, script):
    paths = sorted(textures.rglob("*.png"))[:6]
    images = data.LabelledImages(paths, torch.zeros(6, dtype=torch.int64), ("checks", "stripes"), read_rgb)
    model = load_backbone("efficientnet_lite0")
    helper = extract_features(model, images.with_transform(model.card.preprocess(64)), cache=False, progress=False)
    features, pixels = script.describe(paths, 64)
    assert np.allclose(features, helper.values.numpy(), atol=1e-4)
    assert pixels.shape == (6, 1024)


def test_a_difference_is_paired(script):
    hits = np.array([1.0] * 40 + [0.0] * 40)
    assert script.interval(hits - hits, np.random.default_rng(0)) == (0, 0, 0)
    mean, low, high = script.interval(hits, np.random.default_rng(0))
    assert mean == 0.5
    assert high - low == pytest.approx(2 * 1.96 * 0.5 / 80**0.5, rel=0.15)


@pytest.mark.parametrize(
    ("counts", "said"),
    [({"one": 12}, "two classes or more"), ({"one": 12, "two": 3}, "12 images each; ['one', 'two'] have [12, 3]")],
)
def test_what_is_wrong_is_said_in_one_line(counts, said, tmp_path, monkeypatch):
    for name, count in counts.items():
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.effect_noise((20, 20), 40).save(tmp_path / name / f"{number}.png")
    monkeypatch.setattr(sys, "argv", [RECIPE.name, str(tmp_path)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(RECIPE), run_name="__main__")
    assert said in ended.value.code
    assert "\n" not in ended.value.code


def test_a_folder_that_is_not_there_is_said_so(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "argv", [RECIPE.name, str(tmp_path / "nowhere")])
    with pytest.raises(SystemExit, match="Not found: .*nowhere"):
        runpy.run_path(str(RECIPE), run_name="__main__")
