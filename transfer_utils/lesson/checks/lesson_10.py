"""Checks of lesson 10, prototypical networks."""

from __future__ import annotations

import functools
from collections.abc import Callable

import torch
from torch import Tensor

from .cluster_conditions import chooses, chosen
from .prototype_conditions import classifies, expected
from .refusal_conditions import best_limits, refuses, right_limit
from .registry import Conditions, NotUsable, exercise, number_from, right, wrong

# ---------------------------------------------------------------------- 10.1


@exercise("10.1", "How many images?", asked="two numbers: images, and the share that guessing gets")
def images_and_chance(answer: object) -> Conditions:
    """Count the images of an episode of 12 ways, 3 shots and 5 queries a class, and what guessing gets right."""
    if not isinstance(answer, tuple | list) or len(answer) != 2:
        raise NotUsable("it is not two numbers")
    images, share = map(number_from, answer)
    yield images != 36, "Those are the support images alone. Each class also has queries."
    yield images != 60, "Those are the queries alone. Each class also has its shots."
    yield images != 41, "The queries are counted a class, as the shots are."
    yield images != 180, "A query is an image of its own: shots and queries of a class are added."
    yield images == 96, "Count the images of one class, support and queries, and then the classes."
    yield abs(share - 1 / 3) > 1e-3, "That is one of the shots. Guessing chooses among the classes."
    yield abs(share - 100 / 12) > 0.1, "Give a share, not per cent."
    yield abs(share - 1 / 96) > 1e-3, "Guessing names a class, not an image."
    yield abs(share - 1 / 12) < 1e-3, "Who guesses knows the number of ways and nothing else."


right("10.1", (96, 1 / 12))
right("10.1", [96.0, torch.tensor(0.0833)])
wrong("10.1", "support images alone", (36, 1 / 12))
wrong("10.1", "queries alone", (60, 1 / 12))
wrong("10.1", "counted a class", (12 * 3 + 5, 1 / 12))
wrong("10.1", "are added", (180, 1 / 12))
wrong("10.1", "one of the shots", (96, 1 / 3))
wrong("10.1", "not per cent", (96, 8.33))
wrong("10.1", "not an image", (96, 1 / 96))
wrong("10.1", "number of ways", (96, 1 / 5))
wrong("10.1", "not two numbers", 96)

# ---------------------------------------------------------------------- 10.2


@exercise("10.2", "The prototype classifier", asked="a function of support, labels and queries: (scores, classes)")
def prototype_classifier(answer: Callable) -> Conditions:
    """Minus the squared distances to the means, and the label of each column, for labels of any kind and order."""
    yield from classifies(answer)


def _by(how: str = "", change: Callable[[Tensor], Tensor] = lambda scores: scores) -> Callable:
    """Return a classifier, columns in rising order, whose centres or scores have a mistake."""
    return lambda support, labels, queries: (
        change(expected((support, labels, queries), labels.unique(), how)),
        labels.unique(),
    )


def _first_seen(labels: Tensor) -> Tensor:
    return torch.tensor(list(dict.fromkeys(labels.tolist())))


def _takes_a_column_for_the_label(support: Tensor, labels: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    return expected((support, labels, queries), labels.unique()), torch.arange(len(labels.unique()))


def _assumes_labels_from_zero(support: Tensor, labels: Tensor, queries: Tensor) -> tuple[Tensor, Tensor]:
    classes = torch.arange(len(labels.unique()))
    return expected((support, labels, queries), classes), classes


right("10.2", _by())
right("10.2", lambda s, names, q: (expected((s, names, q), _first_seen(names)), _first_seen(names)))
right("10.2", lambda s, names, q: (expected((s, names, q), names.unique().flip(0)), names.unique().flip(0)))
wrong("10.2", "plain distances", _by(change=lambda scores: -(-scores).sqrt()))
wrong("10.2", "positions of columns", _takes_a_column_for_the_label)
wrong("10.2", "Which label of the data", _assumes_labels_from_zero)
wrong("10.2", "column k does not belong",
      lambda s, names, q: (expected((s, names, q), names.unique()), _first_seen(names)))  # fmt: skip
wrong("10.2", "does not belong to `classes[k]`",
      lambda s, names, q: (expected((s, names, q), _first_seen(names)), names.unique()))  # fmt: skip
wrong("10.2", "This is the sum", _by("sum"))
wrong("10.2", "This is the median", _by("median"))
wrong("10.2", "query itself is in your mean", _by("with the query"))
wrong("10.2", "nearest example of each class", _by("nearest"))
wrong("10.2", "Average the examples first", _by("mean distance"))
wrong("10.2", "The sign is wrong", _by(change=torch.neg))
wrong("10.2", "mean over the features", _by(change=lambda scores: scores / 4))
wrong("10.2", "not probabilities", _by(change=lambda scores: scores.softmax(1)))
wrong("10.2", "softmax is not asked for", _by(change=lambda scores: scores.log_softmax(1)))
wrong("10.2", "must hold each of them once", lambda s, names, q: (expected((s, names, q), names), names))
wrong("10.2", "a row a query", lambda *task: (_by()(*task)[0].T, _by()(*task)[1]))
wrong("10.2", "two tensors", lambda *task: _by()(*task)[0])
wrong("10.2", "returned nothing", lambda *task: None)

# ---------------------------------------------------------------------- 10.3


@exercise("10.3", "None of these", asked="a function of scores and known: the largest squared distance that is named")
def choose_limit(answer: Callable) -> Conditions:
    """Choose, on validation, the squared distance beyond which a query belongs to none of the classes."""
    yield from refuses(answer)


def _distances(scores: Tensor) -> Tensor:
    return -scores.max(1).values


def _halfway_to_the_next(scores: Tensor, known: Tensor) -> float:
    limit = right_limit(scores, known)
    beyond = _distances(scores)[_distances(scores) > limit]
    return (limit + float(beyond.min())) / 2


right("10.3", right_limit)
right("10.3", _halfway_to_the_next)
right("10.3", lambda scores, known: torch.tensor(right_limit(scores, known)))
wrong("10.3", "it is not negative", lambda scores, known: -right_limit(scores, known))
wrong("10.3", "plain distance", lambda scores, known: right_limit(scores, known) ** 0.5)
wrong("10.3", "There are not as many known",
      lambda scores, known: best_limits(_distances(scores), known, balanced=False)[1][0])  # fmt: skip
wrong("10.3", "refuses no known query", lambda scores, known: float(_distances(scores)[known].max()))
wrong("10.3", "refuses every unknown query", lambda scores, known: float(_distances(scores)[~known].min()) - 1e-4)
wrong("10.3", "mean over all prototypes", lambda scores, known: best_limits(-scores.mean(1), known)[1][0])
wrong("10.3", "A better limit exists", lambda scores, known: float(_distances(scores).mean()))
wrong("10.3", "returned nothing", lambda scores, known: None)
wrong("10.3", "is not a number", lambda scores, known: "far")

# ---------------------------------------------------------------------- 10.4


@exercise("10.4", "How many prototypes does a class need?",
          asked="a function of support, labels, validation, truth and counts: one of the counts")  # fmt: skip
def choose_prototypes(answer: Callable) -> Conditions:
    """Choose the number of prototypes a class by balanced accuracy on validation; of equal ones the smallest."""
    yield from chooses(answer)


right("10.4", chosen)
wrong("10.4", "Here each class has two distant groups", lambda *given: min(given[-1]))
wrong("10.4", "learn it by heart", functools.partial(chosen, how="on the support"))
wrong("10.4", "smaller number", functools.partial(chosen, how="the largest"))
wrong("10.4", "mean of the shares within each class", functools.partial(chosen, how="of all items"))
wrong("10.4", "one of the counts", lambda *given: 0.97)
wrong("10.4", "returned nothing", lambda *given: None)
