"""The recipe of lesson 07, and the cells of the lesson that are for an empty script."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from offline import guarded

from transfer_utils.runtime.files import checkout

NOTEBOOKS = checkout() / "notebooks"
RECIPE = NOTEBOOKS / "recipes" / "07_lora.py"
GOOD, BAD = ("wonderful", "a joy", "brilliant", "lovely"), ("awful", "a bore", "terrible", "a waste")
LINES = (
    "the film is {}",
    "{} from start to end",
    "what we saw was {}",
    "the cast is {}",
    "{}, said my sister",
    "just {}",
)


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """Return the environment of a script without network and without the helper package."""
    return guarded(tmp_path_factory.mktemp("recipe"), paths=())


def run(command, environment, folder):
    """Return what a script prints; it must end well, and have asked for no other machine."""
    ended = subprocess.run([sys.executable, *map(str, command)], env=environment, cwd=folder, capture_output=True,
                           text=True, timeout=280, check=False)  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert Path(environment["COURSE_ATTEMPTS"]).read_text() == "", "the script tried to reach these"
    return ended.stdout


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """Return a CSV of short reviews whose label is plain from their words."""
    rows = [f'"{line.format(word)}",{name}' for name, words in (("good", GOOD), ("bad", BAD))
            for word in words for line in LINES]  # fmt: skip
    path = tmp_path_factory.mktemp("reviews") / "reviews.csv"
    path.write_text("\n".join(["text,label", *rows]))
    return path


def test_it_trains_tests_once_saves_and_predicts(reviews, environment):
    told = run([RECIPE, reviews, "--rates", 1e-5, 5e-3, "--epochs", 6], environment, reviews.parent)
    assert len(re.findall(r"^rate \S+: validation accuracy", told, re.M)) == 2
    ((value, low, high, count),) = re.findall(r"^test accuracy (\S+) \[(\S+), (\S+)\] of (\d+) texts$", told, re.M)
    assert float(low) <= float(value) <= float(high)
    assert int(count) == 12
    assert float(value) > 0.7
    saved = reviews.with_name("reviews-lora")
    assert (saved / "adapter_model.safetensors").stat().st_size < 1e6, "the body is not in the file"
    for text, name in (("the film is wonderful", "good"), ("just terrible", "bad")):
        assert run([RECIPE, reviews, "--predict", text], environment, reviews.parent).startswith(f"{name}: ")


def test_the_peft_cells_are_a_script_that_trains_saves_loads_and_predicts_the_same(environment, tmp_path):
    lesson = json.loads((NOTEBOOKS / "07_lora.ipynb").read_text(encoding="utf-8"))
    cells = ["".join(cell["source"]) for cell in lesson["cells"] if "peft" in cell["metadata"].get("tags", [])]
    assert len(cells) == 3
    script = tmp_path / "script.py"
    script.write_text("\n\n".join(cells))  # the assertions in it compare what was loaded and merged
    assert "transfer_utils" not in script.read_text()
    assert run([script], environment, tmp_path).strip() == "predicted [1, 0, 1, 0] labels [1, 0, 1, 0]"
