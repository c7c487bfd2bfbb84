"""Small features of a body that drifted, and experiments with an old and a new head on them (01.4)."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional

from ...runtime.seeding import generator
from ...techniques.features import Features
from .registry import NotUsable, number_from

WIDTH, TRAINING, VALIDATION = 64, 400, 101  # no share of 101 is one of 400, but 0 and 1
CONTRADICTING = 2003  # so many that a head that also learns from them follows them
SIGNAL = 0.25  # so weak that no head is right for all
Experiment = Callable[[Features, Features, nn.Linear], list[float]]


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
            a head is right there only if it has learned from them. The training items are those of always.
    """
    drawn = generator("exercise 01.4")
    signs = torch.randn(WIDTH, generator=drawn).sign()
    moved = torch.where(torch.arange(WIDTH) < WIDTH // 2, 2 * signs, 0.0)
    old_head = nn.Linear(WIDTH, 2)
    with torch.no_grad():
        old_head.weight.copy_(torch.stack([-signs, signs]))
        old_head.bias.zero_()
    train = _features(TRAINING, SIGNAL * signs, moved, drawn)
    count, towards = (CONTRADICTING, -signs) if contradicting else (VALIDATION, signs)
    validation = _features(count, SIGNAL * towards, moved, drawn)
    return Drifted(train, validation, old_head, accuracy(old_head, validation))


def with_labels_swapped(task: Drifted) -> Drifted:
    """Return the same with the other label for each validation item: a head that never saw them is wrong as often."""
    swapped = replace(task.validation, labels=1 - task.validation.labels)
    return replace(task, validation=swapped, of_old_head=1 - task.of_old_head)


def with_stubborn_old_head(task: Drifted) -> Drifted:
    """Return the same with an old head that takes each class for the other, so surely that no training turns it round.

    It looks at the columns that did not move. A new head that begins with its weights says of contradicting items what
    one says that has learned from them.
    """
    stubborn = nn.Linear(WIDTH, 2)
    with torch.no_grad():
        stayed = torch.arange(WIDTH) >= WIDTH // 2
        stubborn.weight.copy_(-1000 * task.old_head.weight * stayed)
        stubborn.bias.zero_()
    return replace(task, old_head=stubborn, of_old_head=accuracy(stubborn, task.validation))


def _features(count: int, signal: Tensor, moved: Tensor, drawn: torch.Generator) -> Features:
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


@torch.no_grad()
def accuracy(head: nn.Linear, part: Features) -> float:
    """Return the share of ``part`` that ``head`` is right for."""
    return (head(part.values).argmax(1) == part.labels).double().mean().item()


def in_order(count: int) -> Tensor:
    """Return the rows of an epoch as they come."""
    return torch.arange(count)


_calls = itertools.count()


def shuffled_anew(count: int) -> Tensor:
    """Return rows in an order that no seed repeats."""
    return torch.randperm(count, generator=generator("shuffled anew", next(_calls)))


def two_heads(epochs: int = 30, *, learn_from: str = "train", judge_on: str = "validation", begin: str = "new weights",
              report: str = "last epoch", order_of: Callable[[int], Tensor] = in_order,
              lr: float = 1e-3) -> Experiment:  # fmt: skip
    """Return an answer to 01.4, right as it is.

    Args:
        epochs: how long the new head trains.
        learn_from, judge_on: "train", "validation" or "both".
        begin: "copy with new weights", of the old head, is right as well; "old head" and "old weights" are wrong.
        report: "best epoch" is wrong.
        lr: of AdamW.
        order_of: makes the order of the items in an epoch out of their number.
    """

    def experiment(train: Features, validation: Features, old_head: nn.Linear) -> list[float]:
        both = Features(*map(torch.cat, zip(_columns(train), _columns(validation), strict=True)), train.class_names)
        parts = {"train": train, "validation": validation, "both": both}
        learned, seen = parts[learn_from], []
        before = accuracy(old_head, validation)
        torch.manual_seed(0)
        new_head = _begun(begin, old_head)
        optimizer = torch.optim.AdamW(new_head.parameters(), lr=lr)
        for epoch in range(epochs + 1):
            seen.append(accuracy(new_head, parts[judge_on]))
            for rows in order_of(len(learned)).split(32) if epoch < epochs else ():
                optimizer.zero_grad()
                functional.cross_entropy(new_head(learned.values[rows]), learned.labels[rows]).backward()
                optimizer.step()
        return [before, max(seen) if report == "best epoch" else seen[-1]]

    return experiment


def _columns(part: Features) -> tuple[Tensor, Tensor]:
    return part.values, part.labels


def _begun(begin: str, old_head: nn.Linear) -> nn.Linear:
    if begin == "new weights":
        return nn.Linear(old_head.in_features, 2)
    head = old_head if begin == "old head" else copy.deepcopy(old_head)
    if begin == "copy with new weights":
        head.reset_parameters()
    return head
