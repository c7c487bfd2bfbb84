"""The heading of an exercise, which the list of progress, the minutes and the rules of a lesson read."""

import pytest

from transfer_utils.lesson.headings import TERMS, exercise_headings


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        (f"### 01.2 Freeze the body {TERMS}", ("01.2", "Freeze the body", 10, True)),
        ("### 01.10 One (and only) *(hard, 1 minute)*  ", ("01.10", "One (and only)", 1, False)),
        ("### 01.1 *(easy, 15 minutes)*", ("01.1", "", 15, False)),
        ("### 01.4 Forgotten *(easy)*", ("01.4", "Forgotten", None, False)),
        ("### 01.4 Takes (5 minutes)", ("01.4", "Takes (5 minutes)", None, False)),
        ("### 01.4 Bare", ("01.4", "Bare", None, False)),
        ("### 01.2 a *(difficulty 6/5, importance 4/5, 10 minutes)*", ("01.2", "a", 10, False)),
    ],
)
def test_what_a_heading_says(line, heading):
    assert exercise_headings(f"## Exercises\n\n{line}\n\nIt takes 99 minutes)*") == [heading]


@pytest.mark.parametrize("line", ["### Not one (3 minutes)", "# 01.2 Title", "01.2 Title", "### 1.2 a", "#### 01.2 a"])
def test_other_lines_are_no_exercises(line):
    assert exercise_headings(line) == []
