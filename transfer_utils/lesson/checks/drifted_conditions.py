"""What must hold of an experiment with an old and a new head on drifted features (01.4)."""

from __future__ import annotations

import math
from collections.abc import Callable

from ...runtime.seeding import set_seed
from .drifted_features import (
    Drifted,
    drifted_features,
    two_accuracies,
    with_labels_swapped,
    with_stubborn_old_head,
)
from .registry import Conditions

SAME = 1e-4  # less than one validation item of all


def judges_two_heads(old: float, new: float, moved: Drifted) -> Conditions:
    """Hold two accuracies against what the old head and a new one can reach."""
    items = len(moved.validation.labels)
    yield max(old, new) <= 1, "Accuracies are between 0 and 1, not per cent."
    yield (
        not (math.isclose(new, moved.of_old_head, abs_tol=1e-4) and old > new),
        "The wrong way round: first the accuracy of `old_head`, then that of the new head.",
    )
    yield math.isclose(old, moved.of_old_head, abs_tol=1e-4), "Judge `old_head` as it is, on `validation.values`."
    yield not math.isclose(new, old, abs_tol=1e-4), "Both numbers are those of the old head. Where is the new one?"
    yield (
        math.isclose(new * items, round(new * items), abs_tol=1e-4),
        "The new head was not judged on the validation items: its accuracy is no share of their number.",
    )
    yield new > 0.8, "The new head has not learned: on these features another one is right for nearly all. More steps?"


def begins_anew_and_sees_training_items_alone(answer: Callable) -> Conditions:
    """Change what must not matter to the new head: the labels that judge it, and the weights of the old one.

    With the same training items and the same seed it is the same head each time. With the labels swapped it is then
    wrong exactly as often as it was right, unless one of its epochs was chosen by them. An answer that draws numbers
    of its own, and so gives another head each time, is allowed the difference that this makes.
    """
    task = drifted_features(contradicting=True)
    new = _of_new_head(answer, task)
    yield new < 0.7, "The new head has learned from validation items. Train it on `train` alone."
    beside_another = _of_new_head(answer, with_stubborn_old_head(task))
    yield abs(new - beside_another) < 0.2, "The new head depends on the weights of `old_head`: let it begin anew."
    more = abs(new + _of_new_head(answer, with_labels_swapped(task)) - 1)
    repeats = new == beside_another and (more < SAME or new == _of_new_head(answer, task))
    yield (
        more < (SAME if repeats else 0.05),
        "The labels of `validation` had a say in which new head is judged: the best of several looks flatters.",
    )


def _of_new_head(answer: Callable, task: Drifted) -> float:
    set_seed(0)
    return two_accuracies(answer(task.train, task.validation, task.old_head))[1]
