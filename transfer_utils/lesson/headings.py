"""The heading of an exercise: ``### 01.2 Freeze the body *(difficulty 2/5, importance 4/5, 10 minutes)*``."""

from __future__ import annotations

import re
from typing import NamedTuple

TERMS = "*(difficulty 2/5, importance 4/5, 10 minutes)*"  # an example, for messages
_HEADING = re.compile(
    r"^### +(?P<number>[0-9]{2}\.[0-9]+)\b[ \t]*(?P<title>.*?)[ \t]*(?P<terms>\*\(.*\)\*)?[ \t]*$", re.M
)
_MINUTES = re.compile(r"([0-9]+) minutes?\)\*$")
_ALL_TERMS = re.compile(r"\*\(difficulty [1-5]/5, importance [1-5]/5, [0-9]+ minutes?\)\*")


class ExerciseHeading(NamedTuple):
    """What the heading of an exercise says.

    ``minutes`` is ``None`` where it says none; ``has_terms``, whether difficulty, importance and minutes are there.
    """

    number: str
    title: str
    minutes: int | None
    has_terms: bool


def exercise_headings(markdown: str) -> list[ExerciseHeading]:
    """Return the headings of exercises in a text of Markdown, in their order.

    >>> exercise_headings("### 01.2 Freeze *(easy, 10 minutes)*")
    [ExerciseHeading(number='01.2', title='Freeze', minutes=10, has_terms=False)]
    """
    found = []
    for line in _HEADING.finditer(markdown):
        terms = line["terms"] or ""
        minutes = _MINUTES.search(terms)
        found.append(ExerciseHeading(line["number"], line["title"], int(minutes[1]) if minutes else None,
                                     bool(_ALL_TERMS.fullmatch(terms))))  # fmt: skip
    return found
