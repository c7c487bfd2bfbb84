"""What a prototype classifier must give for labels of any kind, and what typical mistakes give instead."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .registry import NOTHING, Conditions, NotUsable

Task = tuple[Tensor, Tensor, Tensor]  # support (N, D), labels (N,), queries (Q, D)
_TASKS = ([0, 1, 2], [70, 12, 45], [-3, 5, -11, 2**40])  # the classes, in the order in which they first appear


def tasks() -> Iterator[Task]:
    """Yield tasks made anew: classes of 3, 1 and 2 examples or so, in mixed order, and five queries each."""
    for number, names in enumerate(_TASKS):
        random = torch.Generator().manual_seed(number)
        classes = torch.tensor(names)
        labels = torch.cat([classes, classes[[0, 2, 0]]])
        labels = torch.cat([labels[: len(names)], labels[len(names) :][torch.randperm(3, generator=random)]])
        yield torch.randn(len(labels), 4, generator=random), labels, torch.randn(5, 4, generator=random)


def expected(task: Task, classes: Tensor, how: str = "") -> Tensor:
    """Return minus the squared distances (Q, C) to the prototypes of ``classes``; with ``how``, a mistake instead."""
    support, labels, queries = task
    columns = []
    for k in classes.tolist():
        mine = support[labels == k]
        centre = mine.sum(0) if how == "sum" else mine.median(0).values if how == "median" else mine.mean(0)
        apart = ((queries - centre) ** 2).sum(1)
        if how == "with the query":
            apart = ((queries - (mine.sum(0) + queries) / (len(mine) + 1)) ** 2).sum(1)
        if how == "nearest":
            apart = ((queries[:, None] - mine) ** 2).sum(2).min(1).values
        if how == "mean distance":
            apart = ((queries[:, None] - mine) ** 2).sum(2).mean(1)
        columns.append(-apart)
    return torch.stack(columns, 1)


_MISTAKES: dict[str, tuple[Callable[[Tensor], Tensor], str]] = {
    "plain": (lambda scores: -(-scores).sqrt(), "These are plain distances. The classifier uses *squared* distances."),
    "sign": (lambda scores: -scores, "The sign is wrong: the nearest prototype must get the largest score."),
    "features": (lambda scores: scores / 4, "You took the mean over the features: the squared distance is their sum."),
    "softmax": (lambda scores: scores.softmax(1), "Return scores, minus the squared distances, not probabilities."),
    "log": (lambda scores: scores.log_softmax(1), "Return minus the squared distances; the softmax is not asked for."),
}
_CENTRES = {
    "sum": "A prototype is the mean of the support of its class. This is the sum.",
    "median": "A prototype is the mean of the support of its class. This is the median.",
    "with the query": "The query itself is in your mean. A query is never part of the support.",
    "nearest": "These are the distances to the nearest example of each class, not to the mean of its examples.",
    "mean distance": "You average the distances. Average the examples first: their mean is the prototype.",
}


def classifies(answer: Callable) -> Conditions:
    """Ask for the scores of each task, and compare them, in the order of the classes that came back."""
    for task in tasks():
        support, labels, queries = task
        known = labels.unique()
        before = [tensor.clone() for tensor in task]
        given = answer(support, labels, queries)
        yield given is not None, NOTHING
        if not (isinstance(given, tuple | list) and len(given) == 2 and all(isinstance(x, Tensor) for x in given)):
            raise NotUsable("it returned something else than two tensors, scores and classes")
        scores, classes = given
        shown = f"With the labels {labels.tolist()}"
        changed = not all(torch.equal(a, b) for a, b in zip(before, task, strict=True))
        yield not changed, "Your function changed what it was given."
        positions = torch.equal(classes.flatten().sort().values, torch.arange(len(known)))
        yield (
            (not positions or torch.equal(known, torch.arange(len(known)))),
            (f"{shown}, `classes` holds positions of columns. Which label of the data does a column stand for?"),
        )
        yield (
            classes.ndim == 1 and torch.equal(classes.sort().values, known),
            (f"{shown}, `classes` must hold each of them once: {classes.tolist()}."),
        )
        yield (
            scores.shape == (len(queries), len(known)),
            (
                f"{shown}, scores must be ({len(queries)}, {len(known)}), a row a query and a column a class; "
                f"they are {tuple(scores.shape)}."
            ),
        )
        yield from _scores_are_right(task, scores, classes, shown)


def _scores_are_right(task: Task, scores: Tensor, classes: Tensor, shown: str) -> Conditions:
    def same(other: Tensor) -> bool:
        return torch.allclose(scores.double(), other.double(), atol=1e-4, rtol=1e-4)

    wanted = expected(task, classes)
    for change, words in _MISTAKES.values():
        yield not same(change(wanted)) or same(wanted), words
    for how, words in _CENTRES.items():
        yield not same(expected(task, classes, how)) or same(wanted), words
    columns = expected(task, classes)
    mixed = not same(wanted) and torch.allclose(
        scores.double().sort(1).values, columns.double().sort(1).values, atol=1e-4, rtol=1e-4
    )
    yield not mixed, f"{shown}, the scores are there, but column k does not belong to `classes[k]`."
    yield same(wanted), f"{shown}, the scores are not minus the squared distances to the means of the classes."
