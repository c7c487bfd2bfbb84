"""Short quizzes that work everywhere, without a network, a server or JavaScript.

The questions of a lesson stand in ``quizzes/lesson_NN.toml``, so that its cells do not show the answers.
"""

from __future__ import annotations

import html
import tomllib
from collections.abc import Mapping
from importlib import resources

from IPython.display import HTML, display


def quiz(question: str, options: Mapping[str, str] | None = None, answer: str = "") -> None:
    """Show a question whose options unfold, each with why it is right or wrong.

    Args:
        question: the number of a question in the lesson's file, e.g. ``"01.a"``; or plain text, with options.
        options: option -> explanation, in the order shown.
        answer: the option that is right.

    Raises:
        ValueError: there is no such question; ``answer`` is not among the options, or there is only one.

    Example:
        >>> quiz("01.a")            # doctest: +SKIP
    """
    if options is None:
        question, options, answer = _from_file(question)
    if answer not in options or len(options) < 2:
        raise ValueError(f"The answer {answer!r} must be one of two or more options: {list(options)}.")
    verdict = {True: "Right.", False: "No."}
    rows = "".join(
        f"<details style='margin:0.3em 0 0.3em 1em'><summary>{html.escape(option)}</summary>"
        f"<p style='margin-left:1.5em'><b>{verdict[option == answer]}</b> {html.escape(why)}</p></details>"
        for option, why in options.items()
    )
    display(HTML(f"<p><b>{html.escape(question)}</b> Open the option you choose.</p>{rows}"))


def questions(lesson_number: str) -> dict[str, dict]:
    """Return the questions of a lesson, such as ``"01"``: number -> question, options, answer; none without a file."""
    file = resources.files(__package__) / "quizzes" / f"lesson_{lesson_number}.toml"
    return tomllib.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}


def _from_file(number: str) -> tuple[str, dict[str, str], str]:
    found = questions(number.partition(".")[0])
    if number not in found:
        raise ValueError(f"There is no question {number!r}. Of this lesson there are: {', '.join(found) or 'none'}.")
    entry = found[number]
    return entry["question"], entry["options"], entry["answer"]
