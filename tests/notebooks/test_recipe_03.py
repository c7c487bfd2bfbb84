"""The recipe of lesson 03: a folder of photographs, layers that learn one after the other."""

import importlib.util
import json
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

from transfer_utils import UnfreezingSchedule, layer_groups, load_backbone, replace_head
from transfer_utils.runtime.files import checkout

RECIPE = checkout() / "notebooks" / "recipes" / "03_progressive_unfreezing.py"
COUNTS = {"train": 20, "validation": 10, "test": 12}  # of each class


def texture(kind, random, side=48):
    """Return waves across the image, or waves both ways, in any direction and size, under noise."""
    y, x = np.mgrid[:side, :side]
    angle, speed = random.uniform(0, np.pi), random.uniform(0.3, 0.8)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.sin(speed * along) * (np.sin(speed * across) if kind == "checks" else 1)
    return Image.fromarray((127 + 60 * wave + random.normal(0, 25, wave.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Return a folder with train, validation and test, each of checks and stripes."""
    root, random = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for part, count in COUNTS.items():
        for kind in ("checks", "stripes"):
            (root / part / kind).mkdir(parents=True)
            for number in range(count):
                texture(kind, random).save(root / part / kind / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def trained(textures, tmp_path_factory):
    """Return what the recipe prints on the textures, and the model that it saves."""
    folder = tmp_path_factory.mktemp("recipe")
    model = folder / "textures.safetensors"
    arguments = [textures, "--size", 64, "--epochs", 8, "--model", model]
    command, environment = [sys.executable, RECIPE, *map(str, arguments)], guarded(folder, paths=())
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert ended.returncode == 0, ended.stderr
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    return ended.stdout, model


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_03", RECIPE)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_it_learns_and_reports_the_test_photographs_with_intervals(trained):
    rows = re.findall(r"^(.*): (\S+) \[(\S+), (\S+)\] of (\d+) photographs$", trained[0], re.M)
    found = {what: tuple(map(float, numbers)) for what, *numbers in rows}
    each = [f"{what} of {name}" for name in ("checks", "stripes") for what in ("recall", "average precision")]
    assert list(found) == ["accuracy", *each]
    assert all(low <= value <= high and items == 24 for value, low, high, items in found.values())
    assert found["accuracy"][0] > 0.6
    assert found["accuracy"][0] == pytest.approx(sum(found[f"recall of {k}"][0] for k in ("checks", "stripes")) / 2)


def test_the_saved_network_differs_from_the_pretrained_one_where_it_learned_and_nowhere_else(trained, script):
    with safe_open(trained[1], "pt") as file:
        saved, card = {name: file.get_tensor(name) for name in [*file.keys()]}, json.loads(file.metadata()["card"])
    assert card["classes"] == ["checks", "stripes"]
    assert (card["input_size"][-1], card["mean"], card["std"]) == (64, [0.5] * 3, [0.5] * 3)
    before = script.load_network(None, 64)[0].state_dict()
    moved = {name.rsplit(".", 1)[0] for name in saved if not torch.equal(saved[name], before.get(name, torch.zeros(0)))}
    frozen = ("conv_stem", "bn1", *(f"blocks.{number}." for number in range(4)))
    assert moved
    assert not [name for name in moved if name.startswith(frozen)]


def test_its_groups_and_what_learns_are_those_of_the_helper_package(script):
    network = script.load_network(None, 64)[0]
    network.reset_classifier(2)
    helper = replace_head(load_backbone("efficientnet_lite0"), 2)
    names = {id(parameter): name for name, parameter in network.named_parameters()}
    groups = script.layer_groups(network)
    expected = [list(group.parameters) for group in layer_groups(helper)[-4:]]
    assert [[names[id(parameter)] for parameter in group] for group in groups] == expected
    for epoch, count in enumerate((1, 2, 3, 4)):
        script.let_learn(network, groups, count)
        UnfreezingSchedule({epoch: epoch + 1 for epoch in range(4)}).apply(helper, epoch)
        helper.train()
        learns = {name for name, parameter in network.named_parameters() if parameter.requires_grad}
        assert learns == {name for name, parameter in helper.named_parameters() if parameter.requires_grad}
        norms = [(m.training, n.training) for m, n in zip(network.modules(), helper.modules(), strict=True)
                 if isinstance(m, torch.nn.BatchNorm2d)]  # fmt: skip
        assert all(one == other for one, other in norms)
        assert any(one for one, _ in norms) == (count > 1)


def test_other_classes_in_the_test_folder_are_refused_in_one_line(textures, script, tmp_path):
    for part in COUNTS:
        (tmp_path / part).mkdir()
        for kind in ("checks", "stripes") if part != "test" else ("checks", "waves"):
            (tmp_path / part / kind).symlink_to(textures / part / kind.replace("waves", "stripes"))
    options = type("Options", (), {"photos": tmp_path, "backbone": None, "size": 32, "epochs": 4, "rate": 1e-3})
    with pytest.raises(SystemExit, match="the same in train, validation and test"):
        script.main(options)
