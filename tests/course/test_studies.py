"""``make studies`` on small made-up lessons: made, listed, interrupted, resumed, and found stale without running."""

import os
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from nbclient import NotebookClient

from transfer_utils.__main__ import main
from transfer_utils.course.studies import end_interrupted, list_studies, make_studies, stale_studies
from transfer_utils.lesson.studies import files as study_files
from transfer_utils.lesson.studies.files import read_study
from transfer_utils.runtime.files import cache_folder, checkout

OPENING = """import os
from pathlib import Path

import torch

from transfer_utils import lesson

profile = lesson.start("42_answers")"""
SIZES = """size = lesson.sizes(
    epochs=(1, 2, 3),
    seeds=((0, 1), (0, 1, 2, 3), range(2)),
)"""
RUN = """def run(seed):
    with open(os.environ["RUNS"], "a") as log:
        log.write(f"{seed} ")
    return {"scores": torch.rand(40, 2) * size.epochs}"""
STUDY = 'heads = lesson.study("heads", run, seeds=size.seeds)'
NOISE = 'print("what a cell prints is not shown")\nnever = "saw"'
ENDLESS = RUN.replace(
    "    return", '    if seed == 2 and os.environ.get("WAIT"):\n        import time; time.sleep(600)\n    return'
)


@pytest.fixture(autouse=True)
def _laptop(monkeypatch, tmp_path):
    monkeypatch.setenv("TRANSFER_PROFILE", "laptop")
    monkeypatch.setenv("RUNS", str(tmp_path / "runs.txt"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def write_lesson(tmp_path):
    """Return a writer of the lesson 42_answers: a code cell a source, or (source, tag)."""

    def write(*cells, name="42_answers"):
        made = []
        for cell in cells:
            source, *tags = (cell,) if isinstance(cell, str) else cell
            made.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags}))
        path = tmp_path / f"{name}.ipynb"
        nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("# Answers"), *made]), path)
        return path

    return write


@pytest.fixture
def runs(tmp_path):
    """Return a function that says which seeds were computed since it was last asked."""

    def since():
        log = tmp_path / "runs.txt"
        seeds = log.read_text().split() if log.exists() else []
        log.unlink(missing_ok=True)
        return [int(seed) for seed in seeds]

    return since


def state(lesson):
    """Return the last column of the one row of the table."""
    _, row = list_studies([lesson]).splitlines()
    return row.split("  ")[-1].strip()


# ------------------------------------------------------------ from the first run to stale


def test_a_study_is_made_listed_used_and_grows_stale(write_lesson, runs, tmp_path, capfd):
    """The whole way: made by a child process, fresh, read in a kernel, then stale by a changed line."""
    cells = [(OPENING, "setup"), (SIZES, "sizes"), "%time 1 + 1", NOISE, RUN]
    lesson = write_lesson(*cells, STUDY, ("raise SystemExit", "exercise"))
    assert state(lesson) == "missing"
    make_studies([lesson])
    assert runs() == [0, 1, 2, 3]
    shown = capfd.readouterr().out
    assert "42_answers: heads in the profile laptop. The cells before come first." in shown
    assert "42_heads: seed 3 took " in shown
    assert "42_heads: stored in 42_heads.safetensors, " in shown
    assert "what a cell prints" not in shown
    file = tmp_path / "studies" / "42_heads.safetensors"
    assert list(read_study(file).runs) == [0, 1, 2, 3]
    assert sorted(p.name for p in tmp_path.iterdir() if p.name != "downloads") == [
        "42_answers.ipynb",
        "cache",
        "studies",
    ]
    assert list((cache_folder() / "studies").iterdir()) == []

    header, row = list_studies([lesson]).splitlines()
    assert header.split() == ["study", "profile", "seeds", "commit", "machine", "torch", "date", "kB", "state"]
    assert row.startswith("42 heads  laptop   4  ")
    assert study_files.machine() in row
    assert row.endswith("  fresh")
    assert stale_studies([lesson]) == []
    make_studies([lesson])  # nothing to do, and no process is started
    assert runs() == []
    assert capfd.readouterr().out == ""

    assert "seeds 1 to 3 are stored, made " in executed(lesson, tmp_path)
    assert runs() == [0]

    write_lesson(*cells[:-1], RUN.replace("rand(40", "randn(40"), STUDY)
    changed = 'stale: run: return {"scores": torch.rand(40, 2) * size.epochs} is now return {"scores": torch.randn('
    assert state(lesson).startswith(changed)
    assert stale_studies([lesson]) == [f"42_heads.safetensors: {state(lesson)}"]
    assert "is stale (run: return {" in executed(lesson, tmp_path)
    assert runs() == [0, 1, 2, 3]


def executed(lesson, tmp_path):
    """Run a lesson in a kernel, as a learner does, and return what its cells printed."""
    notebook = nbformat.read(lesson, as_version=4)
    environment = {**os.environ, "PYTHONPATH": str(checkout()), "TRANSFER_STUDIES": str(tmp_path / "studies")}
    notebook.cells = [cell for cell in notebook.cells if "exercise" not in cell.metadata.get("tags", [])]
    NotebookClient(notebook, timeout=120).execute(env=environment)
    return "".join(out.get("text", "") for cell in notebook.cells for out in cell.get("outputs", []))


# ------------------------------------------------------------ interrupted


def start_making(lesson, tmp_path):
    """Start ``python -m transfer_utils studies --make`` in a process group of its own, as a terminal does."""
    environment = {**os.environ, "PYTHONPATH": str(checkout()), "WAIT": "1"}
    command = [sys.executable, "-m", "transfer_utils", "studies", "--make", str(lesson)]
    return subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                            text=True, start_new_session=True)  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for one process")
@pytest.mark.parametrize("whom", ["the group, as Ctrl-C in a terminal", "the command alone"])
def test_ctrl_c_loses_one_run_at_most(write_lesson, runs, tmp_path, monkeypatch, whom):
    lesson = write_lesson(OPENING, SIZES, ENDLESS, STUDY)
    process = start_making(lesson, tmp_path)
    try:
        deadline = time.monotonic() + 120
        log = tmp_path / "runs.txt"
        while "2" not in (log.read_text() if log.exists() else ""):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        (os.killpg if whom.startswith("the group") else os.kill)(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    assert process.returncode == 130
    assert (
        out.splitlines()[-1] == "Interrupted. Every run that was finished is kept; the same command goes on from there."
    )
    assert "Traceback" not in errors
    assert runs() == [0, 1, 2]
    assert not (tmp_path / "studies").exists()
    if whom.startswith("the group"):
        assert main(["studies", "--make", str(lesson)]) == 0
        assert runs() == [2, 3]
        assert state(lesson) == "fresh"


@pytest.mark.parametrize(("system", "done"), [("nt", ["wait None"]), ("posix", ["wait 2", "signal 2", "wait None"])])
def test_on_windows_the_child_is_only_waited_for(monkeypatch, system, done):
    """``send_signal(SIGINT)`` raises ValueError there, and the console has told the child already."""
    did = []

    class Child:
        def wait(self, timeout=None):
            did.append(f"wait {timeout}")
            if timeout:
                raise subprocess.TimeoutExpired("child", timeout)

        def send_signal(self, number):
            did.append(f"signal {int(number)}")

    with monkeypatch.context() as patch:
        patch.setattr("transfer_utils.course.studies.os.name", system)
        end_interrupted(Child())
    assert did == done


def test_a_cell_that_fails_is_shown_and_what_was_made_is_kept(write_lesson, runs, capfd):
    second = STUDY.replace("heads", "others").replace("run,", "lambda seed: {'a': 1 / (2 - seed)},")
    lesson = write_lesson(OPENING, SIZES, RUN, STUDY, second)
    assert main(["studies", "--make", str(lesson)]) == 1
    told = capfd.readouterr()
    assert "ZeroDivisionError" in told.err
    assert "studies: 42_answers.ipynb failed before its last study was complete; the runs before are kept." in told.err
    assert [row.split()[1] for row in list_studies([lesson]).splitlines()[1:] if row.endswith("fresh")] == ["heads"]
    assert runs() == [0, 1, 2, 3]


def test_claims_exercises_and_the_ledger_do_not_disturb(write_lesson, runs, tmp_path, monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", "1")
    monkeypatch.setenv("TRANSFER_LEDGER", str(tmp_path / "ledger.csv"))
    monkeypatch.setenv("TRANSFER_BACKBONE", "resnet18")
    claim = ('lesson.claim("One is two.", False)', "claim")
    stopping = [(f"raise ValueError('{tag}')", tag) for tag in ("exercise", "check", "solution", "quiz")]
    record = 'lesson.record("a", [1.0], data="none")'
    lesson = write_lesson(
        OPENING, SIZES, claim, *stopping, record, RUN, STUDY, "raise ValueError('after the last study')"
    )
    make_studies([lesson])
    assert runs() == [0, 1, 2, 3]
    assert not (tmp_path / "ledger.csv").exists()
    assert state(lesson) == "fresh"


# ------------------------------------------------------------ found without running


@pytest.fixture
def made(write_lesson, monkeypatch, tmp_path):
    """Return a writer of a lesson whose study is stored, without starting a process."""
    from transfer_utils.course.studies import read_notebook
    from transfer_utils.course.study_cells import code_cells, sources
    from transfer_utils.lesson.studies.key import find_calls, key_parts
    from transfer_utils.lesson.studies.results import flattened
    from transfer_utils.lesson.studies.slicing import statements_of
    from transfer_utils.runtime.profile import PROFILES

    def make(*cells, profile="laptop", seeds=(0, 1, 2, 3), **options):
        lesson = write_lesson(*cells, **options)
        statements = statements_of(sources(code_cells(read_notebook(lesson))))
        for call in find_calls(statements):
            key = {**key_parts(statements, call, PROFILES[profile]), "data cells": "only known when it runs"}
            one = {seed: study_files.OneRun(flattened({"a": 1.0}), 1, 1, "c0ffee1", "CPU x") for seed in seeds}
            file = study_files.study_file(tmp_path / "studies", lesson.stem[:2], call.name, profile)
            study_files.write_study(file, study_files.StoredStudy(key, one, "2030-01-31", "2.0"))
        return lesson

    return make


def test_a_seed_that_is_lacking_is_named(made, write_lesson):
    lesson = made(OPENING, SIZES, RUN, STUDY, seeds=(0, 1))
    assert state(lesson) == "stale: seeds 2 and 3 missing"
    write_lesson(OPENING, SIZES, RUN, STUDY.replace("size.seeds", "size.seeds[:2]"))
    assert state(lesson) == "fresh"
    write_lesson(OPENING, SIZES, RUN, STUDY.replace("size.seeds", "range(3)"))
    assert state(lesson) == "stale: seed 2 missing"
    write_lesson(OPENING, SIZES, RUN, STUDY.replace("size.seeds", "draw()"))  # only a run can tell
    assert state(lesson) == "fresh"


def test_full_counts_where_it_is_stored(made, write_lesson):
    lesson = made(OPENING, SIZES, RUN, STUDY)
    assert len(list_studies([lesson]).splitlines()) == 2
    made(OPENING, SIZES, RUN, STUDY, profile="full", seeds=(0, 1))
    assert stale_studies([lesson]) == []
    write_lesson(OPENING, SIZES.replace("(1, 2, 3)", "(1, 2, 4)"), RUN, STUDY)
    assert stale_studies([lesson]) == ["42_heads.full.safetensors: stale: size.epochs: 3 is now 4"]


def test_what_does_not_belong_there_is_named(made, tmp_path, monkeypatch):
    lesson = made(OPENING, SIZES, RUN, STUDY)
    (tmp_path / "studies" / "42_gone.safetensors").write_bytes(b"1")
    (tmp_path / "studies" / "notes.txt").write_bytes(b"1")
    (tmp_path / "studies" / "43_of_another_lesson.safetensors").write_bytes(b"1")
    problems = ["42_gone.safetensors: no lesson has this study", "notes.txt: no lesson has this study"]
    assert stale_studies([lesson]) == problems
    monkeypatch.setattr("transfer_utils.course.studies.MOST_BYTES", 100)
    assert stale_studies([lesson])[2:] == [
        f"the studies take {sum(p.stat().st_size for p in (tmp_path / 'studies').iterdir()) / 1e6:.2f} MB, more than 0"
    ]


def test_a_damaged_file_is_stale(made, tmp_path):
    lesson = made(OPENING, SIZES, RUN, STUDY)
    (tmp_path / "studies" / "42_heads.safetensors").write_bytes(b"\x80\x04.")
    (problem,) = stale_studies([lesson])
    assert "is damaged" in problem


def test_lessons_without_studies(write_lesson):
    lesson = write_lesson("x = 1", "this is no python", name="plain")
    assert list_studies([lesson]) == "No lesson calls study(...)."
    assert stale_studies([lesson]) == []
    make_studies([lesson])


def test_a_study_in_a_notebook_without_a_number_is_refused(write_lesson):
    with pytest.raises(ValueError, match="must start with its number"):
        list_studies([write_lesson(OPENING, SIZES, RUN, STUDY, name="answers")])


def test_a_study_may_not_depend_on_an_exercise(write_lesson):
    lesson = write_lesson(OPENING, SIZES, RUN, ("size = 3\ndef run(): ...", "exercise"), STUDY)
    with pytest.raises(ValueError, match="depend on a cell of an exercise, .* which binds or changes run. Use ano"):
        list_studies([lesson])
