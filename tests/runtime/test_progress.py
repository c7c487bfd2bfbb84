"""Progress bars where a person sees them: in a terminal and in a notebook, and nothing is left of them."""

import itertools

import nbformat
import pytest
from nbclient import NotebookClient

from transfer_utils.runtime.files import checkout
from transfer_utils.runtime.progress import progress_bar

# The clock of tqdm goes on by a second whenever it is asked, so that no test waits for one.
CLOCK = "import itertools, tqdm.std; tqdm.std.time = itertools.count().__next__\n"
COUNT = (
    CLOCK
    + """from transfer_utils.runtime.progress import progress_bar
print("before")
for _ in progress_bar(range(3), "counting"):
    pass
print("after")"""
)
FAIL = """try:
    for number in progress_bar(range(3), "stopped early"):
        list(progress_bar(range(3), "inside"))
        1 / (1 - number)
except ZeroDivisionError:
    print("over")"""


@pytest.fixture(autouse=True)
def _somebody_watches(monkeypatch):
    monkeypatch.delenv("COURSE_STATIC", raising=False)
    monkeypatch.setattr("tqdm.std.time", itertools.count().__next__)


def test_in_a_terminal_a_bar_is_drawn_and_wiped(capsys):
    assert list(progress_bar(range(3), "counting")) == [0, 1, 2]
    drawn = capsys.readouterr().err.split("\r")
    assert any(line.startswith("counting:") and "3/3" in line for line in drawn)
    assert [line for line in drawn if line][-1].isspace()


def test_what_takes_less_than_a_second_shows_no_bar(capsys, monkeypatch):
    monkeypatch.setattr("tqdm.std.time", lambda: 0.0)
    assert list(progress_bar(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize("before", ["", "import sys; sys.modules['ipywidgets'] = None\n"])
def test_in_a_notebook_a_bar_is_drawn_and_leaves_nothing_behind(before, monkeypatch):
    """In a real kernel, with ipywidgets and where it is not installed: no warning, no widget, no text stays."""
    monkeypatch.setenv("PYTHONPATH", str(checkout()))
    cells = [nbformat.v4.new_code_cell(source) for source in (before + COUNT, FAIL)]
    shown = []

    class Watched(NotebookClient):
        def process_message(self, message, *rest):
            shown.append(message["content"].get("data", {}).get("text/plain", ""))
            return super().process_message(message, *rest)

    Watched(nbformat.v4.new_notebook(cells=cells), timeout=120).execute()
    for bar in ("counting: 100%", "stopped early:", "inside: 100%"):
        assert any(text.startswith(bar) and "█" in text for text in shown)
    left = [[out for out in cell.outputs if out.output_type != "display_data" or out.data] for cell in cells]
    assert [[(out.get("name"), out.get("text")) for out in outputs] for outputs in left] == [
        [("stdout", "before\n"), ("stdout", "after\n")],
        [("stdout", "over\n")],
    ]
