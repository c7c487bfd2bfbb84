"""Lessons have the anatomy that CONTRIBUTING.md describes; those that wait for their second edition are listed.

``second_edition_exceptions.toml`` names, for each of them, the rules that it may still break.
"""

import tomllib
from pathlib import Path

import pytest
from anatomy import LONGEST_ON_AVERAGE, RULES, average_lines
from lesson_files import LESSONS, notebook_at

from transfer_utils.lesson.checks.registry import exercises_of
from transfer_utils.lesson.headings import exercise_headings

EXCEPTIONS = tomllib.loads(Path(__file__).with_name("second_edition_exceptions.toml").read_text(encoding="utf-8"))
# What the list excused when it was first enforced. It may only get shorter, so nobody adds to this.
_ALL = {"cells", "helpers", "slides", "schematic", "recipe", "quiz", "exercises", "time", "progress", "headline"}
FIRST_EDITION = {
    "06_adapters": _ALL | {"vocabulary", "prose"},
    "07_lora": _ALL | {"vocabulary", "prose"},
    "13_distillation": _ALL | {"vocabulary", "prose"},
    "15_bert_classification": _ALL | {"vocabulary"},
}
# Lessons from before every line of a code cell counted for the average, and theirs. These numbers only get smaller.
AVERAGES = {
    "00_start_here": 9.6,
    "01_feature_extraction": 10.1,
    "02_fine_tuning": 9.4,
    "03_progressive_unfreezing": 9.4,
    "06_adapters": 8.1,
    "07_lora": 8.8,
    "08_dann": 9.4,
    "09_mmd": 8.7,
    "10_prototypical_networks": 10.0,
    "15_bert_classification": 8.5,
}


def added(exceptions):
    """Return (lesson, rules) for what a list excuses and the first one did not."""
    more = {lesson: set(rules) - FIRST_EDITION.get(lesson, set()) for lesson, rules in exceptions.items()}
    return sorted((lesson, sorted(rules)) for lesson, rules in more.items() if rules or lesson not in FIRST_EDITION)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule != "average"])
@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_lesson_follows_the_rule(path, rule):
    complaints = RULES[rule](notebook_at(path), path)
    if rule in EXCEPTIONS.get(path.stem, []):
        assert complaints, f"{path.stem} follows the rule {rule!r} now: take it off second_edition_exceptions.toml"
    else:
        assert complaints == []


@pytest.mark.parametrize("path", LESSONS, ids=lambda path: path.stem)
def test_code_cells_are_short_on_average(path):
    lines, most = average_lines(notebook_at(path)), AVERAGES.get(path.stem, LONGEST_ON_AVERAGE)
    assert lines <= most
    assert lines > most - 0.1 or path.stem not in AVERAGES, f"{path.stem} has {lines:.2f} now: write it into AVERAGES"
    assert most > LONGEST_ON_AVERAGE or path.stem not in AVERAGES, f"{path.stem} may leave AVERAGES"


def test_only_lessons_of_the_first_edition_are_excused():
    assert added(EXCEPTIONS) == [], "a new lesson follows every rule, and no rule comes back"
    assert EXCEPTIONS.keys() <= {path.stem for path in LESSONS}


def test_a_lesson_or_a_rule_that_is_added_to_the_list_is_noticed():
    longer = {lesson: list(rules) for lesson, rules in EXCEPTIONS.items()}
    lesson = next(iter(longer))
    longer[lesson] += ["sections", "code"]
    longer["04_new"] = []
    longer["01_feature_extraction"] = ["cells"]
    shorter = {lesson: rules[1:] for lesson, rules in list(EXCEPTIONS.items())[1:]}
    assert added(shorter) == []
    assert added(longer) == sorted(
        [("01_feature_extraction", ["cells"]), ("04_new", []), (lesson, ["code", "sections"])]
    )


def test_what_is_excused_is_a_rule_and_named_once():
    for lesson, rules in EXCEPTIONS.items():
        assert set(rules) <= RULES.keys(), lesson
        assert len(rules) == len(set(rules)), lesson
        assert "headline" in rules, f"{lesson} has a headline, so it is of the second edition and follows every rule"


@pytest.mark.parametrize("path", [path for path in LESSONS if path.stem not in EXCEPTIONS], ids=lambda path: path.stem)
def test_an_exercise_has_one_title_in_its_heading_and_in_the_list_of_progress(path):
    checks = {exercise.number: exercise.title for exercise in exercises_of(path.stem[:2])}
    texts = [cell.source for cell in notebook_at(path).cells if cell.cell_type == "markdown"]
    assert {heading.number: heading.title for text in texts for heading in exercise_headings(text)} == checks
