"""The rules for lessons themselves: a made-up lesson follows all of them, and each way to break one is noticed."""

import pytest
from anatomy import RULES
from lesson_files import strings
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from vocabulary import wrong_words

from transfer_utils.course.editions import cells_tagged
from transfer_utils.course.times import stated_time

TITLE = "# 01 · Features\n\n**How far do frozen features carry?**\n\n*Time:* {time}."


def text(source, kind="skip", *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags), "slideshow": {"slide_type": kind}})


def source(lines, kind="skip", *tags, exercise=""):
    course = {"course": {"exercise": exercise}} if exercise else {}
    return new_code_cell(lines, metadata={"tags": list(tags), "slideshow": {"slide_type": kind}, **course})


def exercise(number):
    return [
        text(f"### {number} Count *(difficulty 2/5, importance 4/5, 10 minutes)*"),
        source("answer = ...", "skip", "exercise", exercise=number),
        source(f'check("{number}", answer)', "skip", "check", exercise=number),
        text("<details><summary>Hint</summary>Count.</details>"),
        source(f'with solution("{number}"):\n    answer = 3', "skip", "solution", exercise=number),
    ]


@pytest.fixture
def path(tmp_path):
    """Return where the lesson would lie, beside its recipe and its checks."""
    for name in ("notebooks/recipes/01_features.py", "transfer_utils/lesson/checks/lesson_01.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path / "notebooks/01_features.ipynb"


@pytest.fixture
def lesson():
    """Return a lesson that follows every rule."""
    found = source('claim("They carry far.", True)', "slide", "claim", "headline")
    found.outputs = [new_output("stream", name="stdout", text="Claim holds: They carry far. [laptop]\n")]
    notebook = new_notebook(cells=[
        text(TITLE, "slide"),
        source("\n".join(["import sys"] * 20), "skip", "setup"),
        source("from transfer_utils import fit, lesson\nfrom transfer_utils.lesson import check, claim, quiz"),
        text("One thought in eleven words, so that a slide has something. " * 8, "slide"),
        *[text("A picture, and a sentence that reads it.", "slide") for _ in range(8)],
        *[text("What one would say aloud.", "notes") for _ in range(3)],
        source("schematic(" + "\n    body," * 12 + "\n)", "subslide", "hide-input"),
        text("Guess.", "skip", "predict"),
        found,
        text("## When this fails"),
        *exercise("01.1"), *exercise("01.2"), *exercise("01.3"),
        *[source(f'quiz("01.{letter}")', "skip", "quiz") for letter in "abc"],
        source("show_progress()"),
        text("## What to remember\n\nThree lines, each of them worth a little more than the code above it."),
        text("## The recipe\n\n[A script](recipes/01_features.py) that needs no helper."),
        source("from transfer_utils import a, b, c, d, e, f, g, h, i, j, k, m, n"),
        text("## Where it comes from\n\nLoshchilov and Hutter, Decoupled Weight Decay Regularization."),
    ])  # fmt: skip
    notebook.cells[0].source = TITLE.format(time=stated_time(notebook))
    return notebook


def tagged(lesson, tag):
    return cells_tagged(lesson, tag)[0]


@pytest.mark.parametrize("rule", RULES)
def test_a_good_lesson_passes(rule, lesson, path):
    assert RULES[rule](lesson, path) == []


def many_cells(lesson):
    lesson.cells += [text("More.") for _ in range(61 - len(lesson.cells))]


def long_cell(lesson):
    lesson.cells[2].source += "\nx = 1" * 24


def long_core(lesson):
    lesson.cells.append(source("x = 1\n" * 31, "skip", "core"))


def two_cores(lesson):
    lesson.cells += [source("x = 1", "skip", "core") for _ in range(2)]


def long_on_average(lesson):
    lesson.cells += [source("x = 1\n" * 20) for _ in range(12)]


def many_helpers(lesson):
    lesson.cells[2].source += "\ndef late():\n    from transfer_utils.models import a, b, c, d, e, f, g, h, i, j, k"


def no_slide_type(lesson):
    del lesson.cells[2].metadata["slideshow"]


def few_slides(lesson):
    lesson.cells[4].metadata.slideshow.slide_type = "fragment"


def many_slides(lesson):
    for cell in lesson.cells[-10:]:
        cell.metadata.slideshow.slide_type = "subslide"


def few_notes(lesson):
    next(c for c in lesson.cells if c.metadata.slideshow.slide_type == "notes").metadata.slideshow.slide_type = "skip"


def long_on_a_slide(lesson):
    tagged(lesson, "claim").source += "\nx = 1" * 12


def not_drawn(lesson):
    tagged(lesson, "hide-input").source = "draw(schematic)"


def no_link_to_the_recipe(lesson):
    lesson.cells[-3].source = "## The recipe\n\nrecipes/01_features.py"


def two_questions(lesson):
    tagged(lesson, "quiz").source = "quiz"


def a_question_twice(lesson):
    tagged(lesson, "quiz").source = 'quiz("01.b")'


def two_exercises(lesson):
    del tagged(lesson, "exercise").metadata["tags"]


def five_exercises(lesson):
    lesson.cells += [*exercise("01.4"), *exercise("01.5")]


def heading_of_old(lesson):
    cell = next(cell for cell in lesson.cells if cell.source.startswith("### 01.2"))
    cell.source = "### 01.2 Count *(easy, 10 minutes)*"


def check_with_conditions(lesson):
    tagged(lesson, "check").source = 'good = 3\ncheck("01.1", answer)'


def check_and_more(lesson):
    tagged(lesson, "check").source = 'check("01.1", answer)\nprint(answer)'


def check_of_another(lesson):
    tagged(lesson, "check").source = 'check("01.2", answer)'


def no_call_in_the_check(lesson):
    tagged(lesson, "check").source = "answer"


def solution_in_the_open(lesson):
    tagged(lesson, "solution").source = 'answer = 3\ncheck("01.1", answer, must_pass=True)'


def solution_and_more(lesson):
    tagged(lesson, "solution").source += "\nanswer = 3"


def solution_of_another(lesson):
    tagged(lesson, "solution").source = 'with solution("01.2"):\n    answer = 3'


def paraphrase(lesson):
    lesson.cells[5].source = "The more frequent name is the baseline."


def paraphrase_in_a_title_of_papers(lesson):
    lesson.cells[-1].source = "## Where it comes from\n\nThis is simply a paper."


def american_string(lesson):
    tagged(lesson, "claim").source = 'claim(f"The {name} color of it.", True)'


def american_text(lesson):
    lesson.cells[5].source = "The behavior of it."


def unjust_minutes(lesson):
    lesson.cells[0].source = lesson.cells[0].source.replace(" minutes: ", " minutes or so: ")


def no_minutes(lesson):
    heading_of_old(lesson)
    cell = next(cell for cell in lesson.cells if cell.source.startswith("### 01.2"))
    cell.source = cell.source.replace("10 minutes", "short")


def progress_too_early(lesson):
    shown = next(cell for cell in lesson.cells if cell.source == "show_progress()")
    lesson.cells.remove(shown)
    lesson.cells.insert(3, shown)


def no_headline(lesson):
    tagged(lesson, "headline").metadata.tags = ["claim"]


def two_headlines(lesson):
    lesson.cells.append(source("claim(...)", "skip", "headline"))


def headline_that_failed(lesson):
    tagged(lesson, "headline").outputs[0].text = "This does not hold in this run: They carry far. [laptop]\n"


def no_question(lesson):
    lesson.cells[0].source = "# 01 · Features\n\nHow far do frozen features carry?"


def more_questions(lesson):
    lesson.cells[0].source += "\n\n**And why?**"


def no_failure(lesson):
    next(cell for cell in lesson.cells if cell.source == "## When this fails").source = "## When this works"


def no_prediction(lesson):
    tagged(lesson, "predict").metadata.tags = []


def no_claim(lesson):
    tagged(lesson, "claim").metadata.tags = ["headline"]


def no_prose(lesson):
    lesson.cells += [source("x = 1\n" * 8) for _ in range(6)]


def all_prose(lesson):
    lesson.cells[3].source = "Words that say nothing. " * 200


BREAKS = {
    "cells": [many_cells],
    "code": [long_cell, long_core, two_cores],
    "average": [long_on_average],
    "helpers": [many_helpers],
    "slides": [no_slide_type, few_slides, many_slides, few_notes, long_on_a_slide],
    "schematic": [not_drawn],
    "recipe": [no_link_to_the_recipe],
    "quiz": [two_questions, a_question_twice],
    "exercises": [two_exercises, five_exercises, heading_of_old, check_with_conditions, check_and_more,
                  check_of_another, no_call_in_the_check, solution_in_the_open, solution_and_more, solution_of_another],
    "vocabulary": [paraphrase, paraphrase_in_a_title_of_papers, american_string, american_text],
    "time": [unjust_minutes, no_minutes],
    "progress": [progress_too_early],
    "headline": [no_headline, two_headlines, headline_that_failed],
    "sections": [no_question, more_questions, no_failure, no_prediction, no_claim],
    "prose": [no_prose, all_prose],
}  # fmt: skip


@pytest.mark.parametrize(("rule", "spoil"), [(rule, spoil) for rule, ways in BREAKS.items() for spoil in ways])
def test_a_lesson_that_breaks_a_rule_is_told_once(rule, spoil, lesson, path):
    spoil(lesson)
    assert len(RULES[rule](lesson, path)) == 1


def test_every_rule_can_be_broken():
    assert BREAKS.keys() == RULES.keys()


@pytest.mark.parametrize(("rule", "name"), [("recipe", "recipes/01_features.py"), ("exercises", "lesson_01.py")])
def test_a_file_that_is_missing_is_named(rule, name, lesson, path):
    (path.parent / "recipes/01_features.py").unlink()
    (path.parent.parent / "transfer_utils/lesson/checks/lesson_01.py").unlink()
    (complaint,) = RULES[rule](lesson, path)
    assert name in complaint


def test_the_words_of_quiz_and_feedback_are_read_too(lesson, path):
    beside = path.parent.parent / "transfer_utils/lesson"
    (beside / "quizzes").mkdir()
    (beside / "quizzes/lesson_01.toml").write_text('question = "What is simply right?"\nwhy = "majority class"\n')
    (beside / "checks/lesson_01.py").write_text('yield False, f"Your {it} is one a seed."  # simply\n')
    assert [c.split(":")[0] for c in RULES["vocabulary"](lesson, path)] == ["lesson_01.toml", "lesson_01.py"]


def test_lesson_00_is_shorter(lesson, path):
    lesson.cells += [text("More.") for _ in range(46 - len(lesson.cells))]
    assert RULES["cells"](lesson, path) == []
    assert RULES["cells"](lesson, path.with_name("00_start_here.ipynb")) == ["46 cells, at most 45"]


def test_a_core_cell_and_a_solution_may_be_longer(lesson, path):
    lesson.cells.append(source("x = 1\n" * 30, "skip", "core"))
    tagged(lesson, "solution").source = 'with solution("01.1"):' + "\n    x = 1" * 29
    assert RULES["code"](lesson, path) == []


def test_every_line_counts_for_the_average_the_setup_cell_solutions_and_empty_lines_too(lesson, path):
    lesson.cells = [source("import torch\n\n\nx = 1\n" * 2, "skip", kind) for kind in ("setup", "solution")]
    assert RULES["average"](lesson, path) == []
    lesson.cells[0].source += "\n\n\n"
    assert RULES["average"](lesson, path) == ["9.50 lines in a code cell on average, at most 8"]


# --- the words ---


@pytest.mark.parametrize(
    "sentence",
    ["It always says the more frequent\nname.", "the dumbest answer", "Is it kind or unkind?",
     "How strongly it is held back.", "two methods, one a seed", "a sign a seed", "small modules between layers",
     "We searched for a rate.", "a rate was looked for at which they learn", "This is too dear.",
     "the luck of the draw", "two kinds of luck", "timm leaves the head away", "Capital letters are made small.",
     "right for nothing", "the others stand at one answer", "does the sentence take a side",
     "another seed may turn the order round", "The sentences are written by the results.",
     "Now the test sentences are looked at.", "You simply call it.", "adapters (planned)", "(11 and 12 are planned)",
     "a pause — a long one", "Well done 🎉", "✅ frozen", "we optimize it", "normalization", "Analyze it",
     "the color of it", "favorite neighbors", "unlabeled images", "modeling", "centered", "a gray cell"],
)  # fmt: skip
def test_words_to_replace_are_noticed(sentence):
    assert wrong_words(sentence)


@pytest.mark.parametrize(
    "sentence",
    ["the majority class", "a kind of cell", "kind to the eyes", "held-out cells", "one value per seed",
     "one at a seed point", "a small file", "Dear reader", "The lesson as planned has three parts.",
     "We looked for at least ten.", "the size, resized, oversized, prized, seized",
     "the optimizer and the tokenizer tokenizes", "analyse", "colour", "labelled",
     "laboratory, elaborate, collaborate", "centre", "grey", "horizon", "Take the lower side.", "by a sample",
     "wizard, lizard, magazine", "made smaller", "modelled on it",
     "The test cells are new; training looked at others."],
)  # fmt: skip
def test_innocent_words_are_left_alone(sentence):
    assert wrong_words(sentence) == []


def test_titles_of_papers_keep_their_spelling_and_examples_their_emoji():
    assert wrong_words("Weight Decay Regularization", spelling=False) == []
    assert wrong_words("a film 🎬", emoji=False) == []
    assert wrong_words("simply", spelling=False, emoji=False)


def test_strings_of_code_are_those_with_words():
    cell = source('f(f"{x:.2f} of {y}", "one", key="two words", path=f"{x}")  # a comment')
    assert strings(cell) == ["{} of {}", "two words"]
    assert strings(source('"two words"', "skip", "setup")) == []
