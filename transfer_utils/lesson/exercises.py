"""Exercises that check themselves: an answer, conditions on it, and feedback that helps."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Condition = tuple[Callable[[object], bool], str]


def check(name: str, answer: object, conditions: Sequence[Condition], *, must_pass: bool = False) -> None:
    """Check an answer and say that it is right, or what to look at.

    An exercise that was not touched (its answer is ``...`` or ``None``) is said to be open, so
    that "Run all" passes. A function that still returns ``...`` counts as not touched.

    Args:
        name: number and title, e.g. ``"01.2 Freeze the stem"``.
        answer: a value, or a function the learner filled in.
        conditions: pairs of a test of the answer and what to say when it fails.
        must_pass: raise where the answer is wrong or open; the solution is checked so.

    Raises:
        AssertionError: only with ``must_pass``.
    """
    verdict = _first_problem(answer, conditions)
    if verdict is None:
        print(f"Exercise {name}: right.")
    elif must_pass:
        raise AssertionError(f"Exercise {name}: the solution fails its own check: {verdict}")
    else:
        print(f"Exercise {name}: {verdict}")


def _first_problem(answer: object, conditions: Sequence[Condition]) -> str | None:
    """Return what to say, or ``None`` where every condition holds."""
    if answer is None or answer is ...:
        return "open. Fill in the cell above, run it, then run this one again."
    for holds, advice in conditions:
        try:
            passed = holds(answer)
        except Exception as error:  # the learner's code may raise anything; it is feedback, not a crash
            if callable(answer) and ("ellipsis" in str(error).lower() or "NoneType" in str(error)):
                return "open. The function still returns `...` or nothing. Fill it in and run this cell again."
            return f"not yet. {advice} (Your answer raised {type(error).__name__}: {error})"
        if passed is ...:
            return "open. The function still returns `...`. Fill it in and run this cell again."
        if not passed:
            return f"not yet. {advice}"
    return None
