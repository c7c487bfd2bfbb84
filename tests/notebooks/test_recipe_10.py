"""The recipe of lesson 10: a folder of photographs, a few examples of each class, the others named."""

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

from transfer_utils import load_backbone
from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.prototypes import by_prototype

RECIPE = checkout() / "notebooks" / "recipes" / "10_prototypical_networks.py"
COLOURS = {"amber": (220, 150, 20), "blue": (20, 60, 200), "green": (20, 160, 60)}
COUNTS = {"amber": 8, "blue": 12, "green": 9}  # classes of different sizes


def blot(colour, random, side=48):
    """Return a disc of a colour on grey, anywhere in the picture, under noise."""
    y, x = np.mgrid[:side, :side]
    inside = (x - random.uniform(16, 32)) ** 2 + (y - random.uniform(16, 32)) ** 2 < random.uniform(8, 14) ** 2
    picture = np.where(inside[..., None], colour, (110, 110, 110)) + random.normal(0, 20, (side, side, 3))
    return Image.fromarray(picture.clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def blots(tmp_path_factory):
    """Return a folder with a folder of blots for each colour."""
    root, random = tmp_path_factory.mktemp("blots"), np.random.default_rng(0)
    for name, colour in COLOURS.items():
        (root / name).mkdir()
        for number in range(COUNTS[name]):
            blot(colour, random).save(root / name / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def strangers(tmp_path_factory):
    """Return a folder with a new blue blot, and a picture of noise that is no blot."""
    root, random = tmp_path_factory.mktemp("strangers"), np.random.default_rng(1)
    blot(COLOURS["blue"], random).save(root / "blue.png")
    Image.fromarray(random.integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(root / "noise.png")
    return root


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_10", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_reports_an_interval_over_draws_names_and_refuses(blots, strangers, tmp_path):
    arguments = [blots, "--size", 64, "--draws", 20, "--name", strangers / "blue.png", strangers / "noise.png"]
    command, environment = [sys.executable, RECIPE, *map(str, arguments)], guarded(tmp_path, paths=())
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    said = re.search(r"balanced accuracy: (\S+) \[(\S+), (\S+)\], the middle 95 % of 20 draws", ended.stdout)
    mean, low, high = map(float, said.groups())
    assert low <= mean <= high
    assert mean > 0.8
    assert f"{strangers / 'blue.png'}: blue" in ended.stdout
    assert f"{strangers / 'noise.png'}: none of these" in ended.stdout


def test_its_scores_are_those_of_the_helper_for_labels_of_any_kind(script):
    random = torch.Generator().manual_seed(0)
    support, queries = torch.randn(9, 6, generator=random), torch.randn(4, 6, generator=random)
    labels = torch.tensor([70, -3, 70, 12, -3, 70, 12, -3, -3])
    scores, classes = script.prototype_scores(support, labels, queries)
    assert classes.tolist() == [-3, 12, 70]
    torch.testing.assert_close(scores, by_prototype(support, labels, queries), atol=1e-4, rtol=1e-4)


def test_a_query_is_never_part_of_the_support(script):
    labels = torch.tensor([5, 1, 5, 1, 5, 1, 1])
    for seed in range(20):
        support, queries = script.draw(labels, 2, torch.Generator().manual_seed(seed))
        assert sorted([*support.tolist(), *queries.tolist()]) == list(range(7))
        assert labels[support].bincount().tolist() == [0, 2, 0, 0, 0, 2]


def test_its_features_are_those_of_the_helper_package(script, blots):
    body, card = script.load_body(None, 64)
    paths = sorted(str(path) for path in blots.glob("*/*.png"))[:4]
    helper = load_backbone("efficientnet_lite0").eval()
    prepare = helper.card.preprocess(64)
    helper.set_submodule(helper.card.head, torch.nn.Identity())
    with torch.no_grad():
        expected = helper(torch.stack([prepare(Image.open(path)) for path in paths]))
    torch.testing.assert_close(script.embed(body, card, paths), expected, atol=2e-2, rtol=2e-2)


def test_too_few_images_are_refused_in_one_line(blots, script):
    options = type("Options", (), {"photos": blots, "shots": 8, "backbone": None, "size": 32, "name": []})
    with pytest.raises(SystemExit, match="9 images of each"):
        script.main(options)
