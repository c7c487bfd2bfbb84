"""Checks of lesson 00, start here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch

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
    yield width < 2.25 * half, "Too wide. Does each draw have as many cells as there are?"
    many = _three(answer(first.repeat(16), second.repeat(16), 500))
    yield (
        (many[2] - many[1] < 0.4 * width),
        "Of 16 times as many cells the interval is a quarter as wide. Yours is not.",
    )


def _right_answers() -> tuple[torch.Tensor, torch.Tensor]:
    """Return which of 400 cells two methods get right: .80 and .74, mostly the same ones."""
    cells = torch.arange(400)
    return (cells % 5) != 0, ((cells % 5) != 0) ^ ((cells % 10) == 1) ^ ((cells % 25) == 0)


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
wrong("00.2", "Too narrow", _bootstrap((0.16, 0.84)))
wrong("00.2", "spread of single cells", _bootstrap(mean=False))
wrong("00.2", "as many cells as there are", _bootstrap(share=0.25))
wrong("00.2", "a quarter as wide", lambda first, second, draws: _bootstrap()(first[:400], second[:400], draws))
wrong("00.2", "before the high end", lambda *given: [_bootstrap()(*given)[place] for place in (0, 2, 1)])
wrong("00.2", "`second`'s", lambda *given: (0.5, *_bootstrap()(*given)[1:]))
wrong("00.2", "not three numbers", lambda *given: _bootstrap()(*given)[1:])
wrong("00.2", "returned nothing", lambda *given: None)

# ---------------------------------------------------------------------- 00.3


@exercise("00.3", "Which budget is enough?", asked='a dict with "labels", "recall" and "false alarms"')
def enough(answer: Mapping, study: Mapping, validation_labels: torch.Tensor, labels: torch.Tensor,
           wanted: float, most_alarms: float) -> Conditions:  # fmt: skip
    """Find the smallest budget whose threshold, chosen on validation, keeps false alarms low on the test cells.

    Args:
        study: number of labels, as a text -> ``{"validation": (S, M, 2), "test": (S, N, 2)}``.
        wanted: the share of the defective validation cells that the threshold must find.
        most_alarms: the share of the functional test cells that may be called defective, averaged over the seeds.
    """
    if not isinstance(answer, Mapping) or not {"labels", "recall", "false alarms"} <= set(answer):
        raise NotUsable('The answer is not a dict with "labels", "recall" and "false alarms"')
    given = tuple(number_from(answer[name]) for name in ("labels", "recall", "false alarms"))
    yield str(int(given[0])) in study, f"These budgets were measured: {', '.join(study)}."
    yield max(given[1:]) <= 1, "Recall and false alarms are shares, from 0 to 1, not per cent."
    of = study[str(int(given[0]))]
    here = _reached(of["validation"], validation_labels, of["test"], labels, wanted)
    is_right = _same(given[1:], here)
    for shares, advice in _mistakes(of, validation_labels, labels, wanted):
        yield is_right or not _same(given[1:], shares), advice
    yield (
        is_right,
        (
            "For this budget they are others. In each seed: the highest threshold at which the wanted share of the "
            "defective validation cells is found, then recall and false alarms on the test cells; then the mean."
        ),
    )
    alarms = {int(count): _reached(runs["validation"], validation_labels, runs["test"], labels, wanted)[1]
              for count, runs in study.items()}  # fmt: skip
    good = [count for count in sorted(alarms) if alarms[count] <= most_alarms]
    yield int(given[0]) in good or not good, "With that budget there are too many false alarms."
    yield good or int(given[0]) == max(alarms), "No budget is enough here. Give the largest."
    yield not good or int(given[0]) == good[0], "A smaller budget is enough too. Go through them from the smallest on."


def _mistakes(of: Mapping, validation_labels: torch.Tensor, labels: torch.Tensor,
              wanted: float) -> Iterator[tuple[tuple[float, ...], str]]:  # fmt: skip
    """Yield recall and false alarms as mistakes give them, each with what to say."""
    validation, test = of["validation"], of["test"]
    here = _reached(validation, validation_labels, test, labels, wanted)
    yield here[::-1], "You have recall and false alarms the wrong way round."
    yield (
        _reached(None, validation_labels, test, labels, wanted),
        "That is what the usual threshold of one half gives. Choose one that finds as many defects as are wanted.",
    )
    yield (
        _reached(test, labels, test, labels, wanted),
        "You chose the threshold on the test cells. On new cells nobody gives you their labels: choose on validation.",
    )
    yield (
        _reached(validation, validation_labels, validation, validation_labels, wanted),
        "These are the shares of the validation cells, where the threshold was chosen. What happens on the test cells?",
    )
    for s in range(len(test)):
        yield (
            _reached(validation[s : s + 1], validation_labels, test[s : s + 1], labels, wanted),
            "That is one seed alone. Choose a threshold for each seed, and average what they reach.",
        )


def _reached(validation: torch.Tensor | None, validation_labels: torch.Tensor, test: torch.Tensor,
             labels: torch.Tensor, wanted: float) -> tuple[float, float]:  # fmt: skip
    """Return recall and false alarms on ``test``, averaged over the seeds; without validation scores, at one half."""
    found = []
    for seed in range(len(test)):
        threshold = 0.0
        if validation is not None:
            of_defective = _margin(validation[seed])[validation_labels == 1].sort(descending=True).values
            threshold = float(of_defective[math.ceil(wanted * len(of_defective) - 1e-9) - 1])
        called = _margin(test[seed]) >= threshold
        found.append([called[labels == 1].double().mean(), called[labels == 0].double().mean()])
    recall, alarms = torch.tensor(found).mean(0).tolist()
    return recall, alarms


def _margin(scores: torch.Tensor) -> torch.Tensor:
    return scores[..., 1] - scores[..., 0]


def _same(given: tuple[float, ...], expected: tuple[float, ...]) -> bool:
    """Return whether both shares agree; a quantile may fall between two cells, hence not to the last cell."""
    return all(abs(one - other) <= 0.006 for one, other in zip(given, expected, strict=True))


def _budgets() -> dict:
    """Return a study of three budgets and two seeds whose test cells are a little harder than its validation cells."""
    numbers = torch.Generator().manual_seed(0)
    validation_labels, labels = torch.arange(300) % 3 == 0, torch.arange(600) % 3 == 0

    def scores(marks: torch.Tensor, strength: float) -> torch.Tensor:
        margin = strength * (2 * marks.double() - 1) + torch.randn(2, len(marks), generator=numbers).double() - 0.5
        return torch.stack([torch.zeros_like(margin), margin], -1)

    study = {str(count): {"validation": scores(validation_labels, strength), "test": scores(labels, 0.8 * strength)}
             for count, strength in ((10, 0.4), (100, 1.2), (1000, 1.6))}  # fmt: skip
    return {"study": study, "validation_labels": validation_labels.long(), "labels": labels.long(),
            "wanted": 0.9, "most_alarms": 0.4}  # fmt: skip


def _swapped(report: dict[str, float]) -> dict[str, float]:
    return {**report, "recall": report["false alarms"], "false alarms": report["recall"]}


def _report(count: int, kind: str = "right") -> dict[str, float]:
    """Return the report for a budget of :func:`_budgets`, made with a mistake."""
    given = _budgets()
    of, marks, labels, wanted = given["study"][str(count)], given["validation_labels"], given["labels"], given["wanted"]
    reached = {
        "right": lambda: _reached(of["validation"], marks, of["test"], labels, wanted),
        "at half": lambda: _reached(None, marks, of["test"], labels, wanted),
        "peeked": lambda: _reached(of["test"], labels, of["test"], labels, wanted),
        "on validation": lambda: _reached(of["validation"], marks, of["validation"], marks, wanted),
        "one seed": lambda: _reached(of["validation"][:1], marks, of["test"][:1], labels, wanted),
        "too few": lambda: _reached(of["validation"], marks, of["test"], labels, 0.7),
    }[kind]()
    return {"labels": count, "recall": reached[0], "false alarms": reached[1]}


right("00.3", _report(100), **_budgets())
right("00.3", {**_report(100), "labels": torch.tensor(100)}, **_budgets())
wrong("00.3", "the wrong way round", _swapped(_report(100)), **_budgets())
wrong("00.3", "smaller budget is enough", _report(1000), **_budgets())
wrong("00.3", "too many false alarms", _report(10), **_budgets())
wrong("00.3", "threshold of one half", _report(100, "at half"), **_budgets())
wrong("00.3", "on the test cells. On new cells", _report(100, "peeked"), **_budgets())
wrong("00.3", "shares of the validation cells", _report(100, "on validation"), **_budgets())
wrong("00.3", "one seed alone", _report(100, "one seed"), **_budgets())
wrong("00.3", "they are others", _report(100, "too few"), **_budgets())
wrong("00.3", "not per cent", {**_report(100), "recall": 88.0}, **_budgets())
wrong("00.3", "budgets were measured", {**_report(100), "labels": 200}, **_budgets())
wrong("00.3", "is not a dict", 100, **_budgets())
