"""The learner's list of what is solved: the first time counts, and no damage stops a lesson."""

import json
import multiprocessing
import re
from datetime import datetime, timedelta

import filelock
import pytest

from transfer_utils.__main__ import main
from transfer_utils.lesson import check, show_progress, solution, solved, start
from transfer_utils.lesson.solved import progress_path, progress_table, read_solved, remember
from transfer_utils.runtime.files import checkout

TRUE = [(lambda answer: answer is True, "Answer with True.")]


def line_of(number, table):
    return next(line for line in table.splitlines() if line.strip().startswith(number))


def test_a_check_that_passes_is_remembered_with_title_and_time():
    check("01.1", 45, width=8)
    (number,) = read_solved()
    entry = read_solved()[number]
    assert (number, entry["title"]) == ("01.1", "How many numbers learn?")
    age = datetime.now().astimezone() - datetime.fromisoformat(entry["solved"])
    assert timedelta(seconds=-1) <= age < timedelta(minutes=2)


def test_the_first_time_counts(tmp_path):
    progress_path().write_text('{"01.1": {"title": "Old", "solved": "2020-01-02T03:04:05+00:00"}}')
    check("01.1", 45, width=8)
    assert read_solved()["01.1"]["solved"].startswith("2020-01-02")
    assert line_of("01.1", progress_table()).endswith("solved 2020-01-02 03:04")


@pytest.mark.parametrize("answer", [..., 40])
def test_what_is_open_or_wrong_is_not_remembered(answer):
    check("01.1", answer, width=8)
    assert not progress_path().exists()


def test_a_solution_is_not_remembered():
    names = {"solution": solution, "check": check}
    exec("with solution('01.1'):\n    check('01.1', 45, width=8)", names)
    assert not progress_path().exists()


def test_a_check_of_the_first_edition_is_remembered_but_not_its_solution(capsys):
    theirs, mine = [True], [True]
    holds = [(lambda answer: answer[0], "Answer with True.")]
    check("08.1 Signs", theirs, holds, must_pass=True)
    check("08.1 Signs", theirs, holds)
    assert read_solved() == {}, "the name still holds the solution"
    check("08.1 Signs", mine, holds)
    assert read_solved()["08.1"]["title"] == "Signs"
    check("no number", True, TRUE)
    assert list(read_solved()) == ["08.1"]
    assert "Exercise no number: right." in capsys.readouterr().out


def test_nothing_is_remembered_where_the_course_is_built(monkeypatch):
    monkeypatch.setenv("COURSE_BUILD", "1")
    check("01.1", 45, width=8)
    assert not progress_path().exists()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"01.1": 3}', '{"01.1": {"title": "x"}}', '{"01.1": {"title": 1, "solved": "2020-01-01"}}',
             '{"01.1": {"title": "x", "solved": "yesterday"}}', "\udcff",
             *(f'{{"{stray}": {{"title": "x", "solved": "2020-01-01"}}}}' for stray in ("abc", "7.1", "01", "01.x"))]
)  # fmt: skip
def test_a_damaged_file_is_said_in_a_line_and_left_as_it_is(text, capsys):
    progress_path().write_bytes(text.encode(errors="surrogateescape"))
    check("01.1", 45, width=8)
    start("01_feature_extraction")
    show_progress()
    right, not_remembered, not_said = capsys.readouterr().out.splitlines()
    assert right == "Exercise 01.1: right."
    assert "is damaged. Repair or delete it." in not_remembered
    assert "is damaged. Repair or delete it." in not_said
    assert progress_path().read_bytes() == text.encode(errors="surrogateescape")
    assert main(["progress"]) == 1
    assert "is damaged" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["file/progress.json", "folder"])
def test_a_file_that_cannot_be_written_is_said_in_a_line(place, monkeypatch, tmp_path, capsys):
    (tmp_path / "file").touch()
    (tmp_path / "folder").mkdir()
    monkeypatch.setenv("TRANSFER_PROGRESS", str(tmp_path / place))
    check("01.1", 45, width=8)
    right, reason = capsys.readouterr().out.splitlines()
    assert right == "Exercise 01.1: right."
    assert reason.startswith("(It is not on your list of solved exercises: ")


def test_a_locked_file_does_not_hold_a_lesson_up(monkeypatch, capsys):
    def never(*_, **__):
        raise filelock.Timeout("my_progress.json.lock")

    monkeypatch.setattr(solved, "FileLock", never)
    check("01.1", 45, width=8)
    assert "(It is not on your list of solved exercises: " in capsys.readouterr().out


def _solve(number):
    remember(number, f"Title of {number}")


def test_two_notebooks_at_once_lose_nothing():
    numbers = [f"01.{i}" for i in range(8)]
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        pool.map(_solve, numbers)
    assert sorted(read_solved()) == numbers


def test_the_file_lies_with_the_lessons_or_where_one_stands(monkeypatch, tmp_path):
    monkeypatch.delenv("TRANSFER_PROGRESS")
    assert progress_path() == checkout() / "notebooks" / "my_progress.json"
    monkeypatch.setattr(solved, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert progress_path() == tmp_path / "my_progress.json"


def test_the_table_has_every_exercise_of_every_lesson(capsys):
    check("01.1", 5 * 8 + 5, width=8)
    remember("77.1", "Of a lesson that is gone")
    capsys.readouterr()
    assert main(["progress"]) == 0
    table = capsys.readouterr().out
    assert "Lesson 01 feature extraction: 1 of 4 solved" in table
    assert re.search(r"01\.1 .* solved \d{4}-\d\d-\d\d \d\d:\d\d$", line_of("01.1", table))
    assert line_of("01.4", table).endswith("open")
    assert re.search(r"77\.1  Of a lesson that is gone +solved ", table)
    for path in (checkout() / "notebooks").glob("[0-9][0-9]_*.ipynb"):
        cells = json.loads(path.read_text())["cells"]
        here = [c["metadata"]["course"]["exercise"] for c in cells if "exercise" in c["metadata"].get("tags", [])]
        if path.name[:2] != "01":
            assert here
            assert all(line_of(number, table).split(maxsplit=1)[1].strip() != "open" for number in here), "no title"


def test_where_only_the_package_is_installed_the_table_has_the_checks(monkeypatch):
    monkeypatch.setattr(solved, "checkout", lambda: None)
    table = progress_table()
    assert "Lesson 01: 0 of 4 solved\n  01.1  How many numbers learn?" in table


def test_a_damaged_notebook_does_not_spoil_the_table(monkeypatch, tmp_path):
    (tmp_path / "notebooks").mkdir()
    (tmp_path / "notebooks" / "02_damaged.ipynb").write_text("{")
    monkeypatch.setattr(solved, "checkout", lambda: tmp_path)
    assert "01.4" in progress_table()


def test_a_lesson_ends_with_what_is_solved_and_what_is_open(capsys):
    start("01_feature_extraction")
    check("01.1", 45, width=8)
    capsys.readouterr()
    show_progress()
    assert capsys.readouterr().out.splitlines() == [
        "Exercises of this lesson: 1 of 4 solved (01.1); open: 01.2, 01.3, 01.4.",
        "All lessons: python -m transfer_utils progress",
    ]


def test_in_stored_outputs_all_exercises_are_open(monkeypatch, capsys):
    start("01_feature_extraction")
    check("01.1", 45, width=8)
    capsys.readouterr()
    monkeypatch.setenv("COURSE_BUILD", "1")
    show_progress()
    assert capsys.readouterr().out.startswith("Exercises of this lesson: 0 of 4 solved; open: 01.1, 01.2, 01.3, 01.4.")
