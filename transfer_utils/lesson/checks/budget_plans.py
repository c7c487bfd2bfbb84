"""A threshold and a budget chosen on validation, and what they reach on the test cells; right, and with mistakes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

Runs = Mapping[str, Tensor]  # "validation" (S, M, 2) and "test" (S, N, 2)
Shares = tuple[float, ...]  # recall and false alarms


def reached(
    chosen_on: Tensor | None, chosen_labels: Tensor, scores: Tensor, labels: Tensor, wanted: float
) -> tuple[float, float]:
    """Return recall and false alarms of ``scores``, averaged over the seeds.

    Args:
        chosen_on: scores whose defective cells set the threshold of each seed; ``None`` for a threshold of one half.
        wanted: the share of those defective cells that the threshold must find.
    """
    found = []
    for seed in range(len(scores)):
        threshold = 0.0
        if chosen_on is not None:
            of_defective = _margin(chosen_on[seed])[chosen_labels == 1].sort(descending=True).values
            threshold = float(of_defective[math.ceil(wanted * len(of_defective) - 1e-9) - 1])
        called = _margin(scores[seed]) >= threshold
        found.append([float(called[labels == label].double().mean()) for label in (1, 0)])
    recall, alarms = (sum(column) / len(column) for column in zip(*found, strict=True))
    return recall, alarms


def _margin(scores: Tensor) -> Tensor:
    return scores[..., 1] - scores[..., 0]


def same(given: Shares, expected: Shares) -> bool:
    """Return whether both shares agree; a quantile may fall between two cells, hence not to the last cell."""
    return all(abs(one - other) <= 0.006 for one, other in zip(given, expected, strict=True))


def smallest_enough(alarms: Mapping[int, float], most_alarms: float) -> int:
    """Return the smallest budget with few enough false alarms, the largest where none has."""
    good = [count for count, share in alarms.items() if share <= most_alarms + 1e-9]  # a mean of shares is rounded
    return min(good, default=max(alarms))


def mistakes(of: Runs, marks: Tensor, labels: Tensor, wanted: float) -> Iterator[tuple[Shares, str]]:
    """Yield recall and false alarms of one budget as mistakes give them, each with what to say.

    Args:
        marks: labels of the validation cells.
        labels: labels of the test cells.
    """
    validation, test = of["validation"], of["test"]
    here = reached(validation, marks, test, labels, wanted)
    there = reached(validation, marks, validation, marks, wanted)
    yield here[::-1], "You have recall and false alarms the wrong way round."
    yield (
        reached(None, marks, test, labels, wanted),
        "That is what the usual threshold of one half gives. Choose one that finds as many defects as are wanted.",
    )
    yield (
        reached(test, labels, test, labels, wanted),
        "You chose the threshold on the test cells. On new cells nobody gives you their labels: choose on validation.",
    )
    yield (
        there,
        "These are the shares of the validation cells, where the threshold was chosen. What happens on the test cells?",
    )
    yield (
        (here[0], there[1]),
        "The false alarms are those of the validation cells, which chose the budget. Report both of the test cells.",
    )
    for s in range(len(test)):
        yield (
            reached(validation[s : s + 1], marks, test[s : s + 1], labels, wanted),
            "That is one seed alone. Choose a threshold for each seed, and average what they reach.",
        )


def budgets(test_strength: float = 0.8, most_alarms: float = 0.4) -> dict:
    """Return a study of four budgets and two seeds, as the context of the exercise.

    The test cells are harder than the validation cells where ``test_strength`` is below 1, so that they ask for more
    labels: 100 are enough on validation, 1000 on the test cells.
    """
    numbers = torch.Generator().manual_seed(1)
    marks, labels = torch.arange(300) % 3 == 0, torch.arange(600) % 3 == 0

    def scores(defective: Tensor, strength: float) -> Tensor:
        noise = torch.randn(2, len(defective), generator=numbers).double()
        margin = strength * (2 * defective.double() - 1) + noise - 0.5
        return torch.stack([torch.zeros_like(margin), margin], -1)

    study = {
        str(count): {"validation": scores(marks, strength), "test": scores(labels, test_strength * strength)}
        for count, strength in ((10, 0.4), (100, 0.9), (1000, 1.2), (10000, 1.6))
    }
    return {
        "study": study, "validation_labels": marks.long(), "labels": labels.long(),
        "wanted": 0.9, "most_alarms": most_alarms,
    }  # fmt: skip


def report(count: int, given: dict, mistake: str = "") -> dict[str, float]:
    """Return the answer for a budget of :func:`budgets`, right or made with a mistake."""
    of, marks, labels, wanted = given["study"][str(count)], given["validation_labels"], given["labels"], given["wanted"]
    validation, test = of["validation"], of["test"]
    right = reached(validation, marks, test, labels, wanted)
    there = reached(validation, marks, validation, marks, wanted)
    recall, alarms = {
        "": lambda: right,
        "swapped": lambda: right[::-1],
        "at half": lambda: reached(None, marks, test, labels, wanted),
        "peeked": lambda: reached(test, labels, test, labels, wanted),
        "on validation": lambda: there,
        "mixed": lambda: (right[0], there[1]),
        "one seed": lambda: reached(validation[:1], marks, test[:1], labels, wanted),
        "too few": lambda: reached(validation, marks, test, labels, 0.7),
    }[mistake]()
    return {"labels": count, "recall": recall, "false alarms": alarms}
