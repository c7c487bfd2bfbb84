"""The recipe of lesson 08: a folder with labels, one without, and an adversary whose weight no label chooses."""

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
from torch import nn

from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.dann import dann_loss
from transfer_utils.techniques.unlabelled_selection import information_maximisation

RECIPE = checkout() / "notebooks" / "recipes" / "08_dann.py"


def stripes(across, dark, random, side=32):
    """Return stripes across or along the image, in bright or dark light."""
    wave = np.sin(random.uniform(0.6, 0.9) * np.arange(side) + random.uniform(0, 6))
    picture = np.tile(wave, (side, 1)) if across else np.tile(wave[:, None], (1, side))
    light = 70 if dark else 150
    return Image.fromarray((light + 50 * picture + random.normal(0, 12, picture.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Return a folder with labels, one in another light with labels, and the same photographs without."""
    root, random = tmp_path_factory.mktemp("stripes"), np.random.default_rng(0)
    for part in ("source", "target"):
        for kind in ("across", "along"):
            (root / part / kind).mkdir(parents=True)
            (root / "bare").mkdir(exist_ok=True)
            for number in range(16):
                image = stripes(kind == "across", part == "target", random)
                image.save(root / part / kind / f"{number:02}.png")
                if part == "target":
                    image.save(root / "bare" / f"{kind}{number:02}.png")
    return root


@pytest.fixture(scope="module")
def printed(folders, tmp_path_factory):
    """Return what the recipe prints, for a target with folders of classes and without."""
    folder, found = tmp_path_factory.mktemp("recipe"), []
    environment = guarded(folder, paths=())
    for target in ("target", "bare"):
        arguments = [folders / "source", folders / target, "--size", 32, "--epochs", 30, "--weights", 0.01, 0.3]
        command = [sys.executable, RECIPE, *map(str, arguments)]
        ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
        assert ended.returncode == 0, ended.stderr
        assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
        found.append(ended.stdout)
    return found


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_08", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_way_has_shares_and_the_best_score_without_labels_is_chosen(printed):
    for text in printed:
        rows = re.findall(r"^(\S.*): across (\S+)( ALARM)?, along (\S+?)( ALARM)?; information (\S+)( \(chosen\))?$",
                          text, re.M)  # fmt: skip
        assert [row[0] for row in rows] == ["source only", "own statistics", "own statistics + DANN 0.01",
                                            "own statistics + DANN 0.3"]  # fmt: skip
        assert all(float(row[1]) + float(row[3]) == pytest.approx(1, abs=0.011) for row in rows)
        assert all(bool(row[2]) == bool(row[4]) for row in rows)  # of two classes, both or none
        for row in rows:
            if abs(float(row[1]) - 0.5) > 0.37:  # four standard errors of a half in 32 photographs are .354
                assert row[2]
            if abs(float(row[1]) - 0.5) < 0.34:
                assert not row[2]
        chosen = [row for row in rows if row[6]]
        assert len(chosen) == 1
        assert float(chosen[0][5]) == max(float(row[5]) for row in rows[2:])


def test_labels_of_the_target_are_for_the_score_alone(printed):
    labelled, bare = printed
    rows = re.findall(r"^    balanced accuracy (\S+) \[(\S+), (\S+)\] of (\d+)$", labelled, re.M)
    assert len(rows) == 3
    assert all(float(low) <= float(value) <= float(high) and count == "32" for value, low, high, count in rows)
    assert float(rows[1][0]) > 0.8  # own statistics see through the light
    assert "balanced" not in bare
    assert [line for line in labelled.splitlines() if line[0] != " "] == bare.splitlines()


@pytest.mark.parametrize("strength", [0.0, 0.3, 1.0])
def test_its_loss_and_its_score_are_those_of_the_helper_package(script, strength):
    source, target = torch.randn(5, 4), torch.randn(3, 4)
    gradients = []
    torch.manual_seed(0)
    classifier = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 1))
    for loss_of in (script.dann_loss, lambda *given: dann_loss(*given)[0]):
        features = [part.clone().requires_grad_() for part in (source, target)]
        loss = loss_of(*features, classifier, strength)
        gradients.append([loss, *torch.autograd.grad(loss, [*features, *classifier.parameters()])])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)
    scores = torch.randn(20, 3)
    assert script.information(scores.softmax(1)) == pytest.approx(information_maximisation(scores), abs=1e-5)


def test_a_source_of_one_class_is_refused_in_one_line(folders, script):
    bare = folders / "bare"
    options = type("Options", (), {"source": bare, "target": bare, "backbone": None, "size": 32})
    with pytest.raises(SystemExit, match="Needs two classes or more"):
        script.main(options)
