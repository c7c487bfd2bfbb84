"""Exercises that check themselves, and solutions that leave the learner's names alone."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from .checks.registry import find
from .judging import Condition, Verdict, first_problem, judge, kept_settings
from .solved import remember

_running: list[solution] = []  # the solution whose block is being run
_shown: dict[str, object] = {}  # the answers that solutions of the first edition left in the learner's names


def check(
    number: str,
    answer: object,
    conditions: Sequence[Condition] | None = None,
    /,
    *,
    must_pass: bool = False,
    **context: Any,
) -> None:
    """Check an answer and say that it is right, or what to look at.

    An exercise that was not touched is said to be open, so that "Run all" passes: its answer is ``...`` or
    ``None``, or the source of the function (or of the class's methods) still holds the bare ``...`` of the starter.
    A right answer is remembered in the learner's list of what is solved (:mod:`transfer_utils.lesson.solved`).

    Args:
        number: e.g. ``"01.2"``. Conditions and feedback stand in ``lesson/checks/lesson_01.py``.
        answer: a value, or a function the learner filled in.
        conditions, must_pass: the form of the first edition, which goes with the last lesson that has it: pairs of
            a test of the answer and what to say when it fails; raise where the answer is wrong or open.
        context: what the check needs from the notebook, by keyword.

    Raises:
        AssertionError: the answer is wrong or open, inside the block of a :class:`solution` or with ``must_pass``.
        ValueError: there is no such exercise, or the solution around it is that of another.
        TypeError: the number is no text, or the context is not what the exercise needs.

    Example:
        >>> check("01.1", 5 * 8 + 5, width=8)
        Exercise 01.1: right.
    """
    _refuse_what_is_no_text(number)
    if conditions is None:
        exercise = find(number)
        title, verdict = exercise.title, judge(exercise, answer, context)
    else:
        number, _, title = number.partition(" ")
        problem = first_problem(answer, conditions)
        verdict = Verdict(problem is None, problem or "right.")
    if _running:
        _running[-1].settle(number, verdict)
        return
    name = f"{number} {title}".strip() if conditions is not None else number
    if must_pass and not verdict.right:
        raise AssertionError(f"Exercise {name}: the solution fails its own check: {verdict.text}")
    print(f"Exercise {name}: {verdict.text}")
    if must_pass:
        _shown[number] = answer
    elif verdict.right and _shown.get(number, ...) is not answer:
        remember(number, title)


def _refuse_what_is_no_text(number: object) -> None:
    if not isinstance(number, str):
        raise TypeError(f'the number of an exercise is a text in quotes, such as "01.2", and not {number!r}')


class solution:  # noqa: N801 (reads as a statement: with solution("01.2"):)
    """Run a solution where it cannot touch the learner's names.

    In the block a name of the notebook can be bound at will, and :func:`check` judges strictly. Afterwards every
    name is bound to what it was bound to before, and one that is new is gone, also after an error: an exercise
    that was open is open. Random state, gradient mode and default type are put back, too. What an object holds is
    not: a solution works on objects of its own.

    Args:
        number: that of the exercise; the block must check it.

    Raises:
        AssertionError: the solution is wrong, open, or not checked.
        ValueError: it checks another exercise.
        TypeError: the number is no text.
        RuntimeError: the block stands in a function, whose names cannot be put back, or inside another solution.

    Example:
        >>> with solution("01.1"):                            # doctest: +SKIP
        ...     five_class_head = 5 * width + 5
        ...     check("01.1", five_class_head, width=width)
        Solution 01.1: right. Your own names are as they were.
    """

    def __init__(self, number: str) -> None:
        _refuse_what_is_no_text(number)
        self.number = number
        self.is_right = False

    def settle(self, number: str, verdict: Verdict) -> None:
        """Take the verdict of the check in the block."""
        if number != self.number:
            raise ValueError(f"The solution {self.number} checks exercise {number}.")
        if not verdict.right:
            raise AssertionError(f"Exercise {number}: the solution fails its own check: {verdict.text}")
        self.is_right = True

    def __enter__(self) -> Self:
        frame = sys._getframe(1)
        if frame.f_locals is not frame.f_globals:
            raise RuntimeError(f"The solution {self.number} stands in a function: write it at the top of a cell.")
        if _running:
            raise RuntimeError(f"The solution {self.number} stands inside the solution {_running[-1].number}.")
        self._names, self._before = frame.f_globals, dict(frame.f_globals)
        self._settings = kept_settings()
        self._settings.__enter__()
        _running.append(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        _running.remove(self)
        self._settings.__exit__(None, None, None)
        for name in self._names.keys() - self._before.keys():
            del self._names[name]
        self._names.update(self._before)
        del self._names, self._before  # the last one is kept by nobody
        if error is None and not self.is_right:
            raise AssertionError(f"Exercise {self.number}: the solution fails its own check: its block calls none.")
        if error is None:
            print(f"Solution {self.number}: right. Your own names are as they were.")
