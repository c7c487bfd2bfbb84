"""The files of checks: right answers pass, typical mistakes are refused with words that name them."""

import importlib

import pytest

from transfer_utils.lesson.checks import registry
from transfer_utils.lesson.judging import judge

EXERCISES = [one for lesson in registry.lessons() for one in registry.exercises_of(lesson)]


def samples(kind):
    return [pytest.param(one, sample, id=f"{one.number}-{getattr(sample.answer, '__name__', 'value')}-{sample.words}")
            for one in EXERCISES for sample in getattr(one, kind)]  # fmt: skip


@pytest.mark.parametrize(("exercise", "sample"), samples("right"))
def test_a_right_answer_passes(exercise, sample):
    assert judge(exercise, sample.answer, sample.context).text == "right."


@pytest.mark.parametrize(("exercise", "sample"), samples("wrong"))
def test_a_typical_mistake_is_refused_and_named(exercise, sample):
    verdict = judge(exercise, sample.answer, sample.context)
    assert not verdict.right
    assert verdict.text.startswith("not yet. ")
    assert sample.words in verdict.text


@pytest.mark.parametrize("exercise", EXERCISES, ids=lambda one: one.number)
def test_an_exercise_has_answers_to_try_it_on_and_a_title(exercise):
    assert exercise.right
    assert len(exercise.wrong) >= 3
    assert len({sample.words for sample in exercise.wrong}) == len(exercise.wrong), "a mistake has a feedback of its own"
    assert all(sample.words.strip() for sample in exercise.wrong)
    assert 8 <= len(exercise.title) <= 60
    assert not exercise.title.endswith(".")
