"""start.py: where it looks for Python, what it installs, when it starts again, how its commands end."""

import argparse
import ast
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from transfer_utils.runtime.files import checkout

ROOT = checkout()
POSIX = pytest.mark.skipif(os.name == "nt", reason="a POSIX system is needed")


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Return start.py as it is in a small checkout of its own, without what this terminal has set."""
    monkeypatch.delenv("PYTHON", raising=False)
    monkeypatch.delenv("TORCH", raising=False)
    shutil.copyfile(ROOT / "start.py", tmp_path / "start.py")
    (tmp_path / "requirements.txt").write_text("torch==2.15.0\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    spec = importlib.util.spec_from_file_location("start", tmp_path / "start.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def commands(start, monkeypatch):
    """Record what would be run; ``commands.status`` says how it ends, where it is not 0."""

    class Commands(list):
        status = {}

    seen = Commands()

    def run(*command, env=None):
        line = " ".join(map(str, command))
        seen.append((line, env))
        return next((status for part, status in seen.status.items() if part in line), 0)

    monkeypatch.setattr(start, "run", run)
    return seen


def lines(commands):
    return [line for line, _ in commands]


def make_venv(start, torch=""):
    """Make what a complete set-up leaves."""
    start.venv_python(start.VENV, os.name).parent.mkdir(parents=True, exist_ok=True)
    start.venv_python(start.VENV, os.name).touch()
    start.STAMP.write_text(start.stamp(torch))


# ------------------------------------------------------------ Python


def test_an_old_python_can_read_it_and_say_that_it_is_too_old():
    ast.parse((ROOT / "start.py").read_text(), feature_version=(3, 7))


def test_layout_of_a_virtual_environment(start):
    assert start.venv_python(Path("v"), "posix").as_posix() == "v/bin/python"
    assert start.venv_python(Path("v"), "nt").as_posix() == "v/Scripts/python.exe"


def test_python_that_was_named_is_the_only_choice(start):
    for system in ("posix", "nt"):
        assert start.python_commands({"PYTHON": "/opt/p"}, system) == [["/opt/p"]]


def test_windows_has_the_launcher_and_other_systems_numbered_names(start):
    assert start.python_commands({}, "nt") == [[sys.executable], ["py", "-3"], ["python"], ["python3"]]
    names = [name for (name,) in start.python_commands({}, "posix")]
    assert names == [sys.executable, "python3", "python3.14", "python3.13", "python3.12", "python3.11", "python"]


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


@POSIX
def test_python_that_is_too_old_is_passed_over(start, tmp_path, monkeypatch):
    new = script(tmp_path / "new/python3.12", f'exec "{os.path.realpath(sys.executable)}" "$@"')
    monkeypatch.setattr(sys, "executable", str(script(tmp_path / "old/python3", "exit 1")))
    path = os.pathsep.join([str(tmp_path / "old"), str(tmp_path / "new")])
    assert start.find_python({"PATH": path}, "posix") == [str(new)]


@POSIX
def test_python_of_the_environment_that_is_made_anew_is_passed_over(start, tmp_path, monkeypatch):
    own = script(start.VENV / "bin/python3", f'exec "{sys.executable}" "$@"')
    monkeypatch.setattr(sys, "executable", str(own))
    with pytest.raises(start.Stop, match="no Python 3.11 or newer"):
        start.find_python({"PATH": str(own.parent)}, "posix")


@pytest.mark.parametrize(
    ("system", "advice"), [("posix", "PYTHON=/path/to/python make setup"), ("nt", "from python.org")]
)
def test_no_python_says_what_to_do(start, tmp_path, monkeypatch, system, advice):
    monkeypatch.setattr(start, "answers", lambda python, code: False)
    with pytest.raises(start.Stop, match=f"no Python 3.11 or newer was found.*{advice}"):
        start.find_python({"PATH": str(tmp_path)}, system)


@pytest.mark.parametrize(("system", "advice"), [("posix", "sudo apt install python3-venv"), ("nt", "tick pip")])
def test_python_without_venv_says_what_to_do(start, monkeypatch, system, advice):
    monkeypatch.setattr(start, "answers", lambda python, code: "ensurepip" not in code)
    with pytest.raises(start.Stop, match=f"has no venv module.*{advice}"):
        start.find_python({"PATH": ""}, system)


def test_program_that_is_not_there_answers_no(start):
    assert start.answers([sys.executable], "import sys")
    assert not start.answers([sys.executable], "import no_such_module")
    assert not start.answers(["/no/such/python"], "")


# ------------------------------------------------------------ when set-up starts again


def test_complete_environment_is_fresh(start):
    make_venv(start)
    assert start.is_fresh("")


@pytest.mark.parametrize("name", ["requirements.txt", "pyproject.toml"])
def test_environment_is_stale_when_a_list_of_packages_changed(start, name):
    make_venv(start)
    with open(start.ROOT / name, "a") as file:
        file.write("# one more line\n")
    assert not start.is_fresh("")


def test_environment_is_fresh_when_a_list_was_only_written_again(start):
    make_venv(start)
    os.utime(start.ROOT / "requirements.txt", (2e9, 2e9))
    assert start.is_fresh("")


def test_environment_without_its_python_or_its_stamp_is_stale(start):
    assert not start.is_fresh("")
    make_venv(start)
    start.venv_python(start.VENV, os.name).unlink()
    assert not start.is_fresh("")
    make_venv(start)
    start.STAMP.unlink()
    assert not start.is_fresh("")


def test_checkout_that_was_moved_is_stale(start, tmp_path, monkeypatch):
    make_venv(start)
    text = start.STAMP.read_text()
    monkeypatch.setattr(start, "ROOT", tmp_path / "elsewhere")
    shutil.copytree(tmp_path, tmp_path / "elsewhere", ignore=lambda *_: {".venv", "elsewhere"})
    assert start.stamp("") != text


def test_build_of_pytorch_that_is_asked_for_counts_and_need_not_be_named_again(start):
    make_venv(start)
    assert not start.is_fresh("cpu"), "the default build is there"
    make_venv(start, "cpu")
    assert start.is_fresh("cpu")
    assert start.is_fresh("")
    assert start.recorded_torch() == "cpu"


def test_stamp_of_another_form_is_stale(start):
    make_venv(start)
    start.STAMP.write_text("")
    assert not start.is_fresh("")
    assert start.recorded_torch() == ""


# ------------------------------------------------------------ setting up


def test_set_up_in_order(start, commands, capsys):
    def leave_a_venv(*command, env=None, run=start.run):
        start.VENV.mkdir(exist_ok=True)
        return run(*command, env=env)

    start.run = leave_a_venv
    assert start.main(["setup"]) == 0
    assert "Setting up .venv with Python 3." in capsys.readouterr().out
    python = start.venv_python(start.VENV, os.name)
    made, uv, packages, course, fetch, doctor = lines(commands)
    assert made.endswith(f"-m venv --clear {start.VENV}")
    assert uv == f"{python} -m pip install --quiet --disable-pip-version-check uv=={start.UV_VERSION}"
    assert packages.startswith(f"{python} -m uv pip install --quiet --system-certs --python {python} ")
    assert packages.endswith(" --constraints requirements.txt --requirements pyproject.toml --all-extras")
    assert course.endswith("--no-deps --editable .")
    assert (fetch, doctor) == (f"{python} -m transfer_utils fetch", f"{python} -m transfer_utils doctor")
    assert start.STAMP.read_text() == start.stamp("")


def test_set_up_does_nothing_when_nothing_changed(start, commands, capsys):
    make_venv(start)
    assert start.main(["setup"]) == 0
    assert not commands
    assert "is up to date" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("failing", "sentence"),
    [("-m venv", "could not be made"), ("-m pip", "Check the network"), ("--constraints", "Check the network"),
     ("--editable", "Check the network"), ("fetch", "not complete"), ("doctor", "not complete")],
)  # fmt: skip
def test_set_up_that_fails_says_so_and_is_tried_again_next_time(start, commands, capsys, failing, sentence):
    commands.status = {failing: 3}
    assert start.main(["setup"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("start.py setup: ")
    assert sentence in error
    assert failing in lines(commands)[-1], "nothing is done after a failure"
    assert not start.STAMP.exists()


def test_disk_that_is_too_full_is_said_before_anything_is_made(start, commands, monkeypatch, capsys):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: argparse.Namespace(free=7.9e9))
    assert start.main(["setup"]) == 1
    assert "about 8 GB must be free" in capsys.readouterr().err
    assert not commands


def test_old_environment_counts_as_free_disk(start, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: argparse.Namespace(free=7.9e9))
    start.VENV.mkdir()
    with open(start.VENV / "large", "wb") as file:
        file.truncate(200_000_000)
    start.check_disk(8)
    with pytest.raises(start.Stop):
        start.check_disk(9)


# ------------------------------------------------------------ the build of PyTorch


def uv_that(path, text):
    """Return a command that stands for uv: a Python script."""
    path.write_text(textwrap.dedent(text))
    return [sys.executable, str(path)]


def test_default_build_asks_for_nothing(start):
    assert start.torch_backend(["/no/such/uv"], "") == []


def test_cpu_build_is_taken_where_its_index_has_it(start, tmp_path):
    uv = uv_that(tmp_path / "uv.py", """
        import sys
        assert sys.argv[1:] == ["--dry-run", "--no-deps", "--torch-backend", "cpu", "torch", "torchvision"]
    """)  # fmt: skip
    assert start.torch_backend(uv, "cpu") == ["--torch-backend", "cpu"]


def test_cpu_build_that_cannot_be_had_is_said_in_one_line(start, tmp_path, capsys):
    uv = uv_that(tmp_path / "uv.py", """
        import sys
        sys.exit("error: Request failed\\n  cause: Failed to fetch: https://index/torch/\\n  cause: dns error")
    """)  # fmt: skip
    assert start.torch_backend(uv, "cpu") == []
    assert capsys.readouterr().out == (
        "PyTorch's cpu build cannot be had (Failed to fetch: https://index/torch/): taking the default build.\n"
    )


def test_default_build_needs_more_room_than_was_looked_for(start, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: argparse.Namespace(free=5e9))
    with pytest.raises(start.Stop, match="about 8 GB"):
        start.torch_backend(uv_that(tmp_path / "uv.py", "import sys; sys.exit(1)"), "cpu")


@pytest.mark.parametrize("how", ["variable", "option", "the last time"])
def test_cpu_build_is_asked_for(start, commands, monkeypatch, how):
    monkeypatch.setattr(start, "torch_backend", lambda uv, torch: ["--torch-backend", torch])
    start.VENV.mkdir()
    if how == "the last time":
        make_venv(start, "cpu")
        (start.ROOT / "requirements.txt").write_text("torch==2.16.0\n")
    if how == "variable":
        monkeypatch.setenv("TORCH", "cpu")
    assert start.main(["setup", *(["--torch", "cpu"] if how == "option" else [])]) == 0
    assert "--all-extras --torch-backend cpu" in lines(commands)[2]
    assert start.recorded_torch() == "cpu"


def test_build_that_is_not_known_is_refused(start, commands, monkeypatch, capsys):
    monkeypatch.setenv("TORCH", "gpu")
    assert start.main(["setup"]) == 1
    assert "TORCH=gpu is not known. Take TORCH=cpu" in capsys.readouterr().err
    assert not commands


# ------------------------------------------------------------ the commands


@pytest.fixture
def ready(start):
    """A checkout that is set up."""
    make_venv(start)
    return start


def test_test_runs_every_step_in_a_temporary_folder(ready, commands, monkeypatch):
    monkeypatch.setenv("TRANSFER_PROFILE", "full")
    monkeypatch.setenv("COURSE_STATIC", "1")
    models = ("TRANSFER_BACKBONE", "TRANSFER_ENCODER", "TRANSFER_DEVICE")
    for name in models:
        monkeypatch.setenv(name, "another")
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert ready.main(["test"]) == 0
    tools = ["ruff check", "ruff format", "codespell", "test_pins.py", "pytest tests -n 2", "--nbval-lax", "totals.py"]
    assert len(commands) == len(tools)
    assert all(tool in line for tool, line in zip(tools, lines(commands), strict=True)), lines(commands)
    files, units, lessons = (env for _, env in commands[3:6])
    assert files["OMP_NUM_THREADS"] == "1"
    assert "TRANSFER_PROFILE" not in files | units
    assert not {"COURSE_STATIC", *models} & set(files | units | lessons)
    assert lessons["TRANSFER_PROFILE"] == "tiny"
    scratch = Path(files["TRANSFER_CACHE"]).parent
    assert Path(files["TRANSFER_LEDGER"]) == scratch / "ledger.csv"
    assert not scratch.exists()
    assert lines(commands)[-1].endswith(" ".join(str(scratch / f"{n}.xml") for n in (1, 2, 3)))
    assert "--ignore=tests/benchmarks" in lines(commands)[4]


@pytest.mark.parametrize("failing", ["codespell", "test_pins.py", "pytest tests", "--nbval-lax", "totals.py"])
def test_first_step_that_fails_ends_the_test_with_its_exit_status(ready, commands, failing):
    commands.status = {failing: 5}
    assert ready.main(["test"]) == 5
    assert failing in lines(commands)[-1]


def test_checks_that_test_names_exist(start):
    for path in [*start.HYGIENE, "tests/totals.py", "tests/benchmarks"]:
        assert (ROOT / path).exists()


@pytest.mark.parametrize("user", [0, 1000])
def test_lab_opens_the_first_lesson_also_for_root(ready, commands, monkeypatch, user):
    monkeypatch.setattr(os, "geteuid", lambda: user, raising=False)
    assert ready.main(["lab", "--port", "9999"]) == 0
    (line,) = lines(commands)
    assert "-m jupyterlab --ip=127.0.0.1 --port=9999" in line
    assert f"--ServerApp.root_dir={ready.ROOT}" in line
    assert line.endswith("--LabApp.default_url=/lab/tree/notebooks/00_start_here.ipynb")
    assert ("--allow-root" in line) == (user == 0)


def test_notebooks_runs_all_lessons_or_those_that_are_named(ready, commands, monkeypatch):
    (ready.ROOT / "notebooks").mkdir()
    for name in ("01_b.ipynb", "00_a.ipynb", "my_own.ipynb"):
        (ready.ROOT / "notebooks" / name).touch()
    assert ready.main(["notebooks"]) == 0
    lessons = [str(ready.ROOT / "notebooks" / name) for name in ("00_a.ipynb", "01_b.ipynb")]
    assert lines(commands)[0].endswith("execute " + " ".join(lessons))
    assert lines(commands)[1].endswith("-m transfer_utils readme")
    monkeypatch.chdir(ready.ROOT / "notebooks")
    assert ready.main(["student", "01_b.ipynb"]) == 0
    assert lines(commands)[2].endswith(f"-m transfer_utils student {lessons[1]} student")


def test_notebook_that_fails_leaves_the_readme_alone(ready, commands):
    commands.status = {"execute": 1}
    assert ready.main(["notebooks", "x.ipynb"]) == 1
    assert len(commands) == 1


def test_other_commands(ready, commands, capsys):
    assert ready.main(["readme"]) == 0
    assert ready.main(["address", "owner/name"]) == 0
    assert [line.split("transfer_utils ")[1] for line in lines(commands)] == ["readme", "sources", "address owner/name"]
    assert ready.main(["address"]) == 1
    assert "make address REPO=owner/name" in capsys.readouterr().err


def test_benchmarks_run_one_after_the_other(ready, commands):
    folder = ready.ROOT / "tests/benchmarks"
    folder.mkdir(parents=True)
    for name in ("b.py", "a.py", "__init__.py"):
        (folder / name).touch()
    assert ready.main(["benchmark"]) == 0
    assert [Path(line.split()[-1]).name for line in lines(commands)] == ["a.py", "b.py"]


@pytest.mark.parametrize("command", ["lab", "test", "setup --torch cpu"])
def test_readme_names_the_commands(command):
    assert f"python start.py {command}" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_help_lists_every_command(start, capsys):
    assert start.main([]) == start.main(["help"]) == 0
    shown = capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        start.main(["no-such-command"])
    assert ended.value.code == 2
    offered = capsys.readouterr().err.split("choose from ")[1].rstrip(")\n").replace("'", "").split(", ")
    assert len(offered) == 12
    assert all(f"\n  {name} " in shown for name in offered)


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(
    ("target", "command"),
    [("lab PORT=9999", "lab --port=9999"), ("test", "test"), ("setup TORCH=cpu", "setup"), ("help", "help"),
     ("notebooks LESSONS=a.ipynb", "notebooks a.ipynb"), ("student", "student"), ("readme", "readme"),
     ("address REPO=owner/name", "address owner/name"), ("lint", "lint"), ("benchmark", "benchmark")],
)  # fmt: skip
def test_make_calls_start(target, command):
    shown = subprocess.run(
        ["make", "--dry-run", "PYTHON=py", *target.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert shown.stdout.strip() == f"py start.py {command}"


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
def test_make_hands_the_build_of_pytorch_on(tmp_path):
    python = script(tmp_path / "python", 'echo "TORCH is $TORCH"')
    shown = subprocess.run(["make", f"PYTHON={python}", "setup", "TORCH=cpu"], cwd=ROOT, capture_output=True, text=True)
    assert shown.stdout == "TORCH is cpu\n"


# ------------------------------------------------------------ how programs end


def test_exit_status_is_passed_on(start):
    assert start.run(sys.executable, "-c", "import sys; sys.exit(7)") == 7


@POSIX
def test_program_that_a_signal_ended_has_the_status_of_a_shell(start):
    assert start.run(sys.executable, "-c", "import os; os.kill(os.getpid(), 9)") == 128 + 9


def test_programs_on_windows_read_and_write_utf8(start, monkeypatch):
    monkeypatch.delenv("PYTHONUTF8", raising=False)
    assert start.child_environment("nt")["PYTHONUTF8"] == "1"
    assert "PYTHONUTF8" not in start.child_environment("posix")


CHILD = """
import os, signal, sys, time
def ended(number, frame):
    time.sleep(0.5)
    os.write(1, b"child is done\\n")  # print may be interrupted by itself
    sys.exit({status})
signal.signal(signal.SIGINT, ended)
signal.signal(signal.SIGTERM, ended)
os.write(1, b"ready\\n")
time.sleep(60)
"""


def interrupted(start, status, whole_group, number):
    """Run ``start.py lab`` with a program that takes its time to end, send a signal; return what was said, and how."""
    make_venv(start)
    child = start.ROOT / "child.py"
    child.write_text(CHILD.format(status=status))
    script(start.venv_python(start.VENV, os.name), f'exec "{sys.executable}" "{child}"')
    command = [sys.executable, str(start.ROOT / "start.py"), "lab"]
    # A shell that runs the tests in the background has them ignore Ctrl-C, and children inherit that.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(command, stdout=-1, stderr=subprocess.STDOUT, text=True, start_new_session=True) as parent:
        signal.signal(signal.SIGINT, before)
        assert parent.stdout.readline() == "ready\n"
        (os.killpg if whole_group else os.kill)(parent.pid, number)
        said = parent.stdout.read()
    return said, parent.returncode


@POSIX
def test_ctrl_c_waits_for_the_program_and_ends_without_a_traceback(start):
    assert interrupted(start, 2, True, signal.SIGINT) == ("child is done\nInterrupted.\n", 130)


@POSIX
def test_program_that_ends_well_after_ctrl_c_ended_well(start):
    assert interrupted(start, 0, True, signal.SIGINT) == ("child is done\n", 0)


@POSIX
def test_program_does_not_outlive_start(start):
    assert interrupted(start, 0, False, signal.SIGTERM) == ("child is done\n", 143)
