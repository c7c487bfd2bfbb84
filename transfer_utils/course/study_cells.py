"""Runs the cells of one lesson up to its last study, so that its runs are computed and stored.

``python -m transfer_utils.course.study_cells NOTEBOOK`` is what ``make studies`` starts for each lesson: a process of
its own, with an IPython shell, because a study reads the source of the cells that ran.
"""

from __future__ import annotations

import contextlib
import io
import sys
from pathlib import Path

from nbformat import NotebookNode

from ..lesson.studies.key import find_calls
from ..lesson.studies.slicing import statements_of
from .editions import read_notebook, tags

LEFT_OUT = {"exercise", "check", "solution", "quiz"}  # no study depends on them
INTERRUPTED = 130


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells that a study may depend on, in order."""
    return [cell for cell in notebook.cells if cell.cell_type == "code" and not tags(cell) & LEFT_OUT]


def sources(cells: list[NotebookNode]) -> list[str]:
    """Return the sources of cells as IPython would note them: magics are calls there."""
    from IPython.core.inputtransformer2 import TransformerManager

    transform = TransformerManager().transform_cell
    return [transform(cell.source) for cell in cells]


def run_to_last_study(path: Path) -> int:
    """Run the cells of the lesson at ``path``; return 0, 1 after an error, or 130 after Ctrl-C."""
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    cells = code_cells(read_notebook(path))
    last = max(
        (number for number, source in enumerate(sources(cells)) if find_calls(statements_of([source]))), default=-1
    )
    config = Config()
    config.HistoryManager.enabled = False
    config.InteractiveShell.colors = "nocolor"
    shell = InteractiveShell.instance(config=config)
    for cell in cells[: last + 1]:
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            result = shell.run_cell(cell.source, store_history=True)
        error = result.error_before_exec or result.error_in_exec
        if isinstance(error, KeyboardInterrupt):
            return INTERRUPTED
        if error is not None and "claim" not in tags(cell):  # a claim may wait for the very runs that are computed
            print(printed.getvalue(), file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    try:
        sys.exit(run_to_last_study(Path(sys.argv[1])))
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
