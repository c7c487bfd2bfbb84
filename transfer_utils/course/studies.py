"""The stored runs of lessons: what there is, what is stale, and how it is made.

What is stale is found in the notebooks' source, without running them. What depends on the labels of a data set is left
to run time: the key of a study holds them too, and ``study`` itself compares them.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from ..lesson.studies.files import MOST_BYTES, DamagedStudy, StoredStudy, read_study, study_file
from ..lesson.studies.key import DATA, Call, find_calls, key_parts, seeds_in, what_changed
from ..lesson.studies.runs import shown_seeds
from ..lesson.studies.slicing import statements_of
from ..runtime.profile import PROFILES
from .editions import read_notebook
from .study_cells import INTERRUPTED, code_cells, sources

STORED_PROFILES = ("laptop", "full")
# Stored runs come from the models of the profile; and making them is no build, which a stale study would stop.
OVERRULING = ("TRANSFER_BACKBONE", "TRANSFER_ENCODER", "COURSE_BUILD")


@dataclass(frozen=True)
class Status:
    """One study of a lesson in one profile: ``state`` is ``fresh``, ``missing`` or ``stale: what changed``."""

    lesson: Path
    name: str
    profile: str
    file: Path
    stored: StoredStudy | None
    state: str


def list_studies(lessons: Iterable[Path], folder: Path | None = None) -> str:
    """Return a table of the studies of ``lessons``: profile, seeds, commit, machine, PyTorch, date, size, state.

    Args:
        folder: where the files lie (default: ``studies`` beside each lesson).
    """
    rows = [("study", "profile", "seeds", "commit", "machine", "torch", "date", "kB", "state")]
    for status in statuses(lessons, folder):
        stored = status.stored
        known = ("",) * 6
        if stored:
            size = f"{status.file.stat().st_size / 1000:.0f}"
            known = (str(len(stored.runs)), stored.commit, stored.machine, stored.torch, stored.date, size)
        rows.append((f"{status.lesson.stem[:2]} {status.name}", status.profile, *known, status.state))
    if len(rows) == 1:
        return "No lesson calls study(...)."
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)


def stale_studies(lessons: Iterable[Path], folder: Path | None = None) -> list[str]:
    """Return a line for each study of ``lessons`` that is stale or missing, and what else is wrong in their folder.

    In the profile full a study may be missing. A file without a study is named too, and files that take more than 10 MB
    together.
    """
    lessons = list(lessons)
    found = statuses(lessons, folder)
    problems = [f"{status.file.name}: {status.state}" for status in found if status.state != "fresh"]
    known = {status.file for status in found}
    for place in {folder or lesson.parent / "studies" for lesson in lessons}:
        files = (
            sorted(path for path in place.glob("*") if path.suffix != ".md" and not path.name.startswith("."))
            if place.is_dir()
            else []
        )
        ours = [lesson.stem[:2] for lesson in lessons]
        for path in files:
            if path not in known and (path.name[:2] in ours or not re.match(r"\d\d_", path.name)):
                problems.append(f"{path.name}: no lesson has this study")
        size = sum(path.stat().st_size for path in files)
        problems += [f"the studies take {size / 1e6:.2f} MB, more than {MOST_BYTES / 1e6:.0f}"] * (size > MOST_BYTES)
    return problems


def statuses(
    lessons: Iterable[Path], folder: Path | None = None, profiles: Iterable[str] = STORED_PROFILES
) -> list[Status]:
    """Return the state of each study of ``lessons``; in the profile full only of those that are stored.

    Raises:
        ValueError: a lesson's name does not start with its number, or a study depends on a cell that is left out.
    """
    found = []
    for lesson in map(Path, lessons):
        calls = _calls(lesson)
        if calls and not re.match(r"\d\d_", lesson.name):
            raise ValueError(f"{lesson.name} has a study, so its name must start with its number, as 01_name.ipynb.")
        for profile in profiles:
            for statements, call in calls.values():
                file = study_file(folder or lesson.parent / "studies", lesson.stem[:2], call.name, profile)
                if profile == "laptop" or file.exists() or list(profiles) == [profile]:
                    stored, state = _state(statements, call, profile, file)
                    found.append(Status(lesson, call.name, profile, file, stored, state))
    return found


def _calls(lesson: Path) -> dict[str, tuple[list, Call]]:
    """Return the studies of a lesson by name, each with the statements that it was found among."""
    notebook = read_notebook(lesson)
    statements = statements_of(sources(code_cells(notebook)))
    calls = {call.name: (statements, call) for call in find_calls(statements)}
    everything = statements_of(sources([cell for cell in notebook.cells if cell.cell_type == "code"]))
    laptop = PROFILES["laptop"]
    for other in find_calls(everything):
        if other.name in calls:
            parts, disturbed = key_parts(*calls[other.name], laptop), key_parts(everything, other, laptop)
            if parts != disturbed:
                names = sorted(name for name in {*parts} & {*disturbed} if parts[name] != disturbed[name])
                raise ValueError(
                    f"{lesson.name}: the study {other.name!r} would depend on a cell of an exercise, a check, a "
                    f"solution or a quiz, which binds or changes {', '.join(names)}. Use another name there."
                )
    return calls


def _state(statements: list, call: Call, profile: str, file: Path) -> tuple[StoredStudy | None, str]:
    try:
        stored = read_study(file)
    except DamagedStudy as error:
        return None, f"stale: {error}"
    if stored is None:
        return None, "missing"
    kept = {label: text for label, text in stored.key.items() if not label.startswith(DATA)}
    if changed := what_changed(kept, key_parts(statements, call, PROFILES[profile])):
        return stored, f"stale: {changed}"
    lacking = [seed for seed in seeds_in(statements, call, profile) if seed not in stored.runs]
    return stored, f"stale: {shown_seeds(lacking)} missing" if lacking else "fresh"


# ------------------------------------------------------------ making


def make_studies(lessons: Iterable[Path], folder: Path | None = None) -> None:
    """Compute and store the runs that are missing or stale, lesson by lesson, each in a process of its own.

    The profile is ``laptop``, or ``full`` where ``TRANSFER_PROFILE`` says so. A study that is fresh is left alone.

    Raises:
        RuntimeError: a cell of a lesson failed; what it printed was shown.
        SystemExit: 130 after Ctrl-C. What was computed is kept, but for the run that was going on.
    """
    profile = "full" if os.environ.get("TRANSFER_PROFILE") == "full" else "laptop"
    lessons = [Path(lesson).absolute() for lesson in lessons]
    for lesson in lessons:
        place = folder or lesson.parent / "studies"
        wanting = [s.name for s in statuses([lesson], place, [profile]) if s.state != "fresh"]
        if not wanting:
            continue
        print(f"{lesson.stem}: {', '.join(wanting)} in the profile {profile}. The cells before come first.", flush=True)
        status = _run_cells(lesson, place, profile)
        if status in (INTERRUPTED, -signal.SIGINT):
            print("Interrupted. Every run that was finished is kept; the same command goes on from there.", flush=True)
            raise SystemExit(INTERRUPTED)
        if status:
            raise RuntimeError(f"{lesson.name} failed before its last study was complete; the runs before are kept.")


def _run_cells(lesson: Path, place: Path, profile: str) -> int:
    """Run the cells of a lesson in a child process and return its exit status; Ctrl-C ends the child first."""
    with tempfile.TemporaryDirectory(prefix="studies-") as scratch:
        command = [sys.executable, "-m", "transfer_utils.course.study_cells", str(lesson)]
        child = subprocess.Popen(command, cwd=lesson.parent, env=_environment(place, profile, Path(scratch)))
        try:
            return child.wait()
        except KeyboardInterrupt:
            end_interrupted(child)
            return INTERRUPTED
        finally:
            if child.poll() is None:
                child.terminate()
                child.wait()


def end_interrupted(child: subprocess.Popen) -> None:
    """Wait for a child after Ctrl-C, which a terminal sends to the child as well; where it did not, pass it on."""
    try:
        # Windows knows no SIGINT for one process, and its console always tells the child
        child.wait(None if os.name == "nt" else 2)
    except subprocess.TimeoutExpired:
        child.send_signal(signal.SIGINT)
        child.wait()


def _environment(place: Path, profile: str, scratch: Path) -> Mapping[str, str]:
    """Return the environment of the child: outputs that need no screen, and no file written but those of studies."""
    package = str(Path(__file__).resolve().parents[2])
    inherited = {name: text for name, text in os.environ.items() if name not in OVERRULING}
    paths = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH", "")]))
    return {**inherited, "PYTHONPATH": paths, "COURSE_STUDIES": "make", "TRANSFER_STUDIES": str(place),
            "COURSE_STATIC": "1", "MPLBACKEND": "Agg", "TRANSFER_PROFILE": profile,
            "IPYTHONDIR": str(scratch / "ipython"), "TRANSFER_LEDGER": str(scratch / "ledger.csv"),
            "TRANSFER_PROGRESS": str(scratch / "progress.json")}  # fmt: skip
