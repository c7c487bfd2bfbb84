"""Exercises that check themselves: an answer, conditions on it, and feedback that helps."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Callable, Sequence
from types import FunctionType

Condition = tuple[Callable[[object], bool], str]


def check(name: str, answer: object, conditions: Sequence[Condition], *, must_pass: bool = False) -> None:
    """Check an answer and say that it is right, or what to look at.

    An exercise that was not touched is said to be open, so that "Run all" passes: its answer is ``...`` or
    ``None``, or the source of the function (or of the class's methods) still holds the bare ``...`` of the starter.

    Args:
        name: number and title, e.g. ``"01.2 Freeze the stem"``.
        answer: a value, or a function the learner filled in.
        conditions: pairs of a test of the answer and what to say when it fails. A test may return ``...`` to say
            that a function returned nothing.
        must_pass: raise where the answer is wrong or open; the solution is checked so.

    Raises:
        AssertionError: only with ``must_pass``.

    Example:
        >>> check("1", lambda x: 2 * x, [(lambda double: double(2) == 4, "Doubling 2 gives 4.")])
        Exercise 1: right.
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
            passed, detail = holds(answer), ""
            passed = passed if passed is ... else bool(passed)  # a vector of truths has no truth of its own
        except Exception as error:  # the learner's code may raise anything; it is feedback, not a crash
            passed, detail = False, f" (Your answer raised {type(error).__name__}: {error})"
        if passed is ...:
            passed, detail = False, " (Your function returned nothing. Does it end with `return`?)"
        if not passed and _has_a_gap(answer):
            return "open. A `...` still stands in the cell above: fill it in, run the cell, then run this one again."
        if not passed:
            return f"not yet. {advice}{detail}"
    return None


def _has_a_gap(answer: object) -> bool:
    """Return whether the source of a function, or of a class's methods, still holds a bare ``...``.

    The ``...`` in ``scores[..., 0]`` is none. Where there is no source to read, nothing counts as a gap. Of classes
    and their instances only those of the notebook are looked at: a tensor is an answer and no starter.
    """
    owner = answer if isinstance(answer, (FunctionType, type)) else type(answer)
    if isinstance(owner, type) and owner.__module__ != "__main__":
        return False
    functions = [owner] if isinstance(owner, FunctionType) else vars(owner).values()
    return any(_holds_bare_ellipsis(function) for function in functions if isinstance(function, FunctionType))


def _holds_bare_ellipsis(function: FunctionType) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # no source, or a lambda in the middle of a line
        return False
    places = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Return)
    values = [node.value for node in ast.walk(tree) if isinstance(node, places)]
    return any(isinstance(value, ast.Constant) and value.value is ... for value in values)
