"""Small features of a body that drifted, to try an experiment with an old and a new head on (01.4)."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional

from ...runtime.seeding import generator
from ...techniques.features import Features
from .registry import NotUsable, number_from

WIDTH, TRAINING, VALIDATION = 64, 400, 101  # no share of 101 is one of 400, but 0 and 1
SIGNAL = 0.25  # so weak that no head is right for all


@dataclass(frozen=True, eq=False)
class Drifted:
    """Features of a body that drifted, the head that was trained before, and how often it is right now."""

    train: Features
    validation: Features
    old_head: nn.Linear
    of_old_head: float


def drifted_features(*, contradicting: bool = False) -> Drifted:
    """Return features in which half of the columns moved by a constant: the old head fails, a new one need not.

    Args:
        contradicting: what speaks for a class in the training items speaks against it in the validation items, so that
            a head is right there only if it has learned from them.
    """
    drawn = generator("exercise 01.4")
    signs = torch.randn(WIDTH, generator=drawn).sign()
    moved = torch.where(torch.arange(WIDTH) < WIDTH // 2, 2 * signs, 0.0)
    old_head = nn.Linear(WIDTH, 2)
    with torch.no_grad():
        old_head.weight.copy_(torch.stack([-signs, signs]))
        old_head.bias.zero_()
    train = _features(TRAINING, SIGNAL * signs, moved, drawn)
    validation = _features(VALIDATION, SIGNAL * (-signs if contradicting else signs), moved, drawn)
    return Drifted(train, validation, old_head, _accuracy(old_head, validation))


def _features(count: int, signal: torch.Tensor, moved: torch.Tensor, drawn: torch.Generator) -> Features:
    labels = torch.randint(2, (count,), generator=drawn)
    values = (2 * labels[:, None] - 1) * signal + torch.randn(count, WIDTH, generator=drawn) + moved
    return Features(values, labels, ("functional", "defective"))


def two_accuracies(answer: object) -> list[float]:
    """Return the two numbers of an answer.

    Raises:
        NotUsable: it does not hold two.
    """
    both = list(answer) if isinstance(answer, Iterable) else []
    if len(both) != 2:
        raise NotUsable("The function did not return two accuracies")
    return [number_from(one) for one in both]


def two_heads(
    epochs: int = 30, *, learn_from: str = "train", judge_on: str = "validation", same_head: bool = False
) -> Callable[[Features, Features, nn.Linear], list[float]]:
    """Return an answer to 01.4, right as it is, wrong with another option."""

    def experiment(train: Features, validation: Features, old_head: nn.Linear) -> list[float]:
        parts = {"train": train, "validation": validation}
        learned, judged = parts[learn_from], parts[judge_on]
        before = _accuracy(old_head, validation)
        torch.manual_seed(0)
        new_head = old_head if same_head else nn.Linear(learned.values.shape[1], 2)
        optimizer = torch.optim.AdamW(new_head.parameters(), lr=1e-3)
        for _ in range(epochs):
            for rows in torch.arange(len(learned)).split(32):
                optimizer.zero_grad()
                functional.cross_entropy(new_head(learned.values[rows]), learned.labels[rows]).backward()
                optimizer.step()
        return [before, _accuracy(new_head, judged)]

    return experiment


@torch.no_grad()
def _accuracy(head: nn.Linear, part: Features) -> float:
    return (head(part.values).argmax(1) == part.labels).double().mean().item()
