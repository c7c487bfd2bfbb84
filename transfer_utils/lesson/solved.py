"""Which exercises a learner has solved, and when: a small JSON file of their own, which git ignores.

It is ``TRANSFER_PROGRESS`` where that is set, else ``notebooks/my_progress.json`` in a checkout of the course, else
``my_progress.json`` in the current folder:

    {"01.2": {"title": "Freeze the body", "solved": "2026-11-23T14:05:00+00:00"}}
"""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from ..runtime.files import checkout, write_atomically
from ..runtime.progress import is_build
from .checks.registry import exercises_of, lessons
from .headings import exercise_headings
from .opening import current_lesson

_NUMBER = re.compile(r"[0-9]{2}\.[0-9]+")


def progress_path() -> Path:
    """Return the file that remembers which exercises were solved."""
    if os.environ.get("TRANSFER_PROGRESS"):
        return Path(os.environ["TRANSFER_PROGRESS"]).expanduser()
    root = checkout()
    return (root / "notebooks" if root else Path.cwd()) / "my_progress.json"


def remember(number: str, title: str) -> None:
    """Write down that exercise ``number`` was solved now; the first time counts.

    Where the course is built nothing is written. A file that is damaged or cannot be written is said in one line,
    and left as it is: no lesson stops for it.
    """
    if is_build() or not _NUMBER.fullmatch(number):
        return
    path = progress_path()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock", timeout=5):
            solved = read_solved()
            if number not in solved:
                solved[number] = {"title": title, "solved": datetime.now().astimezone().isoformat(timespec="seconds")}
                text = json.dumps(dict(sorted(solved.items())), indent=1, ensure_ascii=False) + "\n"
                write_atomically(path, lambda part: part.write_text(text, encoding="utf-8"))
    except (OSError, ValueError) as error:
        print(f"(It is not on your list of solved exercises: {error})")


def read_solved() -> dict[str, dict[str, str]]:
    """Return what was solved: number of the exercise -> its ``title``, and when it was ``solved`` (ISO 8601).

    Raises:
        ValueError: the file is damaged.
        OSError: it cannot be read.
    """
    path = progress_path()
    if not path.exists():
        return {}
    try:
        solved = json.loads(path.read_text(encoding="utf-8"))
        for number, entry in solved.items():
            if not _NUMBER.fullmatch(number):
                raise ValueError(f"{number!r} is not the number of an exercise")
            datetime.fromisoformat(entry["solved"])
            entry["title"] + ""
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"the file {path} is damaged. Repair or delete it.") from error
    return solved


def progress_table() -> str:
    """Return a table of all lessons and their exercises: solved when, or open.

    Raises:
        ValueError, OSError: as :func:`read_solved`.
    """
    solved, titles = read_solved(), _titles()
    numbers = sorted({*titles, *solved}, key=_order)
    width = max((len(titles.get(number) or solved[number]["title"]) for number in numbers), default=0)
    lines = []
    for lesson in sorted({number[:2] for number in numbers}):
        here = [number for number in numbers if number[:2] == lesson]
        done = sum(number in solved for number in here)
        lines.append(f"Lesson {_name(lesson)}: {done} of {len(here)} solved")
        for number in here:
            title = titles.get(number) or solved[number]["title"]
            lines.append(f"  {number}  {title:{width}}  {_when(solved.get(number))}")
    return "\n".join(lines or ["There are no exercises here, and none is on your list."])


def show_progress() -> None:
    """Print which exercises of this lesson are solved, and which are open; in stored outputs all are open."""
    lesson = current_lesson()[:2]
    try:
        solved = {} if is_build() else read_solved()
    except (OSError, ValueError) as error:
        print(f"Which exercises you solved cannot be said: {error}")
        return
    numbers = [number for number in sorted(_titles(), key=_order) if number[:2] == lesson]
    done = [number for number in numbers if number in solved]
    still = [number for number in numbers if number not in solved]
    print(f"Exercises of this lesson: {len(done)} of {len(numbers)} solved"
          + (f" ({', '.join(done)})" if done else "")
          + (f"; open: {', '.join(still)}." if still else "."))  # fmt: skip
    print("All lessons: python -m transfer_utils progress")


def _titles() -> dict[str, str]:
    """Return number -> title of every exercise: from the files of checks, and from the notebooks that have none."""
    titles = {one.number: one.title for lesson in lessons() for one in exercises_of(lesson)}
    with_checks = set(lessons())
    for path in _notebooks():
        if path.name[:2] not in with_checks:
            titles |= _titles_in(path)
    return titles


def _titles_in(path: Path) -> dict[str, str]:
    """Return number -> title of the exercises in a notebook."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        numbers = [cell["metadata"]["course"]["exercise"] for cell in cells
                   if "exercise" in cell["metadata"].get("tags", []) and "course" in cell["metadata"]]  # fmt: skip
    except (OSError, ValueError, KeyError, TypeError):  # a learner's notebook may be half-written: it has no exercises
        return {}
    headings = {heading.number: heading.title for heading in exercise_headings(text)}
    return {number: headings.get(number, "") for number in numbers}


def _notebooks() -> list[Path]:
    root = checkout()
    return sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")) if root else []


def _name(lesson: str) -> str:
    return next((path.stem.replace("_", " ") for path in _notebooks() if path.name.startswith(lesson)), lesson)


def _order(number: str) -> tuple[int, ...]:
    return tuple(map(int, number.split(".")))


def _when(entry: dict[str, str] | None) -> str:
    return f"solved {datetime.fromisoformat(entry['solved']):%Y-%m-%d %H:%M}" if entry else "open"
