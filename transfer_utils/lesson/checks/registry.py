"""How a file of checks is written.

An exercise is a generator. It is given the answer, and each ``yield`` is a condition with what to say where it does
not hold. The conditions are judged from top to bottom, and the first that fails is the feedback:

    @exercise("09.1", "Double a number", asked="a function of x that returns 2 * x")
    def doubled(answer):
        result = answer(3)
        yield result is not None, NOTHING
        yield result != 9, "That is the square: double a number by adding it to itself."
        yield result == 6, "Doubling 3 gives 6."

    @right("09.1")
    def adds(x):
        return x + x

    @wrong("09.1", "square")        # the feedback that this one gets contains the word
    def squares(x):
        return x * x

An answer that is a value stands in the call, beside the context that the lesson hands over by keyword:

    right("09.2", 5 * 8 + 5, width=8)
    wrong("09.2", "bias", 5 * 8, width=8)

Nobody can learn an answer from a single case: ask for several, with objects made anew for each call, since an answer
may change what it is given.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Conditions = Iterator[tuple[object, str]]  # what must hold, and what to say where it does not

NOTHING = "Your function returned nothing. Does it end with `return`?"


class NotUsable(Exception):
    """An answer, or what it returned, is not of the kind that the exercise asks for; the text says what it is."""


@dataclass(frozen=True)
class Sample:
    """An answer whose verdict is known, for the tests; ``words`` are in the feedback of a wrong one."""

    answer: Any
    context: dict[str, Any]
    words: str = ""


@dataclass(frozen=True)
class Exercise:
    """An exercise: its number and title, what it asks for, its conditions, and answers to try them on."""

    number: str
    title: str
    asked: str
    conditions: Callable[..., Conditions]
    right: list[Sample] = field(default_factory=list)
    wrong: list[Sample] = field(default_factory=list)

    def conditions_of(self, answer: object, context: dict[str, Any]) -> Conditions:
        """Return the conditions for an answer.

        Raises:
            TypeError: the context is not what the exercise needs; the text gives the call.
        """
        _, *needed = inspect.signature(self.conditions).parameters.values()
        required = [parameter.name for parameter in needed if parameter.default is inspect.Parameter.empty]
        missing = [name for name in required if name not in context]
        unknown = sorted(context.keys() - {parameter.name for parameter in needed})
        if missing or unknown:
            what = f"needs {', '.join(missing)}" if missing else f"knows no {', '.join(unknown)}"
            call = ", ".join([f'"{self.number}"', self.conditions.__name__, *(f"{name}={name}" for name in required)])
            raise TypeError(f"the check of exercise {self.number} {what}: check({call})")
        return self.conditions(answer, **context)


_exercises: dict[str, Exercise] = {}
_DECORATES: Any = object()


def exercise(
    number: str, title: str, *, asked: str
) -> Callable[[Callable[..., Conditions]], Callable[..., Conditions]]:
    """Declare an exercise; the generator below it yields pairs of a condition and what to say where it fails.

    Args:
        number: ``NN.k``; NN is the lesson, whose file this stands in.
        title: a few words, for the learner's list of what is solved.
        asked: what an answer is, e.g. ``"a function of x that returns 2 * x"``; said where one cannot be used.

    Raises:
        ValueError: the number belongs to another file, or is there already.
    """

    def declare(conditions: Callable[..., Conditions]) -> Callable[..., Conditions]:
        if conditions.__module__.rpartition(".")[2] != f"lesson_{number.partition('.')[0]}":
            raise ValueError(f"Exercise {number} stands in {conditions.__module__}; it belongs in {_module(number)}.")
        before = _exercises.get(number)
        if before and before.conditions.__name__ != conditions.__name__:  # the same name: the file was loaded again
            raise ValueError(f"Exercise {number} is there twice: {before.title}, and {title}.")
        _exercises[number] = Exercise(number, title, asked, conditions)
        return conditions

    return declare


def right(number: str, answer: Any = _DECORATES, **context: Any) -> Any:
    """Give a right answer to exercise ``number``: a value, or the function below ``@right(number)``."""
    return _sample(_exercises[number].right, answer, context)


def wrong(number: str, words: str, answer: Any = _DECORATES, **context: Any) -> Any:
    """Give a typical wrong answer to exercise ``number``, whose feedback must contain ``words``, as :func:`right`."""
    return _sample(_exercises[number].wrong, answer, context, words)


def _sample(samples: list[Sample], answer: Any, context: dict[str, Any], words: str = "") -> Any:
    def add(answer: Any) -> Any:
        samples.append(Sample(answer, context, words))
        return answer

    return add if answer is _DECORATES else add(answer)


def find(number: str) -> Exercise:
    """Return exercise ``number``, from the file of its lesson.

    Raises:
        ValueError: there is none; the text names those that are there.
    """
    there = exercises_of(number.partition(".")[0])
    for one in there:
        if one.number == number:
            return one
    names = ", ".join(one.number for one in there) or "no exercise"
    raise ValueError(f"There is no exercise {number!r}: {_module(number)} has {names}.")


def exercises_of(lesson: str) -> list[Exercise]:
    """Return the exercises of ``lesson`` (two digits, ``"01"``) by number; none where it has no file of checks."""
    if lesson not in lessons():
        return []
    importlib.import_module(f".lesson_{lesson}", __package__)
    return [one for number, one in sorted(_exercises.items()) if number.startswith(f"{lesson}.")]


def lessons() -> list[str]:
    """Return the two digits of each lesson that has a file of checks."""
    folder = importlib.import_module(__package__).__path__
    return sorted(m.name.removeprefix("lesson_") for m in pkgutil.iter_modules(folder) if m.name.startswith("lesson_"))


def number_from(answer: Any) -> float:
    """Return a number of Python, NumPy or PyTorch as a float.

    Raises:
        NotUsable: ``answer`` is something else, e.g. a text, a truth or a vector.
    """
    if isinstance(answer, (str, bytes, bool)) or not hasattr(answer, "__float__"):
        raise NotUsable(f"{_shown(answer)} is not a number")
    try:
        return float(answer)
    except (TypeError, ValueError, RuntimeError) as error:  # an array or a tensor with several elements
        raise NotUsable(f"{_shown(answer)} is not one number") from error


def _shown(answer: Any) -> str:
    text = " ".join(repr(answer).split())
    return text if len(text) <= 60 else f"a {type(answer).__name__}"


def _module(number: str) -> str:
    return f"lesson/checks/lesson_{number.partition('.')[0]}.py"
