"""How long a lesson takes: computed from its cells, and written into its title cell.

Reading takes a minute for 150 words, half a minute for a code cell, and half a minute for a picture. The exercises take
the minutes that their headings state, ``### 01.2 Title *(difficulty 2/5, importance 4/5, 10 minutes)*``.

- Words are those of the Markdown cells, folded answers and speaker notes included. Code blocks, formulas, addresses,
  HTML tags, pictures and the statement of the time itself are none.
- Code cells tagged setup, exercise, check or solution do not count: the first is the same in every lesson, and the
  minutes of an exercise hold the others. Nor do empty cells.
- Pictures are the stored outputs of the cells that count, and the pictures of the text (not badges from the web).
- Both parts are rounded to five minutes, and their sum is stated.
"""

from __future__ import annotations

import re
from pathlib import Path

from nbformat import NotebookNode

from ..lesson.headings import TERMS, exercise_headings
from .editions import read_notebook, tags, write_notebook

WORDS_A_MINUTE, MINUTES_A_CELL, MINUTES_A_PICTURE, ROUNDED_TO = 150, 0.5, 0.5, 5
NOT_COUNTED = {"setup", "exercise", "check", "solution"}

_STATED = re.compile(r"(?<=\*Time:\*)(?P<time>(?:(?!\n\n)[^.]|(?<=\d)\.(?=\d))*)(?=\.)")  # 1.5 goes on
_PICTURE = re.compile(r"!\[[^\]]*\]\((?P<target>[^)]*)\)")
_NOT_WORDS = re.compile(
    r"```.*?```|~~~.*?~~~|\$\$.*?\$\$|\$[^$\n]+\$|\\\\?\(.*?\\\\?\)|\\\\?\[.*?\\\\?\]"  # code blocks and formulas
    r"|<!--.*?-->|</?[a-zA-Z][^>]*>|\]\([^)]*\)|https?://\S+",  # tags and addresses
    re.S,
)


def stated_time(notebook: NotebookNode) -> str:
    """Return what a lesson states as its time, such as "70 minutes: 25 to read, 45 for the exercises".

    Raises:
        ValueError: the heading of an exercise says no minutes.
    """
    reading, exercises = _rounded(reading_minutes(notebook)), _rounded(exercise_minutes(notebook))
    if not exercises:
        return f"{reading} minutes to read"
    return f"{reading + exercises} minutes: {reading} to read, {exercises} for the exercises"


def reading_minutes(notebook: NotebookNode) -> float:
    """Return the minutes that reading takes, not rounded; how they are counted stands at the top of this file."""
    text = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    code = [cell for cell in notebook.cells
            if cell.cell_type == "code" and cell.source.strip() and not tags(cell) & NOT_COUNTED]  # fmt: skip
    drawn = sum(any(form.startswith("image/") for form in output.get("data", {}))
                for cell in code for output in cell.outputs)  # fmt: skip
    drawn += sum(not found["target"].startswith("http") for source in text for found in _PICTURE.finditer(source))
    words = sum(map(count_words, text))
    return words / WORDS_A_MINUTE + MINUTES_A_CELL * len(code) + MINUTES_A_PICTURE * drawn


def count_words(markdown: str) -> int:
    """Return the number of words that a reader of Markdown reads.

    >>> count_words("See [the paper](https://a.org/b.pdf): `fit` moves $x^2$ *once*.")
    6
    """
    text = _PICTURE.sub(" ", _STATED.sub(" ", markdown))
    return len(re.findall(r"\S*[^\W_]\S*", _NOT_WORDS.sub(" ", text)))


def exercise_minutes(notebook: NotebookNode) -> int:
    """Return the sum of the minutes in the headings of the exercises.

    Raises:
        ValueError: a heading says none.
    """
    minutes = 0
    for cell in notebook.cells:
        for heading in exercise_headings(cell.source) if cell.cell_type == "markdown" else ():
            if heading.minutes is None:
                raise ValueError(f"The heading of exercise {heading.number} says no minutes: end it with {TERMS}.")
            minutes += heading.minutes
    return minutes


def time_is_stated(notebook: NotebookNode) -> bool:
    """Return whether the title cell states the time that the cells give."""
    found = _STATED.search(_title_cell(notebook).source)
    return found is not None and found["time"] == f" {stated_time(notebook)}"


def write_time(path: Path) -> str:
    """Write the time of a lesson into its title cell, from ``*Time:*`` to the next full stop, and return it.

    A point between digits, as in "1.5 hours", is no full stop.

    Nothing else changes; where the cell states the time already, the file is left alone.

    Raises:
        ValueError: the title cell has no ``*Time:*`` with a full stop after it, or an exercise says no minutes.
    """
    notebook = read_notebook(path)
    title, time = _title_cell(notebook), stated_time(notebook)
    if not _STATED.search(title.source):
        raise ValueError(f"{path}: the title cell needs '*Time:* ... .' for the time to be written into.")
    written = _STATED.sub(f" {time}", title.source, count=1)
    if written != title.source:
        title.source = written
        write_notebook(notebook, path)
    return time


def _title_cell(notebook: NotebookNode) -> NotebookNode:
    """Return the cell with the first-level heading."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown" and re.search(r"^# ", cell.source, re.M)]
    if not cells:
        raise ValueError("The notebook has no title: a Markdown cell with a heading '# NN · Title'.")
    return cells[0]


def _rounded(minutes: float) -> int:
    """Return minutes to the next five, and at least five where there are any."""
    return ROUNDED_TO * max(int(minutes / ROUNDED_TO + 0.5), minutes > 0)
