"""Exercises and solutions: one is made from the other, and the student edition holds only the first."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from transfer_utils.__main__ import main
from transfer_utils.course.editions import (
    drift,
    first_picture,
    is_fresh,
    read_notebook,
    source_hash,
    stamp,
    starter_of,
    student_edition,
    write_notebook,
)

SOLUTION = '''def double(x):
    """Return twice x."""
    # BEGIN SOLUTION
    twice = x + x
    return twice
    # END SOLUTION

# CHECK
assert double(2) == 4
'''
STARTER = '''def double(x):
    """Return twice x."""
    ...'''


IN_A_BLOCK = '''# @title Solution 00.1
with solution("00.1"):

    def double(x):
        """Return twice x."""
        # BEGIN SOLUTION
        twice = x + x
        return twice
        # END SOLUTION

    check(
        "00.1",
        double,
    )
'''


def cell(source, *tags, exercise=""):
    course = {"course": {"exercise": exercise}} if exercise else {}
    return new_code_cell(source, metadata={"tags": list(tags), **course})


@pytest.fixture
def lesson():
    """A small notebook with one exercise, executed."""
    shown = cell("print(1)")
    shown.execution_count = 1
    shown.outputs = [new_output("stream", name="stdout", text="1\n")]
    return new_notebook(
        cells=[
            new_markdown_cell("# A lesson"),
            shown,
            cell(STARTER, "exercise", exercise="00.1"),
            cell("double(2)", "check"),
            new_markdown_cell("<details><summary>Hint</summary>Add.</details>"),
            cell(SOLUTION, "solution", exercise="00.1"),
            new_markdown_cell("The solution adds.", metadata={"tags": ["solution"]}),
        ],
        metadata={"course": {"source_hash": "old"}},
    )


WITH_DOTS = IN_A_BLOCK.replace("with solution", "with lesson.solution").replace("    check(", "    lesson.check(")


@pytest.mark.parametrize("solution", [SOLUTION, IN_A_BLOCK, WITH_DOTS])
def test_starter_is_what_is_not_marked(solution):
    assert starter_of(solution) == STARTER


@pytest.mark.parametrize(
    ("solution", "starter"),
    [
        ("# BEGIN SOLUTION\npoints = 100 * 2\n# END SOLUTION\n# CHECK\nf(points)", "points = ..."),
        ("rates = [\n    # BEGIN SOLUTION\n    1, 2\n    # END SOLUTION\n]", "rates = [\n    ...\n]"),
        ("def f():\n    # BEGIN SOLUTION: return ...\n    return 3\n    # END SOLUTION", "def f():\n    return ..."),
        ("# BEGIN SOLUTION\na = 1\nb = 2\n# END SOLUTION\nc = 3", "...\nc = 3"),
        ("# BEGIN SOLUTION\na = 1\n# END SOLUTION\n# BEGIN SOLUTION\nb = 1\n# END SOLUTION", "a = ...\nb = ..."),
        (
            'with solution("01.1"):\n    # BEGIN SOLUTION\n    a = 1\n    # END SOLUTION\n    check("01.1", a, b=2)',
            "a = ...",
        ),
        (
            'with solution("01.1"):  # folded\n    def f():\n        # BEGIN SOLUTION: pass\n        return 1\n'
            '        # END SOLUTION\n\n    check("01.1", f)\n    # a word at the end',
            "def f():\n    pass",
        ),
    ],
)
def test_starter_of_other_forms(solution, starter):
    assert starter_of(solution) == starter


@pytest.mark.parametrize(
    ("solution", "complaint"),
    [
        ("x = 1", "nothing is marked"),
        ("# BEGIN SOLUTION\nx = 1", "without # END"),
        ("x = 1\n# END SOLUTION", "without # BEGIN"),
        ("# BEGIN SOLUTION\n# BEGIN SOLUTION\n# END SOLUTION", "a second"),
        (IN_A_BLOCK + "double(3)", "code stands outside the block"),
        ("import math\n" + IN_A_BLOCK, "code stands outside the block"),
        (IN_A_BLOCK.replace("check(", "print("), "calls no check"),
        (IN_A_BLOCK.replace('"00.1",\n', '"00.1\n'), "is no Python"),
        ('with solution("00.1"):\n    x = 1\n    check("00.1", x)', "nothing is marked"),
    ],
)
def test_marks_that_do_not_match_are_refused(solution, complaint):
    with pytest.raises(ValueError, match=complaint):
        starter_of(solution)


def test_student_edition_has_no_solutions_and_no_outputs(lesson):
    edition = student_edition(lesson)
    nbformat.validate(edition)
    assert "x + x" not in nbformat.writes(edition)
    assert [c.source for c in edition.cells][-1].startswith("<details>")
    assert all(c.outputs == [] and c.execution_count is None for c in edition.cells if c.cell_type == "code")
    assert [c.id for c in edition.cells] == [c.id for c in lesson.cells[:5]]
    assert lesson.cells[1].outputs, "the lesson itself is left as it was"


def test_no_drift_in_a_lesson_that_is_in_step(lesson):
    assert drift(lesson) == []


def test_a_solution_in_a_block_is_in_step_and_is_left_out(lesson):
    lesson.cells[5].source = IN_A_BLOCK
    assert drift(lesson) == []
    assert "with solution" not in nbformat.writes(student_edition(lesson))


def test_a_block_that_names_another_exercise_is_found(lesson):
    lesson.cells[5].source = IN_A_BLOCK.replace('solution("00.1")', 'solution("00.2")')
    assert drift(lesson) == ["solution 00.1: its block is that of another exercise"]
    lesson.cells[5].source = IN_A_BLOCK.replace('        "00.1",', '        "00.2",')
    assert drift(lesson) == ["solution 00.1: its block is that of another exercise"]


def test_two_functions_may_stand_closer_in_a_block(lesson):
    two = "def a():\n    ...\n\n\ndef b():\n    ..."
    lesson.cells[2].source = two
    body = "    def a():\n        # BEGIN SOLUTION\n        return 1\n        # END SOLUTION\n"
    lesson.cells[5].source = f'with solution("00.1"):\n{body}\n{body.replace("a()", "b()")}\n    check("00.1", a)'
    assert drift(lesson) == []


def test_drift_is_found(lesson):
    lesson.cells[2].source = STARTER.replace("twice x", "2 x")
    (problem,) = drift(lesson)
    assert "00.1" in problem
    assert STARTER in problem, "it says what the starter should be"


def test_exercise_and_solution_that_lack_each_other_are_found(lesson):
    lesson.cells[5].metadata["course"] = {"exercise": "00.2"}
    assert drift(lesson) == ["exercise 00.1 has no solution", "solution 00.2 has no exercise"]
    del lesson.cells[2].metadata["course"]
    assert "a cell tagged 'exercise' has no metadata course.exercise" in drift(lesson)


def test_command_writes_editions(lesson, tmp_path, capsys):
    write_notebook(lesson, tmp_path / "00_sample.ipynb")
    assert main(["student", str(tmp_path / "00_sample.ipynb"), str(tmp_path / "student")]) == 0
    assert "1 notebook" in capsys.readouterr().out
    assert "x + x" not in (tmp_path / "student/00_sample.ipynb").read_text()


def test_command_writes_nothing_where_there_is_drift(lesson, tmp_path, capsys):
    lesson.cells[2].source = "..."
    write_notebook(lesson, tmp_path / "00_sample.ipynb")
    assert main(["student", str(tmp_path / "00_sample.ipynb"), str(tmp_path / "student")]) == 1
    assert "00_sample.ipynb: exercise 00.1" in capsys.readouterr().err
    assert not (tmp_path / "student").exists()


def test_stamp_tells_when_the_code_changed(lesson, tmp_path):
    path = tmp_path / "lesson.ipynb"
    write_notebook(lesson, path)
    assert not is_fresh(read_notebook(path))
    stamp(path)
    stamped = read_notebook(path)
    assert is_fresh(stamped)
    stamped.cells[0].source = "# Another title"
    assert is_fresh(stamped), "text may change without a new run"
    stamped.cells[1].source = "print(2)"
    assert not is_fresh(stamped)


def test_hash_tells_cells_apart():
    one, two = new_notebook(cells=[new_code_cell("a\nb")]), new_notebook(cells=[new_code_cell("a"), new_code_cell("b")])
    assert source_hash(one) != source_hash(two)


def test_writing_keeps_a_notebook_byte_for_byte(lesson, tmp_path):
    write_notebook(lesson, tmp_path / "a.ipynb")
    write_notebook(read_notebook(tmp_path / "a.ipynb"), tmp_path / "b.ipynb")
    assert (tmp_path / "a.ipynb").read_bytes() == (tmp_path / "b.ipynb").read_bytes()


NO_CELLS = "is not a notebook of format 4: it holds no list of cells."
OLDER = "is not a notebook of format 4: it is of an older format. Open and save it in Jupyter."


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"", "is not a notebook: it does not hold JSON."),
        (b"\x89PNG\xff\xfe", "is not a notebook: it does not hold JSON."),
        (b"{}", NO_CELLS),
        (b"[]", NO_CELLS),
        (b"3", NO_CELLS),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}}', NO_CELLS),
        (b'{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{}]}', NO_CELLS),
        (b'{"nbformat": 4, "metadata": {}, "cells": [{"cell_type": "code", "source": "", "metadata": {}}]}', NO_CELLS),
        (b'{"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": []}]}', OLDER),
        (b'{"nbformat": 5, "metadata": {}, "cells": []}', "is not a notebook of format 4: it says nbformat 5."),
    ],
)
def test_a_file_that_is_no_notebook_is_said_in_one_line(content, complaint, tmp_path, capsys):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    for command in (["student", str(path), str(tmp_path / "out")], ["times", str(path)], ["stamp", str(path)]):
        assert main(command) == 1
        assert capsys.readouterr().err == f"{command[0]}: {path} {complaint}\n"
    assert path.read_bytes() == content


def test_first_picture():
    picture = new_output(
        "display_data", data={"image/png": "aGVsbG8="}, metadata={"image/png": {"alt": "A line that rises."}}
    )
    shown = cell("plot()", "readme-picture")
    shown.outputs = [new_output("stream", name="stdout", text="x"), picture]
    assert first_picture(new_notebook(cells=[shown]), "readme-picture") == (b"hello", "A line that rises.")
    assert first_picture(new_notebook(), "readme-picture") is None
