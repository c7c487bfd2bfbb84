"""A lesson needs no network: its student edition runs from top to bottom with every connection refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from offline import guarded

from transfer_utils.course.editions import write_student_editions
from transfer_utils.runtime.files import checkout

ROOT = checkout()
LESSON = ROOT / "notebooks" / "00_start_here.ipynb"  # one lesson, a quick one: nbval runs them all


@pytest.fixture
def offline(tmp_path):
    """Return the environment of a process that reaches only its own machine."""
    return guarded(tmp_path)


def python(code, environment):
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("host", ["192.0.2.1", "example.org", "2001:db8::1"])
def test_the_guard_refuses_the_world(host, offline):
    ended = python(f"import socket; socket.create_connection(({host!r}, 80))", offline)
    assert f"this run may not reach {host}" in ended.stderr
    assert Path(offline["COURSE_ATTEMPTS"]).read_text() == f"{host}\n"


def test_the_guard_lets_this_machine_be_reached(offline):
    code = "import socket; s = socket.create_server(('127.0.0.1', 0)); socket.create_connection(s.getsockname())"
    assert python(code, offline).returncode == 0


@pytest.mark.skipif(not LESSON.is_file(), reason="lesson 00 is not written yet")
def test_the_student_edition_of_a_lesson_runs_without_a_network(offline, tmp_path):
    (path,) = write_student_editions([LESSON], tmp_path / "student")
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--stdout", str(path)]
    ended = subprocess.run(command, env=offline, capture_output=True, text=True, timeout=280)
    assert ended.returncode == 0, ended.stderr[-3000:]
    assert "Profile: tiny" in ended.stdout
    assert Path(offline["COURSE_ATTEMPTS"]).read_text() == "", "the lesson tried to reach these"
