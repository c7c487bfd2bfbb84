"""Is an answer right, wrong or still open, and where did an error come from: from the answer, or from its use?"""

from __future__ import annotations

import ast
import contextlib
import inspect
import io
import textwrap
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, FunctionType

import torch

from ..runtime.seeding import kept_random_state, set_seed
from .checks.registry import Exercise, NotUsable

Condition = tuple[Callable[[object], bool], str]

LONGEST_LINE = 200  # characters of a line that an answer printed, or of what its error says
_UNTOUCHED = "open. Fill in the cell above, run it, then run this one again."
_HAS_GAP = "open. A `...` still stands in the cell above: fill it in, run the cell, then run this one again."


@dataclass(frozen=True)
class Verdict:
    """Whether an answer is right, and what to say."""

    right: bool
    text: str


def judge(exercise: Exercise, answer: object, context: dict[str, object]) -> Verdict:
    """Judge an answer by the conditions of its exercise.

    The check starts from the same seed each time and leaves random state, gradient mode and default type as they were.
    What the answer prints is shown when its check is over, or was interrupted: an answer that does not end can be
    stopped.

    Raises:
        TypeError: the context is not what the exercise needs.
    """
    conditions = exercise.conditions_of(answer, context)
    if answer is None or answer is ...:
        return Verdict(False, _UNTOUCHED)
    with kept_settings(), torch.enable_grad(), _held_back_prints():
        set_seed(0)
        problem = _first_problem(conditions, exercise, answer)
    if problem is None:
        return Verdict(True, "right.")
    return Verdict(False, _HAS_GAP if has_a_gap(answer) else f"not yet. {problem}")


@contextlib.contextmanager
def kept_settings() -> Iterator[None]:
    """Put random state, gradient mode and default type of tensors back when the block is over."""
    has_gradients, default = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        with kept_random_state():
            yield
    finally:
        torch.set_grad_enabled(has_gradients)
        torch.set_default_dtype(default)


def _first_problem(conditions: Iterator[tuple[object, str]], exercise: Exercise, answer: object) -> str | None:
    try:
        for holds, advice in conditions:
            if not bool(holds):  # a vector of truths has no truth of its own: that is an error of the answer
                return advice
    except NotUsable as error:
        return f"{error}. Asked for was {exercise.asked}."
    except Exception as error:  # the learner's code may raise anything; it is feedback, not a crash
        return _blame(error, exercise, answer)
    return None


def _blame(error: Exception, exercise: Exercise, answer: object) -> str:
    """Return whose error it is: the learner's, with their line, or one of the check that could not use the answer."""
    what = _told(error)
    theirs = _files_of(answer) - {exercise.conditions.__code__.co_filename}
    frames = list(traceback.walk_tb(error.__traceback__))
    for frame, line in reversed(frames):
        if frame.f_globals.get("__name__") == "__main__" or frame.f_code.co_filename in theirs:
            return f"Your code raised {what}\n    {_place(frame, line)}"
    return f"The check could not use your answer ({what}). Asked for was {exercise.asked}."


def _told(error: Exception) -> str:
    """Return the class of an error and what it says, if it can say it: the class may be the learner's own."""
    try:
        said = str(error)
    except Exception as second:
        said = f"(its text cannot be read: {type(second).__name__})"
    lines = f"{type(error).__name__}: {said}".rstrip(": ").splitlines()
    return "\n".join(map(_cut, lines[:10]))


def _cut(line: str) -> str:
    more = len(line) - LONGEST_LINE
    return f"{line[:LONGEST_LINE]} ... and {more} more characters" if more > 0 else line


def _files_of(answer: object) -> set[str]:
    """Return the files that the code of a function, of a class or of an instance's class stands in."""
    return {function.__code__.co_filename for function in _functions_of(answer)}


def _place(frame: FrameType, line: int) -> str:
    (summary,) = traceback.StackSummary.extract([(frame, line)])
    file = Path(summary.filename)
    is_cell = summary.filename.startswith("<") or file.parent.name.startswith("ipykernel_")
    where = f"line {line} of {'its cell' if is_cell else file.name}"
    name = frame.f_code.co_name
    return (f"in `{name}`, " if name.isidentifier() else "in ") + where + (f": {summary.line}" if summary.line else "")


@contextlib.contextmanager
def _held_back_prints(lines: int = 10) -> Iterator[None]:
    """Show what a block printed only at its end, at most ten lines, long ones cut, also after an interrupt."""
    heard = io.StringIO()
    try:
        with contextlib.redirect_stdout(heard):
            yield
    finally:
        if said := heard.getvalue().rstrip().splitlines():
            more = [f"... and {len(said) - lines} more lines"] * (len(said) > lines)
            print("\n".join(["While it was checked, your code printed:", *map(_cut, said[:lines]), *more]))


def first_problem(answer: object, conditions: Sequence[Condition]) -> str | None:
    """Return what to say about an answer, or ``None`` where every condition, a pair of a test and advice, holds."""
    if answer is None or answer is ...:
        return _UNTOUCHED
    for holds, advice in conditions:
        try:
            passed, detail = holds(answer), ""
            passed = passed if passed is ... else bool(passed)  # a vector of truths has no truth of its own
        except Exception as error:  # the learner's code may raise anything; it is feedback, not a crash
            passed, detail = False, f" (Your answer raised {_told(error)})"
        if passed is ...:
            passed, detail = False, " (Your function returned nothing. Does it end with `return`?)"
        if not passed:
            return _HAS_GAP if has_a_gap(answer) else f"not yet. {advice}{detail}"
    return None


def has_a_gap(answer: object) -> bool:
    """Return whether the source of a function, or of a class's methods, still holds a bare ``...``.

    The ``...`` in ``scores[..., 0]`` is none. Where there is no source to read, nothing counts as a gap. Of classes
    and their instances only those of the notebook are looked at: a tensor is an answer and no starter.
    """
    return any(_holds_bare_ellipsis(function) for function in _functions_of(answer))


def _functions_of(answer: object) -> list[FunctionType]:
    """Return the function that an answer is, or those of its class, where that is one of the notebook."""
    owner = answer if isinstance(answer, (FunctionType, type)) else type(answer)
    if isinstance(owner, type) and owner.__module__ != "__main__":
        return []
    functions = [owner] if isinstance(owner, FunctionType) else vars(owner).values()
    return [function for function in functions if isinstance(function, FunctionType)]


def _holds_bare_ellipsis(function: FunctionType) -> bool:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(function)))
    except (OSError, TypeError, SyntaxError):  # no source, or a lambda in the middle of a line
        return False
    places = (ast.Expr, ast.Assign, ast.AnnAssign, ast.Return)
    values = [node.value for node in ast.walk(tree) if isinstance(node, places)]
    return any(isinstance(value, ast.Constant) and value.value is ... for value in values)
