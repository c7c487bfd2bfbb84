"""The setup cell finds the course installed, above the notebook, or on Colab; elsewhere it says what to do."""

import importlib.util
import subprocess
import sys
from types import ModuleType

import pytest
from lesson_files import LESSONS, notebook_at

from transfer_utils.course.editions import cells_tagged

SETUP = cells_tagged(notebook_at(LESSONS[0]), "setup")[0].source


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """Return a machine without the course, in an empty folder, and the commands that were run on it."""
    commands = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(subprocess, "run", lambda command, check: commands.append(command[1:]))
    return commands


def test_where_the_course_is_not_installed_the_cell_says_what_to_do(machine):
    with pytest.raises(ModuleNotFoundError, match="make lab"):
        exec(SETUP, {})
    assert machine == []


def test_on_colab_it_is_installed_and_fetched_and_nothing_is_pinned(machine, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    exec(SETUP, {})
    (_, pip, install, *options), fetch = machine
    assert (pip, install) == ("pip", "install")
    assert "--no-deps" in options
    assert not any("torch" in option or "numpy" in option for option in options)
    assert fetch == ["-m", "transfer_utils", "fetch"]
    assert "torch" in capsys.readouterr().out


def test_a_checkout_above_the_notebook_is_found(machine, monkeypatch, tmp_path, capsys):
    (tmp_path / "transfer_utils").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: str(tmp_path) in sys.path or None)
    exec(SETUP, {})
    assert machine == []
    assert capsys.readouterr().out.startswith("Profile")
