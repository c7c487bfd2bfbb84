"""The recipe of lesson 09: a folder with labels, one without, a test whether they differ, and training with MMD."""

import importlib.util
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from offline import guarded
from PIL import Image

from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.mmd import mmd

RECIPE = checkout() / "notebooks" / "recipes" / "09_mmd.py"


def stripes(across, light, random, side=32):
    """Return stripes across or along the image, in bright or dark light."""
    wave = np.sin(random.uniform(0.6, 0.9) * np.arange(side) + random.uniform(0, 6))
    picture = np.tile(wave, (side, 1)) if across else np.tile(wave[:, None], (1, side))
    return Image.fromarray((light + 50 * picture + random.normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder with labels, one in another light with labels, and the same photographs without."""
    root, random = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    (root / "bare").mkdir()
    for part, light in {"source": 150, "target": 60}.items():
        for kind in ("across", "along"):
            (root / part / kind).mkdir(parents=True)
            for number in range(12):
                image = stripes(kind == "across", light, random)
                image.save(root / part / kind / f"{number:02}.png")
                if part == "target":
                    image.save(root / "bare" / f"{kind}{number:02}.png")
    return root


@pytest.fixture(scope="module")
def printed(folders, tmp_path_factory):
    """Return what the recipe prints."""
    folder = tmp_path_factory.mktemp("recipe")
    arguments = [folders / "source", folders / "bare", "--size", 32, "--test", folders / "target"]
    environment, command = guarded(folder, paths=()), [sys.executable, RECIPE, *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    return ended.stdout


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_09", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_notices_the_shift_and_reports_both_ways_with_intervals(printed):
    assert float(re.search(r"p = (\S+):", printed)[1]) < 0.05
    found = re.findall(r"^(.*): accuracy (\S+) \[(\S+), (\S+)\] of 24 photos$", printed, re.M)
    assert [name for name, *_ in found] == ["source only", "MMD"]
    for _, *numbers in found:
        value, low, high = map(float, numbers)
        assert low <= value <= high
        assert value > 0.4
    assert len(re.findall(r"calls of the target \{'across': \d+, 'along': \d+\}", printed)) == 2


@pytest.mark.parametrize("unbiased", [False, True])
@pytest.mark.parametrize("width", [None, 20.0])
def test_its_mmd_is_that_of_the_helper(script, unbiased, width):
    random = torch.Generator().manual_seed(0)
    x, y = torch.randn(9, 5, generator=random), torch.randn(6, 5, generator=random) + 1
    torch.testing.assert_close(script.mmd(x, y, width, unbiased), mmd(x, y, width, unbiased=unbiased))


def test_two_halves_of_one_sample_are_not_called_different(script):
    torch.manual_seed(0)
    values = [script.p_value(*torch.randn(2, 10, 4), divisions=40) for _ in range(20)]
    assert sum(p <= 0.05 for p in values) <= 4


def test_folders_without_classes_are_refused_in_one_line(folders, script, tmp_path):
    (tmp_path / "one" / "class").mkdir(parents=True)
    Image.new("RGB", (8, 8)).save(tmp_path / "one" / "class" / "a.png")
    options = type("Options", (), {"source": tmp_path / "one", "target": folders / "bare"})
    with pytest.raises(SystemExit, match="two classes or more"):
        script.main(options)
