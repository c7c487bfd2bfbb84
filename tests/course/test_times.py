"""The minutes of a lesson: what counts, and that nothing but the statement changes."""

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from transfer_utils.course.editions import read_notebook, write_notebook
from transfer_utils.course.times import (
    count_words,
    exercise_minutes,
    reading_minutes,
    stated_time,
    time_is_stated,
    write_time,
)
from transfer_utils.runtime.files import checkout

LESSON = checkout() / "notebooks" / "01_feature_extraction.ipynb"
TITLE = "# 01 · A title\n\n*Needs:* nothing. *Time:* an hour; perhaps\nmore. *Next:* 02. *Time:* stays."
PICTURE = new_output("display_data", {"image/png": "AAAA", "text/plain": "<Image>"})


def code(source="x = 1", *tags, outputs=()):
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {}, outputs=list(outputs))


def lesson(*cells, title=TITLE):
    return new_notebook(cells=[new_markdown_cell(title), *cells])


@pytest.mark.parametrize(
    ("markdown", "words"),
    [
        ("", 0),
        ("## One *two* **three** `four`, five-six — 7 %", 6),
        ("* a\n* b\n\n| c | d |\n|---|--:|\n| e | 1,000 |", 6),
        ("before\n\n```python\nnot these words\n```\n\nafter", 2),
        ("of $a + b$ and $$\nc = d\n$$ and \\(e f\\) or \\\\[ g h \\\\] end", 5),
        ("[the paper](https://a.org/b) at https://c.org/d and <b class='x y'>bold</b>", 5),
        ("<details><summary>Why so?</summary>\n\nFolded answers count.\n\n</details><!-- not this -->", 5),
        ("![no words in an alternative text](a.png) one", 1),
        ("*Time:* 70 minutes: 25 to read, 45 for the exercises. One two.", 3),
        ("it costs 5 dollars", 4),
    ],
)
def test_words_that_a_reader_reads(markdown, words):
    assert count_words(markdown) == words


def test_reading_is_words_cells_and_pictures():
    text = new_markdown_cell("word " * 149 + "last ![two words](images/a.png) ![badge](https://a.org/b.svg)")
    title = new_markdown_cell("# \n\n")
    counted = new_notebook(cells=[title, text, code(), code(outputs=[PICTURE, PICTURE]), code("y", "claim")])
    assert reading_minutes(counted) == 1 + 3 * 0.5 + 3 * 0.5
    ignored = [code("pip", "setup"), code("", "claim"), code("...", "exercise"), code("check('01.1', x)", "check"),
               code("x", "solution", outputs=[PICTURE]), new_markdown_cell("```\nx\n```")]  # fmt: skip
    assert reading_minutes(new_notebook(cells=[*counted.cells, *ignored])) == reading_minutes(counted)


def test_minutes_of_exercises_in_both_forms_of_heading():
    first = new_markdown_cell("## Exercises\n\n### 01.1 Count *(easy, 2 minutes)*\n\nIt takes 99 minutes).")
    second = new_markdown_cell("### 01.2 Freeze *(difficulty 2/5, importance 4/5, 10 minutes)*")
    third = new_markdown_cell("### Not an exercise (100 minutes)\n\n### 01.10 One *(hard, 1 minute)*")
    assert exercise_minutes(lesson(first, second, third)) == 13
    with pytest.raises(ValueError, match=r"exercise 01\.4 says no minutes.*importance"):
        exercise_minutes(lesson(new_markdown_cell("### 01.4 Forgotten *(easy)*")))


def test_the_statement_is_rounded_and_its_parts_add_up():
    exercises = [new_markdown_cell(f"### 01.{k} *(easy, {minutes} minutes)*") for k, minutes in enumerate((15, 28), 1)]
    long, short = ([code() for _ in range(count)] for count in (46, 44))
    assert stated_time(lesson(*long, *exercises)) == "70 minutes: 25 to read, 45 for the exercises"
    assert stated_time(lesson(*short)) == "20 minutes to read"
    assert stated_time(lesson()) == "5 minutes to read"


def test_writing_changes_the_first_statement_and_only_that(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write_notebook(lesson(code(outputs=[PICTURE])), path)
    before = read_notebook(path)
    assert not time_is_stated(before)
    assert write_time(path) == "5 minutes to read"
    after = read_notebook(path)
    assert after.cells[0].source == TITLE.replace("an hour; perhaps\nmore", "5 minutes to read")
    assert time_is_stated(after)
    after.cells[0].source = before.cells[0].source
    assert after == before


def test_a_point_between_digits_does_not_end_the_statement(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write_notebook(lesson(title="# 01 · A title\n\n*Time:* about 1.5 hours. *Next:* 2.5 lessons."), path)
    write_time(path)
    assert read_notebook(path).cells[0].source.endswith("*Time:* 5 minutes to read. *Next:* 2.5 lessons.")


def test_writing_again_leaves_the_file_alone(tmp_path):
    path = tmp_path / "lesson.ipynb"
    write_notebook(lesson(), path)
    write_time(path)
    before = path.read_bytes(), path.stat().st_ino
    write_time(path)
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_of_a_real_lesson_one_line_changes(tmp_path):
    path = tmp_path / LESSON.name
    path.write_bytes(LESSON.read_bytes())
    notebook = read_notebook(path)
    notebook.cells[0].source = notebook.cells[0].source.replace("*Time:* ", "*Time:* hardly any, ", 1)
    write_notebook(notebook, path)
    before = path.read_text().splitlines()
    time = write_time(path)
    after = path.read_text().splitlines()
    changed = [new for old, new in zip(before, after, strict=True) if old != new]
    assert len(changed) == 1
    assert f"*Time:* {time}." in changed[0]


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        ([new_markdown_cell("# 01 · A title\n\nNo time.")], "needs '.Time:. ... .'"),
        ([new_markdown_cell("# 01 · A title\n\n*Time:* an hour\n\nAnother paragraph.")], "needs '.Time:. ... .'"),
        ([new_markdown_cell("*Time:* an hour.")], "no title"),
    ],
)
def test_a_title_cell_without_a_place_for_it_is_refused(tmp_path, cells, message):
    path = tmp_path / "lesson.ipynb"
    write_notebook(new_notebook(cells=cells), path)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=message):
        write_time(path)
    assert path.read_bytes() == before
