"""The anatomy of a lesson of the second edition: the rules of CONTRIBUTING.md that a machine can check.

Each rule is a function ``rule(notebook, path) -> list of complaints``, and stands in ``RULES`` under its name.
``python tests/anatomy.py notebooks/01_feature_extraction.ipynb`` says what a lesson lacks.
"""

import ast
import re
import sys
from pathlib import Path

from lesson_files import calls, code, headings, length, markdown, notebook_at, prose, strings, tree_of
from nbformat.v4 import new_code_cell
from vocabulary import wrong_words

from transfer_utils.course.editions import cells_tagged, exercise_number, tags
from transfer_utils.course.headlines import claims_of, questions_of
from transfer_utils.course.slides import STARTS, TYPES
from transfer_utils.course.times import time_is_stated
from transfer_utils.lesson.headings import TERMS, exercise_headings

MOST_CELLS, MOST_CELLS_OF_FIRST = 60, 45
LONGEST_ON_AVERAGE, LONGEST_CELL, LONGEST_CORE = 8, 25, 30  # lines
MOST_HELPERS = 12
FEWEST_SLIDES, MOST_SLIDES, FEWEST_NOTES, LONGEST_ON_SLIDE = 12, 20, 3, 12
FEWEST_QUESTIONS = 3
FEWEST_EXERCISES, MOST_EXERCISES = 3, 4
SECTIONS = ("When this fails", "What to remember", "Where it comes from")
FEWEST_WORDS, MOST_WORDS = 5, 20  # for each line of code; 8 to 12 is the aim


def cells(notebook, path):
    """At most 60 cells, and 45 in lesson 00."""
    most = MOST_CELLS_OF_FIRST if path.stem.startswith("00") else MOST_CELLS
    return [f"{len(notebook.cells)} cells, at most {most}"] if len(notebook.cells) > most else []


def lines_of_code(notebook, path):
    """Code cells have at most 25 lines that are not empty; one tagged core, and solutions, may have 30."""
    core = cells_tagged(notebook, "core")
    complaints = [f"{len(core)} cells are tagged core, at most one may be"] if len(core) > 1 else []
    for cell in code(notebook):
        most = LONGEST_CORE if tags(cell) & {"core", "solution"} else LONGEST_CELL
        if length(cell) > most:
            complaints.append(f"cell {cell.id} has {length(cell)} lines, at most {most}")
    return complaints


def average(notebook, path):
    """Code cells have at most 8 lines on average: every line of every one, the setup cell and solutions too."""
    lines = average_lines(notebook)
    too_long = f"{lines:.2f} lines in a code cell on average, at most {LONGEST_ON_AVERAGE}"
    return [too_long] if lines > LONGEST_ON_AVERAGE else []


def average_lines(notebook):
    """Return the lines of a code cell on average, empty ones too."""
    return sum(len(cell.source.splitlines()) for cell in code(notebook)) / max(1, len(code(notebook)))


def helpers(notebook, path):
    """At most 12 names are imported from the package before the recipe.

    What makes a notebook a lesson (claims, checks, quizzes, ...) counts as one name, ``lesson``, and so do its plots:
    the technique cannot hide behind them.
    """
    recipe = next((place for place, line in headings(notebook) if "recipe" in line.lower()), len(notebook.cells))
    names = set()
    for cell in notebook.cells[:recipe]:
        if cell.cell_type == "code" and not tags(cell) & {"setup", "solution"}:
            names |= _imported(tree_of(cell))
    too_many = f"{len(names)} helpers, at most {MOST_HELPERS}: {', '.join(sorted(names))}"
    return [too_many] if len(names) > MOST_HELPERS else []


def _imported(tree):
    """Return the names that code imports from the package."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names if alias.name.split(".")[0] == "transfer_utils"}
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "transfer_utils":
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return {_counted_as(name.removeprefix("transfer_utils").lstrip(".")) for name in found}


def _counted_as(name):
    if name.startswith(("lesson.plots", "lesson.figures")):
        return "lesson.plots"
    return "lesson" if name.split(".")[0] == "lesson" else name


def slides(notebook, path):
    """Every cell has a slide type; 12 to 20 slides, three notes or more, and at most 12 lines of code on a slide."""
    kinds = {cell.id: cell.metadata.get("slideshow", {}).get("slide_type") for cell in notebook.cells}
    complaints = [f"cell {name} has no slide type" for name, kind in kinds.items() if kind not in TYPES]
    number = sum(kind in STARTS for kind in kinds.values())
    if not FEWEST_SLIDES <= number <= MOST_SLIDES:
        complaints.append(f"{number} slides, {FEWEST_SLIDES} to {MOST_SLIDES} are right")
    if (spoken := list(kinds.values()).count("notes")) < FEWEST_NOTES:
        complaints.append(f"{spoken} notes cells, at least {FEWEST_NOTES}")
    shown = [c for c in code(notebook) if kinds[c.id] not in ("skip", "notes") and "hide-input" not in tags(c)]
    return complaints + [f"cell {cell.id} shows {length(cell)} lines of code on a slide, at most {LONGEST_ON_SLIDE}"
                         for cell in shown if length(cell) > LONGEST_ON_SLIDE]  # fmt: skip


def schematic(notebook, path):
    """A drawing of what is trained, what is frozen and where the gradient goes."""
    drawn = any(calls(cell, "schematic") for cell in code(notebook))
    return [] if drawn else ["no code cell calls schematic(...)"]


def recipe(notebook, path):
    """A script that needs no helper package stands beside the lesson, and the lesson links to it."""
    name = f"recipes/{path.stem}.py"
    complaints = [] if (path.parent / name).is_file() else [f"notebooks/{name} is not there"]
    linked = any(f"]({name})" in cell.source for cell in markdown(notebook))
    return complaints if linked else [*complaints, f"no link to {name}"]


def quiz(notebook, path):
    """Three quiz questions or more."""
    asked = {ast.dump(call) for cell in code(notebook) for call in calls(cell, "quiz")}
    return [] if len(asked) >= FEWEST_QUESTIONS else [f"{len(asked)} quiz questions, at least {FEWEST_QUESTIONS}"]


def exercises(notebook, path):
    """Three or four, with their terms in the heading, a check of one call, and a solution that runs out of the way."""
    numbers = [exercise_number(cell) for cell in cells_tagged(notebook, "exercise")]
    complaints = []
    if not FEWEST_EXERCISES <= len(numbers) <= MOST_EXERCISES:
        complaints.append(f"{len(numbers)} exercises, {FEWEST_EXERCISES} or {MOST_EXERCISES} are right")
    checks = path.parent.parent / f"transfer_utils/lesson/checks/lesson_{path.stem[:2]}.py"
    if not checks.is_file():
        complaints.append(f"transfer_utils/lesson/checks/{checks.name} is not there")
    found = [heading for cell in markdown(notebook) for heading in exercise_headings(cell.source)]
    with_terms = {heading.number for heading in found if heading.has_terms}
    for number in numbers:
        if number not in with_terms:
            complaints.append(f"the heading of {number} does not end in {TERMS}")
    complaints += [f"the check of {exercise_number(cell)} is not the one call check({exercise_number(cell)!r}, ...)"
                   for cell in cells_tagged(notebook, "check") if not _is_one_check(cell)]  # fmt: skip
    solutions = [cell for cell in cells_tagged(notebook, "solution") if cell.cell_type == "code"]
    return complaints + [f"the solution of {exercise_number(cell)} does not have the form "
                         f"with solution({exercise_number(cell)!r}):"
                         for cell in solutions if not is_apart(cell)]  # fmt: skip


def _is_one_check(cell):
    body = tree_of(cell).body
    if len(body) != 1 or not isinstance(body[0], ast.Expr) or not isinstance(body[0].value, ast.Call):
        return False
    return _is_call(body[0].value, "check", exercise_number(cell))


def is_apart(cell):
    """Return whether a solution is one block ``with solution("NN.k"):``, which leaves the learner's names alone."""
    body = tree_of(cell).body
    if len(body) != 1 or not isinstance(body[0], ast.With) or len(body[0].items) != 1:
        return False
    call = body[0].items[0].context_expr
    return isinstance(call, ast.Call) and _is_call(call, "solution", exercise_number(cell))


def _is_call(call, name, number):
    """Return whether a call is ``name("NN.k", ...)`` with this number."""
    named = ast.unparse(call.func).rpartition(".")[2] == name
    return named and bool(call.args) and isinstance(call.args[0], ast.Constant) and call.args[0].value == number


def vocabulary(notebook, path):
    """Terms of the field, in British spelling; titles of papers are as they are."""
    complaints, sources = [], False
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            titles = [line for line in cell.source.splitlines() if re.match(r"#+ ", line)]
            sources = SECTIONS[2] in titles[-1] if titles else sources
            found = wrong_words(prose(cell.source), spelling=not sources and "cited" not in tags(cell))
        else:
            texts = strings(cell) if cell.cell_type == "code" else []
            found = [word for text in texts for word in wrong_words(text, emoji=False)]
        complaints += [f"cell {cell.id}: {word}" for word in found]
    return complaints + [f"{name}: {word}" for name, text in _beside(path) for word in wrong_words(text, emoji=False)]


def _beside(path):
    """Yield (file, text) of what a lesson says that stands outside of it: its quiz, and the feedback of its checks."""
    number, lesson = path.stem[:2], path.parent.parent / "transfer_utils/lesson"
    if (questions := lesson / f"quizzes/lesson_{number}.toml").is_file():
        yield from ((questions.name, text) for text in questions.read_text(encoding="utf-8").splitlines())
    if (checks := lesson / f"checks/lesson_{number}.py").is_file():
        feedback = strings(new_code_cell(checks.read_text(encoding="utf-8")))
        yield from ((checks.name, text) for text in feedback)


def time(notebook, path):
    """The title cell states the minutes that are computed from the cells."""
    try:
        stated = time_is_stated(notebook)
    except ValueError as error:  # an exercise without minutes
        return [str(error)]
    return [] if stated else ["the title cell does not state the computed minutes: python -m transfer_utils times"]


def progress(notebook, path):
    """The learner sees, after the last exercise, which exercises are solved."""
    last = max((place for place, cell in enumerate(notebook.cells) if "check" in tags(cell)), default=0)
    shown = any(calls(cell, "show_progress") for cell in notebook.cells[last:] if cell.cell_type == "code")
    return [] if shown else ["no code cell after the exercises calls show_progress()"]


def headline(notebook, path):
    """One cell is tagged headline, and a claim that it printed goes to the README."""
    chosen = cells_tagged(notebook, "headline")
    if len(chosen) != 1:
        return [f"{len(chosen)} cells are tagged headline, one should be"]
    return [] if claims_of(chosen) else ["the cell tagged headline shows no claim that holds and ends in a full stop"]


def sections(notebook, path):
    """One bold question, the sections that every lesson has, a prediction and a claim."""
    questions = questions_of(notebook)
    complaints = [] if len(questions) == 1 else [f"the title cell has {len(questions)} bold questions, one is right"]
    lines = [line for _, line in headings(notebook)]
    complaints += [f"no section {title!r}" for title in SECTIONS if not any(title in line for line in lines)]
    complaints += [f"no cell tagged {tag}" for tag in ("predict", "claim") if not cells_tagged(notebook, tag)]
    return complaints


def balance(notebook, path):
    """8 to 12 words of prose for each line of code are the aim; 5 to 20 pass."""
    ratio = words_per_line(notebook)
    return [] if FEWEST_WORDS <= ratio <= MOST_WORDS else [
        f"{ratio:.1f} words of prose for each line of code, 8 to 12 are the aim"]  # fmt: skip


def words_per_line(notebook):
    """Return the words of prose for each line of code, the setup cell and the solutions apart."""
    read = [cell for cell in markdown(notebook) if "solution" not in tags(cell)]
    words = sum(len(re.findall(r"\w[\w'’-]*", prose(cell.source))) for cell in read)
    return words / max(1, sum(map(length, _read_code(notebook))))


def _read_code(notebook):
    """Return the code cells that a reader reads: neither the setup cell nor solutions."""
    return [cell for cell in code(notebook) if cell.source.strip() and not tags(cell) & {"setup", "solution"}]


RULES = {
    "cells": cells,
    "code": lines_of_code,
    "average": average,
    "helpers": helpers,
    "slides": slides,
    "schematic": schematic,
    "recipe": recipe,
    "quiz": quiz,
    "exercises": exercises,
    "vocabulary": vocabulary,
    "time": time,
    "progress": progress,
    "headline": headline,
    "sections": sections,
    "prose": balance,
}

if __name__ == "__main__":
    for given in map(Path, sys.argv[1:]):
        print(f"{given.stem}: {words_per_line(notebook_at(given)):.1f} words for each line of code")
        for name, rule in RULES.items():
            for complaint in rule(notebook_at(given), given.resolve()):
                print(f"  {name}: {complaint}")
