"""The recipe of lesson 13: a folder with labels, one without, and a small student."""

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
from transfer_utils.techniques.distillation import distillation_loss

RECIPE = checkout() / "notebooks" / "recipes" / "13_distillation.py"


def stripes(across, random, side=32):
    """Return stripes across or along the image."""
    wave = np.sin(random.uniform(0.6, 0.9) * np.arange(side) + random.uniform(0, 6))
    picture = np.tile(wave, (side, 1)) if across else np.tile(wave[:, None], (1, side))
    values = 120 + 50 * picture + random.normal(0, 12, picture.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def printed(tmp_path_factory):
    """Return what the recipe prints for stripes, offline, and the file that it writes."""
    root, random = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    (root / "bare").mkdir()
    for kind in ("across", "along"):
        (root / "labelled" / kind).mkdir(parents=True)
        for number in range(24):
            image = stripes(kind == "across", random)
            image.save(root / ("labelled/" + kind if number < 16 else "bare") / f"{kind}{number:02}.png")
    environment, out = guarded(root, paths=()), root / "student.pt"
    arguments = [root / "labelled", root / "bare", "--size", 32, "--side", 32, "--steps", 40, "--out", out]
    command = [sys.executable, RECIPE, *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    return ended.stdout, out


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_13", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_prints_intervals_for_teacher_and_students_on_photographs_held_out(printed):
    rows = re.findall(r"^(.*): accuracy (\S+) \[(\S+), (\S+)\] of (\d+)$", printed[0], re.M)
    assert [row[0] for row in rows] == ["teacher", "student, soft targets", "labels"]
    assert all(float(low) <= float(mean) <= float(high) and count == "8" for _, mean, low, high, count in rows)
    assert float(rows[1][1]) >= 0.75  # stripes are easy
    assert float(re.search(r"agrees with its teacher on (\S+) of", printed[0])[1]) > 0.8


def test_the_weights_of_the_student_are_small_and_can_be_read_without_pickle(printed):
    weights = torch.load(printed[1], weights_only=True)
    assert 90_000 < sum(tensor.numel() for tensor in weights.values()) < 110_000


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_its_loss_is_that_of_the_helper_package(script, temperature):
    student, teacher = torch.randn(2, 6, 3)
    ours = script.kd_loss(student, teacher, temperature)
    torch.testing.assert_close(ours, distillation_loss(student, teacher, temperature))
