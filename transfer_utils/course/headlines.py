"""What each lesson found, in a line: its question, and a claim that its stored outputs hold.

Nobody types a headline. The question is the bold sentence of the lesson's title cell, and what was found is the
sentence of a claim as the last run printed it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from .editions import cells_tagged, read_notebook

_CLAIM = re.compile(r"^Claim holds: (?P<sentence>.+[.!?])(?: \((?P<evidence>.*)\))? \[laptop\]$", re.M)
_QUESTION = re.compile(r"\*\*(?P<question>[^*]+\?)\*\*")
_PREFIX = "The question of this lesson: "  # of the first edition
_INTERVAL = re.compile(r"\[-?[\d.]+, -?[\d.]+\]")


@dataclass(frozen=True)
class Claim:
    """A claim that held when the outputs were made: its sentence, and the evidence that was printed after it."""

    sentence: str
    evidence: str


def claims_of(cells: list[NotebookNode]) -> list[Claim]:
    """Return the claims that hold in the stored outputs of ``cells``, from the profile laptop, in their order."""
    texts = [output.get("text", "") for cell in cells for output in cell.get("outputs", [])]
    return [Claim(match["sentence"], match["evidence"] or "") for text in texts for match in _CLAIM.finditer(text)]


def questions_of(notebook: NotebookNode) -> list[str]:
    """Return the bold questions of the title cell; a lesson has one.

    Example:
        >>> from nbformat.v4 import new_markdown_cell, new_notebook
        >>> questions_of(new_notebook(cells=[new_markdown_cell("# 01 · Features\\n\\n**How far do they carry?**")]))
        ['How far do they carry?']
    """
    if not notebook.cells:
        return []
    found = [" ".join(match["question"].split()) for match in _QUESTION.finditer(notebook.cells[0].source)]
    questions = [question.removeprefix(_PREFIX) for question in found]
    return [question[0].upper() + question[1:] for question in questions]


def finding_of(notebook: NotebookNode) -> str:
    """Return the sentence that the lesson is remembered by, or ``""``.

    It is the first claim of the cell tagged ``headline``. A lesson without such a cell, from the first edition, is
    given its first claim whose evidence holds an interval: a statement about data, and one that says how sure it is.
    """
    if chosen := cells_tagged(notebook, "headline"):
        claims = claims_of(chosen)
    else:
        claims = [claim for claim in claims_of(notebook.cells) if _INTERVAL.search(claim.evidence)]
    return claims[0].sentence if claims else ""


def headlines_table(root: Path) -> str:
    """Return the table of what the written lessons below ``root`` ask and found, as Markdown."""
    lines = ["| lesson | question | what was found |", "|---|---|---|"]
    for path in sorted((root / "notebooks").glob("[0-9][0-9]_*.ipynb")):
        notebook = read_notebook(path)
        question = " ".join(questions_of(notebook)[:1])
        cells = (f"[{path.stem[:2]}](notebooks/{path.name})", question, finding_of(notebook))
        lines.append("| " + " | ".join(cell.replace("|", "/") for cell in cells) + " |")
    return "\n".join(lines) + "\n"
