"""How the outputs that are committed are made: one lesson after the other, in ``laptop``, measured."""

from __future__ import annotations

import csv
import io
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from ..runtime.files import write_atomically
from .editions import stamp

PROFILE = "laptop"
OVERRULING = ("TRANSFER_BACKBONE", "TRANSFER_ENCODER")  # outputs of laptop come from the models of laptop


@dataclass(frozen=True)
class Run:
    """What the run of one lesson cost: seconds, and the highest memory of all its processes in MB."""

    seconds: float
    peak_mb: float


def execute_lessons(paths: list[Path], ledger: Path) -> None:
    """Run lessons in order, store their outputs in place, and write their rows of the ledger.

    They share a cache that is empty at the start. A lesson that fails keeps its old outputs
    and its old rows, and stops the run.

    Raises:
        RuntimeError: a lesson failed; what it printed was shown.
    """
    with tempfile.TemporaryDirectory(prefix="course-") as scratch:
        for path in paths:
            draft = Path(scratch) / "ledger.csv"
            _ledger_without(ledger, path.stem, draft)
            run = _execute(path, {"TRANSFER_CACHE": str(Path(scratch) / "cache"), "TRANSFER_LEDGER": str(draft)})
            stamp(path)
            if draft.exists():
                write_atomically(ledger, lambda part, draft=draft: shutil.copyfile(draft, part))
            print(f"{path.stem:32} {run.seconds:6.0f} s   {run.peak_mb:6.0f} MB", flush=True)


def _ledger_without(ledger: Path, lesson: str, draft: Path) -> None:
    """Copy ``ledger`` to ``draft`` without the rows that this run of ``lesson`` will write anew."""
    draft.unlink(missing_ok=True)
    if not ledger.exists():
        return
    with open(ledger, newline="", encoding="utf-8") as file:
        header, *rows = csv.reader(file)
    place, size = header.index("lesson"), header.index("profile")
    text = io.StringIO()
    kept = [row for row in rows if (row[place], row[size]) != (lesson, PROFILE)]
    csv.writer(text, lineterminator="\n").writerows([header, *kept])
    draft.write_text(text.getvalue(), encoding="utf-8")


def _execute(path: Path, environment: dict[str, str]) -> Run:
    """Run one notebook with nbconvert, which writes the outputs in place only when every cell ran."""
    inherited = {name: text for name, text in os.environ.items() if name not in OVERRULING}
    settings = {"COURSE_STATIC": "1", "COURSE_BUILD": "1", "TRANSFER_PROFILE": PROFILE, **environment}
    command = [sys.executable, "-m", "nbconvert", "--to", "notebook", "--execute", "--inplace", "--log-level=WARN",
               "--ExecutePreprocessor.record_timing=False", str(path)]  # fmt: skip
    start, peak = time.perf_counter(), 0.0
    process = psutil.Popen(command, env={**inherited, **settings})
    try:
        while process.poll() is None:
            peak = max(peak, _memory_of_tree(process))
            time.sleep(0.1)
    finally:  # interrupted: a run that goes on alone would slow down, and write over, the next one
        if process.poll() is None:
            process.terminate()
    if process.returncode:
        raise RuntimeError(f"{path} failed; its outputs and its rows of the ledger are as they were.")
    return Run(time.perf_counter() - start, peak)


def _memory_of_tree(process: psutil.Process) -> float:
    """Return the resident memory of a process and all below it, in MB (10^6 bytes)."""
    total = 0
    try:
        for member in [process, *process.children(recursive=True)]:
            total += member.memory_info().rss
    except psutil.NoSuchProcess:  # it ended between the listing and the question
        pass
    return total / 1e6
