"""Recipes: scripts that need no helper package, run as a user runs them, with the network refused."""

import ast
import importlib.util
import io
import json
import re
import runpy
import subprocess
import sys
import tokenize
from pathlib import Path

import numpy as np
import pytest
import torch
from offline import guarded
from PIL import Image
from safetensors import safe_open

from transfer_utils import data, extract_features, linear_head, load_backbone
from transfer_utils.data.folder import read_rgb
from transfer_utils.runtime.files import checkout
from transfer_utils.techniques.features import FeatureSplits
from transfer_utils.techniques.linear_probe import train_head

ROOT = checkout()
RECIPES = sorted((ROOT / "notebooks" / "recipes").glob("[0-9][0-9]_*.py"))
FIRST = ROOT / "notebooks" / "recipes" / "01_feature_extraction.py"
FEWEST_LINES, MOST_LINES = 30, 80
LAYOUT = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def lines_of_code(text):
    """Return the number of lines that hold code: comments, docstrings and blank lines apart."""
    explained = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.Module, ast.FunctionDef, ast.ClassDef)) and ast.get_docstring(node) is not None:
            explained |= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type not in LAYOUT]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - explained)


def imported(text):
    """Return the names of the packages that a script imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


# ------------------------------------------------------------------- all recipes


@pytest.fixture(params=RECIPES, ids=lambda path: path.stem)
def recipe(request):
    return request.param


@pytest.fixture
def offline(tmp_path):
    """Return the environment of a process without a network, that does not find the helper package by a path."""
    (tmp_path / "offline").mkdir()
    return guarded(tmp_path / "offline", paths=())


def run(recipe, *arguments, environment):
    command = [sys.executable, str(recipe), *map(str, arguments)]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=280, check=False)
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the recipe tried to reach these"
    return ended


def test_there_is_a_recipe():
    assert FIRST in RECIPES


def test_a_recipe_belongs_to_a_lesson(recipe):
    assert (ROOT / "notebooks" / f"{recipe.stem}.ipynb").is_file()


def test_a_recipe_needs_no_helper_package(recipe):
    assert "transfer_utils" not in imported(recipe.read_text(encoding="utf-8"))


def test_a_recipe_can_be_read_in_one_go(recipe):
    assert FEWEST_LINES <= lines_of_code(recipe.read_text(encoding="utf-8")) <= MOST_LINES


def test_a_recipe_explains_itself(recipe, offline):
    ended = run(recipe, "--help", environment=offline)
    assert ended.returncode == 0, ended.stderr
    assert recipe.name in ended.stdout
    assert "Needs" in ended.stdout or "pip install" in ended.stdout


def test_lines_and_imports_are_counted():
    text = (
        '"""A.\n\nB."""\nimport a.b  # c\n\n# d\nfrom e import (\n    f,\n)\n\n\ndef g():\n    """H."""\n    return 1\n'
    )
    assert lines_of_code(text) == 6
    assert imported(text) == {"a", "e"}


# --------------------------------------------------------- 01, your own folder of images


def texture(kind, random, side=48):
    """Return waves across the image, or waves both ways, in any direction and size, under strong noise."""
    y, x = np.mgrid[:side, :side]
    angle, speed = random.uniform(0, np.pi), random.uniform(0.3, 0.8)
    along, across = x * np.cos(angle) + y * np.sin(angle), y * np.cos(angle) - x * np.sin(angle)
    wave = np.sin(speed * along) * (np.sin(speed * across) if kind == "checks" else 1)
    return Image.fromarray((127 + 50 * wave + random.normal(0, 35, wave.shape)).clip(0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def textures(tmp_path_factory):
    """Return a folder of 50 checks and 40 stripes: to be told apart, but not by every image."""
    root, random = tmp_path_factory.mktemp("textures"), np.random.default_rng(0)
    for kind, count in {"checks": 50, "stripes": 40}.items():
        (root / kind).mkdir()
        for number in range(count):
            texture(kind, random).save(root / kind / f"{number:02}.png")
    return root


@pytest.fixture(scope="module")
def trained(textures, tmp_path_factory):
    """Return what the recipe prints on the textures, and the model that it saves."""
    folder = tmp_path_factory.mktemp("recipe")
    model = folder / "textures.safetensors"
    arguments = [textures, "--size", 64, "--epochs", 10, "--model", model]
    ended = run(FIRST, *arguments, environment=guarded(folder, paths=()))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout, model


@pytest.fixture(scope="module")
def script():
    """Return the recipe as a module."""
    spec = importlib.util.spec_from_file_location("recipe_01", FIRST)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def shares(printed):
    """Return what was printed as {what: (share, low, high, items)}."""
    rows = re.findall(r"^(.*): (\S+) \[(\S+), (\S+)\] of (\d+) test images$", printed, re.M)
    return {what: tuple(map(float, numbers)) for what, *numbers in rows}


def test_it_learns_and_reports_the_test_images_with_intervals(trained):
    found = shares(trained[0])
    assert list(found) == ["accuracy", "majority class", "recall of checks", "recall of stripes"]
    assert all(low <= share <= high for share, low, high, _ in found.values())
    assert [items for *_, items in found.values()] == [23, 23, 13, 10]
    assert found["majority class"][0] == pytest.approx(13 / 23, abs=0.0006)
    assert found["accuracy"][0] > found["majority class"][0] + 0.1
    recalls = [found[f"recall of {name}"] for name in ("checks", "stripes")]
    assert found["accuracy"][0] == pytest.approx(sum(share * n for share, *_, n in recalls) / 23, abs=0.001)


def labelled(textures):
    """Return the textures as the package reads them, in the order of the recipe."""
    paths = sorted(textures.rglob("*.png"))
    labels = torch.tensor([path.parent.name == "stripes" for path in paths]).long()
    return data.LabelledImages(paths, labels, ("checks", "stripes"), read_rgb)


def test_it_agrees_with_the_helper_package(textures, trained, script):
    images, model = labelled(textures), load_backbone("efficientnet_lite0")
    helper = extract_features(model, images.with_transform(model.card.preprocess(64)), cache=False, progress=False)
    body, card = script.load_body(None, 64)
    assert torch.allclose(script.extract(body, images.images, card), helper.values, atol=1e-4)

    split = script.train_test_split  # the two lines of the recipe
    rest, test = split(range(90), test_size=0.25, stratify=images.labels, random_state=0)
    train, validation = split(rest, test_size=0.2, stratify=images.labels[rest], random_state=0)
    assert [len(train), len(validation), len(test)] == [53, 14, 23]
    splits = FeatureSplits(*(helper.subset(torch.tensor(part)) for part in (train, validation, test))).standardised()
    head, _ = train_head(splits, linear_head, epochs=10, lr=5e-4, seed=0)
    accuracy = (head(splits.test.values).argmax(1) == splits.test.labels).double().mean().item()
    assert abs(accuracy - shares(trained[0])["accuracy"][0]) <= 3.5 / 23  # three images: other draws of the batches


def test_the_saved_model_judges_images_in_a_fresh_process(textures, trained, script, offline):
    with safe_open(trained[1], "pt") as file:
        assert sorted(file.keys()) == ["bias", "weight"]
        card, weight, bias = json.loads(file.metadata()["card"]), file.get_tensor("weight"), file.get_tensor("bias")
    assert card["classes"] == ["checks", "stripes"]
    assert (card["input_size"][-1], card["mean"], card["std"]) == (64, [0.5] * 3, [0.5] * 3)
    chosen = [textures / "checks" / "07.png", textures / "stripes" / "11.png"]
    ended = run(FIRST, "--predict", "--model", trained[1], *chosen, environment=offline)
    assert ended.returncode == 0, ended.stderr
    scores = script.extract(*script.load_body(None, 64)[:1], chosen, card) @ weight.T + bias
    expected = [(card["classes"][row.argmax()], row.max().item()) for row in scores.softmax(1)]
    said = re.findall(r": (\w+) \((\d\.\d\d)\)$", ended.stdout, re.M)
    assert [name for name, _ in said] == [name for name, _ in expected]
    assert [float(share) for _, share in said] == pytest.approx([share for _, share in expected], abs=0.006)


def no_folder(root):
    return [root / "nowhere"], "nowhere"


def one_class(root):
    return [root], "two classes or more"


def second_class(root, count):
    (root / "two").mkdir()
    for number in range(count):
        Image.effect_noise((20, 20), 90).save(root / "two" / f"{number}.png")


def few_images(root):
    second_class(root, 3)
    return [root], "12 images each; ['one', 'two'] have [12, 3]"


def no_class_folder(root):
    return [root / "one"], "class folder"


def a_broken_image(root):
    second_class(root, 12)
    broken = root / "one" / "0.png"
    broken.write_bytes(broken.read_bytes()[:60])
    return [root, "--size", 32], f"{broken} cannot be read as an image"


def no_model(root):
    return ["--predict", "--model", root / "none.safetensors", root / "one" / "1.png"], "none.safetensors"


def nothing(root):
    return [], "required: paths"


WRONG = [no_folder, one_class, few_images, no_class_folder, a_broken_image, no_model, nothing]


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_one_line(wrong, tmp_path, monkeypatch, capsys):
    root = tmp_path / "photos"
    (root / "one").mkdir(parents=True)
    for number in range(12):
        Image.effect_noise((20, 20), 40).save(root / "one" / f"{number}.png")
    arguments, said = wrong(root)
    monkeypatch.setattr(sys, "argv", [FIRST.name, *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:  # Python prints its text, and nothing else
        runpy.run_path(str(FIRST), run_name="__main__")
    assert said in (capsys.readouterr().err if ended.value.code == 2 else ended.value.code)
    assert ended.value.code == 2 or "\n" not in ended.value.code
