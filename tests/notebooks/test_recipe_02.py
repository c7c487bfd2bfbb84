"""Recipe 02, a fine-tuned network from a folder of images, run as a user runs it, with the network refused."""

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
from safetensors import safe_open

from transfer_utils import load_backbone
from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.upper_half import halves

RECIPE = checkout() / "notebooks" / "recipes" / "02_fine_tuning.py"


def run(*arguments, environment):
    command = [sys.executable, str(RECIPE), *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    return ended


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Return a folder of 30 horizontal and 24 vertical stripes under strong noise."""
    root, random = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for kind, count in {"across": 30, "down": 24}.items():
        (root / kind).mkdir()
        for number in range(count):
            wave = 60 * np.sin(random.uniform(0.5, 0.9) * np.arange(48) + random.uniform(0, 6))
            picture = 127 + (wave if kind == "across" else wave[:, None]) + random.normal(0, 40, (48, 48))
            Image.fromarray(picture.clip(0, 255).astype(np.uint8)).save(root / kind / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def trained(textures, tmp_path_factory):
    """Return what the recipe prints on the textures, and the model that it saves."""
    folder = tmp_path_factory.mktemp("recipe")
    model = folder / "textures.safetensors"
    ended = run(textures, "--size", 64, "--model", model, environment=guarded(folder, paths=()))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, model


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_02", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_and_reports_accuracy_and_recall_with_intervals(trained):
    rows = re.findall(r"^(.*): (\S+) \[(\S+), (\S+)\] of (\d+) test images$", trained[0], re.M)
    found = {what: tuple(map(float, numbers)) for what, *numbers in rows}
    assert list(found) == ["accuracy", "majority class", "recall of across", "recall of down"]
    assert all(low <= share <= high for share, low, high, _ in found.values())
    assert found["accuracy"][0] > found["majority class"][0] + 0.1


def test_its_halves_are_those_of_the_helper_package(script):
    model = load_backbone("efficientnet_lite0").eval()
    lower, upper = halves(model, "stage 4")
    ours, above = script.load_halves(2)
    images = torch.rand(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.allclose(ours(images), lower(images), atol=1e-4)
        features = upper(lower(images))
        own = above.eval()[:-1](ours(images))
        assert torch.allclose(model.get_submodule(model.card.head)(own), features, atol=1e-3)
    assert not any(parameter.requires_grad for parameter in ours.parameters())
    assert not any(module.training for module in ours.modules())


def test_the_saved_model_judges_images_in_a_fresh_process(textures, trained, tmp_path):
    with safe_open(trained[1], "pt") as file:
        card = file.metadata()
    assert (card["classes"], card["size"]) == ("across/down", "64")
    chosen = [textures / "across" / "03.png", textures / "down" / "11.png"]
    ended = run("--predict", "--model", trained[1], *chosen, environment=guarded(tmp_path, paths=()))
    assert ended.returncode == 0, ended.stderr
    assert re.findall(r": (\w+) \(\d\.\d\d\)$", ended.stdout, re.M) == ["across", "down"]
