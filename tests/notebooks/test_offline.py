"""A lesson needs no network: its student edition runs from top to bottom with every connection refused."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from transfer_utils.course.editions import write_student_editions
from transfer_utils.runtime.files import checkout

ROOT = checkout()
LESSON = ROOT / "notebooks" / "00_start_here.ipynb"  # one lesson, a quick one: nbval runs them all

# Python imports this by itself when it starts, in the kernel as well. It lets only this machine be reached,
# and writes down who else was asked for, so that an attempt that is caught and passed over is seen too.
GUARD = """
import os, socket

def _is_here(host):
    return host in (None, "", "localhost", "127.0.0.1", "::1", b"localhost") or str(host).startswith("127.")

def _refuse(host):
    with open(os.environ["COURSE_ATTEMPTS"], "a") as file:
        file.write(f"{host}\\n")
    raise ConnectionRefusedError(f"this run may not reach {host}")

def _guarded(method):
    def connect(self, address):
        if isinstance(address, tuple) and not _is_here(address[0]):
            _refuse(address[0])
        return method(self, address)
    return connect

def _resolve(host, *args, _real=socket.getaddrinfo, **kwargs):
    return _real(host, *args, **kwargs) if _is_here(host) else _refuse(host)

socket.socket.connect = _guarded(socket.socket.connect)
socket.socket.connect_ex = _guarded(socket.socket.connect_ex)
socket.getaddrinfo = _resolve
"""


@pytest.fixture
def offline(tmp_path):
    """Return the environment of a process that reaches only its own machine."""
    (tmp_path / "guard").mkdir()
    (tmp_path / "guard" / "sitecustomize.py").write_text(GUARD)
    (tmp_path / "attempts").touch()
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    return environment | {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "guard"), str(ROOT)]),
        "COURSE_ATTEMPTS": str(tmp_path / "attempts"),
        "COURSE_STATIC": "1",
        "TRANSFER_PROFILE": "tiny",
        "TRANSFER_CACHE": str(tmp_path / "cache"),
        "TRANSFER_LEDGER": str(tmp_path / "ledger.csv"),
        "TORCH_HOME": str(tmp_path / "torch"),
        "HF_HOME": str(tmp_path / "hub"),
    }


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
