"""Checks of lesson 00, start here."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import torch

from .budget_plans import budgets, mistakes, reached, report, same, smallest_enough
from .registry import NOTHING, Conditions, NotUsable, exercise, number_from, right, wrong

# ---------------------------------------------------------------------- 00.1


@exercise("00.1", "How many defects are missed?", asked="a number")
def missed(answer: object, scores: torch.Tensor, labels: torch.Tensor) -> Conditions:
    """Count the defective cells that are called functional, averaged over the seeds; ``test`` (S, N, 2)."""
    count, calls, defective = number_from(answer), scores.argmax(-1) == 1, labels == 1
    found = calls[:, defective].double().sum(1)  # (S,)
    lost, alarms = float(defective.sum()) - found, calls[:, ~defective].double().sum(1)
    expected, is_right = float(lost.mean()), _is(count, float(lost.mean()))
    yield count >= 0, "A number of cells is not negative."
    for value, advice in (
        (expected / len(lost), "You divided by the seeds twice: `mean` over the seeds has done it."),
        (lost.sum(), "That is the sum over all seeds. How many are missed in one, on average?"),
        (expected / defective.sum(), "That is a share, 1 - recall. Asked for is a number of cells."),
        (100 * expected / defective.sum(), "That is per cent. Asked for is a number of cells."),
        (found.mean(), "These are the defects that are found. The others are missed."),
        (alarms.mean(), "These are false alarms: functional cells that were called defective."),
        ((lost + alarms).mean(), "These are all wrong answers. False alarms among them are no missed defects."),
        (lost[0], "That is the first seed alone. Average over all of them."),
    ):
        yield is_right or not _is(count, float(value)), advice
    yield is_right, "Of the cells with label 1, count those that were not called 1; average over the seeds."


def _is(number: float, expected: float) -> bool:
    return math.isclose(number, expected, rel_tol=1e-3, abs_tol=1e-6)


def _small_study() -> dict[str, torch.Tensor]:
    """Return scores of three seeds for 40 cells, 10 of them defective, of which 2, 3 and 5 are missed."""
    labels = torch.tensor([0] * 30 + [1] * 10)
    calls = torch.zeros(3, 40)
    for seed, (lost, alarms) in enumerate([(2, 6), (3, 7), (5, 9)]):
        calls[seed, 30 + lost :] = 1
        calls[seed, :alarms] = 1
    return {"scores": torch.stack([1 - calls, calls], -1), "labels": labels}


right("00.1", 10 / 3, **_small_study())
wrong("00.1", "sum over all seeds", 10, **_small_study())
wrong("00.1", "divided by the seeds twice", 10 / 9, **_small_study())
wrong("00.1", "That is a share", 1 / 3, **_small_study())
wrong("00.1", "per cent", 100 / 3, **_small_study())
wrong("00.1", "that are found", 20 / 3, **_small_study())
wrong("00.1", "false alarms: functional", 22 / 3, **_small_study())
wrong("00.1", "all wrong answers", 32 / 3, **_small_study())
wrong("00.1", "first seed alone", 2, **_small_study())
wrong("00.1", "not negative", -10 / 3, **_small_study())
wrong("00.1", "with label 1", 4, **_small_study())

# ---------------------------------------------------------------------- 00.2


@exercise("00.2", "Is the difference real?",
          asked="a function of two vectors and a number of draws: difference, low end, high end")  # fmt: skip
def paired_difference(answer: Callable) -> Conditions:
    """Return the difference of two shares of right answers with its paired 95 % bootstrap interval over the items."""
    first, second = _right_answers()
    result = answer(first.clone(), second.clone(), 2000)
    yield result is not None, NOTHING
    difference, low, high = _three(result)
    expected = float(first.double().mean() - second.double().mean())
    gap = (first.double() - second.double()).std() / len(first) ** 0.5
    half, width = 1.96 * float(gap), high - low
    yield not _near(difference, -expected, 0.003), "The sign: the share of `first` minus the share of `second`."
    yield not _near(difference, 100 * expected, 0.3), "That is in per cent. The answer is a difference of shares."
    yield not _near(difference, expected * len(first), 1.5), "That is a number of cells. Divide by how many there are."
    yield _near(difference, expected, 0.003), "The first number is the share of `first` that is right minus `second`'s."
    yield low <= high, "The low end comes before the high end."
    same = _three(answer(first.clone(), first.clone(), 200))
    yield (
        _near(same[2] - same[1], 0, 1e-6),
        "A method minus itself is 0 in every draw, so its interval has no width. Yours has: use the same drawn cells "
        "for both methods. That is what paired means.",
    )
    yield width > 0.01 * half, "The interval has no width: draw the cells *with replacement*, so that some come twice."
    yield low <= expected <= high, "The difference is outside of its interval. Is the interval that of the difference?"
    unscaled = 2 * half * len(first) ** 0.5
    yield width < 0.5 * unscaled, "That is the spread of single cells. The interval is of the *mean* of each draw."
    yield width > 1.3 * half, "Too narrow: the middle 95 % goes from the 2.5 to the 97.5 per cent point."
    yield width > 1.78 * half, "That is the middle 90 %: 5 % are cut off at each end, not 2.5 %."
    if width >= 2.25 * half:
        yield False, _why_too_wide(answer, half)
    many = _three(answer(first.repeat(16), second.repeat(16), 500))
    yield (
        (many[2] - many[1] < 0.4 * width),
        "Of 16 times as many cells the interval is a quarter as wide. Yours is not.",
    )


def _right_answers() -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of 400 cells two methods get right: .80 and .74, mostly the same ones."""
    cells = torch.arange(400)
    return (cells % 5) != 0, ((cells % 5) != 0) ^ ((cells % 10) == 1) ^ ((cells % 25) == 0)


def _why_too_wide(answer: Callable, half: float) -> str:
    """Name what makes an interval too wide, from eight times as many draws: 2000 do not tell the causes apart.

    As a multiple of that of 95 %, the middle 99 % is 1.31 times as wide, and that of half the cells 1.41 times.
    """
    _, low, high = _three(answer(*_right_answers(), 16_000))
    if high - low < 2.725 * half:
        return "That is about the middle 99 %: half a per cent is cut off at each end, not 2.5 %."
    return "Too wide. Does each draw have as many cells as there are?"


def _three(result: object) -> tuple[float, float, float]:
    numbers = tuple(result) if isinstance(result, (tuple, list)) or hasattr(result, "__len__") else ()
    if len(numbers) != 3:
        raise NotUsable("What was returned is not three numbers")
    difference, low, high = map(number_from, numbers)
    return difference, low, high


def _near(number: float, expected: float, within: float) -> bool:
    return abs(number - expected) <= within


def _bootstrap(ends: tuple[float, float] = (0.025, 0.975), *, paired: bool = True, replace: bool = True,
               mean: bool = True, factor: float = 1.0, share: float = 1.0) -> Callable:  # fmt: skip
    """Return a paired bootstrap, with the mistakes that are asked for."""

    def answer(first: torch.Tensor, second: torch.Tensor, draws: int) -> tuple:
        size, weights = int(share * len(first)), torch.ones(len(first))
        rows = torch.stack([torch.multinomial(weights, size, replacement=replace) for _ in range(draws)])
        others = rows if paired else torch.stack([torch.multinomial(weights, size, replace) for _ in range(draws)])
        gaps = first.double()[rows] - second.double()[others]
        gaps = gaps.mean(1) if mean else gaps.flatten()
        low, high = gaps.quantile(torch.tensor(ends, dtype=gaps.dtype)) if mean else (gaps.min(), gaps.max())
        return factor * (first.double().mean() - second.double().mean()), factor * low, factor * high

    return answer


def _two_intervals(first: torch.Tensor, second: torch.Tensor, draws: int) -> tuple[float, float, float]:
    (mean, low, high), (other, below, above) = (_bootstrap()(one, one & False, draws) for one in (first, second))
    return mean - other, low - above, high - below


def _from_a_formula(first: torch.Tensor, second: torch.Tensor, draws: int) -> tuple[float, float, float]:
    """Return the same interval without draws, from the central limit theorem."""
    gaps = first.double() - second.double()
    mean, error = float(gaps.mean()), float(gaps.std()) / len(gaps) ** 0.5
    return mean, mean - 1.96 * error, mean + 1.96 * error


right("00.2", _bootstrap())
right("00.2", _from_a_formula)
right("00.2", lambda first, second, draws: torch.stack(_bootstrap()(first, second, draws)))
wrong("00.2", "what paired means", _bootstrap(paired=False))
wrong("00.2", "use the same drawn cells", _two_intervals)
wrong("00.2", "with replacement", _bootstrap(replace=False))
wrong("00.2", "The sign", lambda first, second, draws: _bootstrap()(second, first, draws))
wrong("00.2", "per cent. The answer", _bootstrap(factor=100))
wrong("00.2", "number of cells", lambda first, second, draws: _bootstrap(factor=len(first))(first, second, draws))
wrong("00.2", "middle 90 %", _bootstrap((0.05, 0.95)))
wrong("00.2", "the middle 99 %: half a per cent", _bootstrap((0.005, 0.995)))
wrong("00.2", "Too narrow", _bootstrap((0.16, 0.84)))
wrong("00.2", "spread of single cells", _bootstrap(mean=False))
wrong("00.2", "as many cells as there are", _bootstrap(share=0.25))
wrong("00.2", "Too wide. Does each draw", _bootstrap(share=0.5))
wrong("00.2", "a quarter as wide", lambda first, second, draws: _bootstrap()(first[:400], second[:400], draws))
wrong("00.2", "before the high end", lambda *given: [_bootstrap()(*given)[place] for place in (0, 2, 1)])
wrong("00.2", "`second`'s", lambda *given: (0.5, *_bootstrap()(*given)[1:]))
wrong("00.2", "not three numbers", lambda *given: _bootstrap()(*given)[1:])
wrong("00.2", "returned nothing", lambda *given: None)

# ---------------------------------------------------------------------- 00.3


@exercise("00.3", "Which budget is enough?", asked='a dict with "labels", "recall" and "false alarms"')
def enough(answer: Mapping, study: Mapping, validation_labels: torch.Tensor, labels: torch.Tensor,
           wanted: float, most_alarms: float) -> Conditions:  # fmt: skip
    """Choose thresholds and the smallest budget on validation; report what they reach on the test cells.

    In each seed the threshold is the highest one that finds the wanted share of the defective validation cells. A
    budget is enough if these thresholds keep the false alarms among the functional validation cells low.

    Args:
        study: number of labels, as a text -> ``{"validation": (S, M, 2), "test": (S, N, 2)}``.
        wanted: the share of the defective validation cells that the threshold must find.
        most_alarms: the share of the functional validation cells that may be called defective, averaged over the seeds.
    """
    if not isinstance(answer, Mapping) or not {"labels", "recall", "false alarms"} <= set(answer):
        raise NotUsable('The answer is not a dict with "labels", "recall" and "false alarms"')
    count, *shares = (number_from(answer[name]) for name in ("labels", "recall", "false alarms"))
    measured = {int(name): runs for name, runs in study.items()}
    yield count in measured, f"These budgets were measured: {', '.join(study)}."
    yield max(shares) <= 1, "Recall and false alarms are shares, from 0 to 1, not per cent."
    of = measured[int(count)]
    is_right = same(shares, reached(of["validation"], validation_labels, of["test"], labels, wanted))
    for mistaken, advice in mistakes(of, validation_labels, labels, wanted):
        yield is_right or not same(shares, mistaken), advice
    yield (
        is_right,
        (
            "For this budget they are others. In each seed: the highest threshold at which the wanted share of the "
            "defective validation cells is found, then recall and false alarms on the test cells; then the mean."
        ),
    )
    on_validation, on_test = (
        {
            n: reached(runs["validation"], validation_labels, runs[name], of_name, wanted)[1]
            for n, runs in measured.items()
        }
        for name, of_name in (("validation", validation_labels), ("test", labels))
    )
    yield from _chosen_on_validation(int(count), on_validation, on_test, most_alarms)


def _chosen_on_validation(
    count: int, on_validation: dict[int, float], on_test: dict[int, float], most_alarms: float
) -> Conditions:
    """``count`` is the smallest budget with few enough false alarms on validation, not on the test cells."""
    chosen = smallest_enough(on_validation, most_alarms)
    peeked = count == smallest_enough(on_test, most_alarms) != chosen
    yield (
        not peeked,
        "That is the budget that the test cells would choose. They are new cells: choose it on validation, where the "
        "thresholds come from, and only then open the test cells, for that budget.",
    )
    none = on_validation[chosen] > most_alarms + 1e-9
    yield count == chosen or not none, "On validation no budget is enough here. Give the largest."
    yield count >= chosen, "With that budget there are too many false alarms on the validation cells."
    yield count == chosen, "A smaller budget is enough too, on validation. Go through them from the smallest on."


right("00.3", report(100, budgets()), **budgets())
right("00.3", {**report(100, budgets()), "labels": torch.tensor(100)}, **budgets())
right("00.3", report(1000, budgets(1.25, 0.3)), **budgets(1.25, 0.3))  # the test cells are easier: 100 would do
right("00.3", report(10000, budgets(most_alarms=0.01)), **budgets(most_alarms=0.01))
wrong("00.3", "the test cells would choose", report(1000, budgets()), **budgets())
wrong("00.3", "only then open the test cells", report(100, budgets(1.25, 0.3)), **budgets(1.25, 0.3))
wrong("00.3", "smaller budget is enough", report(10000, budgets()), **budgets())
wrong("00.3", "too many false alarms", report(10, budgets()), **budgets())
wrong("00.3", "no budget is enough", report(100, budgets(most_alarms=0.01)), **budgets(most_alarms=0.01))
for _mistake, _words in {
    "swapped": "the wrong way round",
    "at half": "threshold of one half",
    "peeked": "on the test cells. On new cells",
    "on validation": "shares of the validation cells",
    "mixed": "Report both of the test cells",
    "one seed": "one seed alone",
    "too few": "they are others",
}.items():
    wrong("00.3", _words, report(100, budgets(), _mistake), **budgets())
wrong("00.3", "not per cent", {**report(100, budgets()), "recall": 88.0}, **budgets())
wrong("00.3", "budgets were measured", {**report(100, budgets()), "labels": 200}, **budgets())
wrong("00.3", "measured: 10, 100", {**report(100, budgets()), "labels": 100.5}, **budgets())
wrong("00.3", "is not a dict", 100, **budgets())
