"""Quizzes: each option says why it is right or wrong, and the files of all lessons are complete."""

import sys

import pytest

from transfer_utils.lesson.quiz import questions, quiz
from transfer_utils.runtime.files import checkout

FILES = sorted((checkout() / "transfer_utils" / "lesson" / "quizzes").glob("lesson_*.toml"))


@pytest.fixture
def shown(monkeypatch):
    pages = []
    monkeypatch.setattr(sys.modules["transfer_utils.lesson.quiz"], "display", lambda page: pages.append(page.data))
    return pages


def test_a_quiz_shows_each_option_with_its_explanation_and_escapes_it(shown):
    quiz("Is 1 < 2?", {"yes": "It is.", "no": "<script>"}, answer="yes")
    assert shown[0].count("<details") == 2
    assert "Is 1 &lt; 2?" in shown[0]
    assert "<script>" not in shown[0]
    assert "<b>Right.</b> It is." in shown[0]


def test_a_quiz_whose_answer_is_no_option_is_refused():
    with pytest.raises(ValueError, match="must be one of"):
        quiz("?", {"a": "", "b": ""}, answer="c")


def test_a_question_of_a_file_is_shown_by_its_number(shown):
    quiz("01.a")
    assert "requires_grad" in shown[0]
    assert shown[0].count("<b>Right.</b>") == 1


@pytest.mark.parametrize(("number", "names"), [("01.z", "01.a"), ("77.a", "none")])
def test_a_question_that_is_not_there_is_named(number, names):
    with pytest.raises(ValueError, match=f"no question '{number}'.*{names}"):
        quiz(number)


@pytest.mark.parametrize("file", FILES, ids=lambda path: path.stem)
def test_the_questions_of_a_lesson_are_complete(file):
    lesson = file.stem.removeprefix("lesson_")
    found = questions(lesson)
    assert len(found) >= 3
    for number, entry in found.items():
        assert number.startswith(f"{lesson}.")
        assert entry["answer"] in entry["options"]
        assert len(entry["options"]) >= 2
        assert all(len(why.split()) >= 3 for why in entry["options"].values()), "each option says why"
