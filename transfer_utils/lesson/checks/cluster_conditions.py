"""How many prototypes a class needs, chosen on validation: tasks with one clear answer, and ways to choose wrongly."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .registry import NOTHING, Conditions, number_from


@dataclass(frozen=True)
class Task:
    """Support and validation items, the counts to choose from, the right one, and what a wrong one tells."""

    support: Tensor
    labels: Tensor
    validation: Tensor
    truth: Tensor
    counts: Sequence[int]
    right: int
    words: str


def _around(centre: Sequence[float], count: int, seed: int, spread: float = 0.3) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return torch.tensor(centre) + spread * torch.randn(count, 2, generator=random)


def two_groups() -> Task:
    """Each class has two distant groups, crossed: one mean a class is useless, and a third changes nothing."""
    corners = {7: ((0.0, 0.0), (9.0, 9.0)), -4: ((0.0, 9.0), (9.0, 0.0))}
    pairs = [(label, corner) for label, both in corners.items() for corner in both]
    support, asked = (torch.cat([_around(c, n, 10 * n + i) for i, (_, c) in enumerate(pairs)]) for n in (6, 8))
    labels, truth = (torch.tensor([label for label, _ in pairs]).repeat_interleave(n) for n in (6, 8))
    words = "Here each class has two distant groups, so its mean lies between them: two prototypes are right."
    return Task(support, labels, asked, truth, (1, 2), 2, words)


def an_outlier() -> Task:
    """Each class has one group, and an item of one class lies among the other: more prototypes learn the mistake."""
    support = [_around((0.0, 0.0), 9, 1), torch.tensor([[4.0, 0.9]]), _around((4.0, 0.0), 10, 2, 0.05)]
    labels = torch.tensor([30] * 10 + [12] * 10)
    asked = torch.cat([_around((0.0, 0.0), 12, 3), _around((4.0, 0.9), 12, 4, 0.05)])
    truth = torch.tensor([30] * 12 + [12] * 12)
    words = "One item lies among the other class; two prototypes learn it by heart, and validation shows it."
    return Task(torch.cat(support), labels, asked, truth, (2, 1), 1, words)


def a_rare_class() -> Task:
    """One class has a single example; on validation it has two items, and the other class has very many."""
    support = torch.cat([_around((0.0, 0.0), 8, 5), torch.tensor([[3.0, 0.0]])])
    labels = torch.tensor([0] * 8 + [1])
    asked = torch.cat([_around((0.0, 0.0), 20, 6), _around((3.0, 0.0), 2, 7)])
    words = "Both are equally good here: then take the smaller number."
    return Task(support, labels, asked, torch.tensor([0] * 20 + [1] * 2), (3, 1), 1, words)


def unequal_classes() -> Task:
    """With two prototypes the rare class is found and some of the frequent one are lost: more items, smaller share."""
    places = [(0.0, 0.0), (6.0, 0.0), (3.0, 2.0)]
    support = torch.cat([_around(place, 6, 20 + i, 0.02) for i, place in enumerate(places)])
    asked = [(0.0, 0.0, 15), (6.0, 0.0, 15), (3.0, 0.7, 6), (3.0, 0.7, 4)]  # the last four are of the rare class
    validation = torch.cat([_around((x, y), n, 30 + i, 0.02) for i, (x, y, n) in enumerate(asked)])
    words = "Classes differ in size: judge by the mean of the shares within each class, not by the share of all items."
    truth = torch.tensor([5] * 36 + [9] * 4)
    return Task(support, torch.tensor([5] * 12 + [9] * 6), validation, truth, (1, 2), 2, words)


def chooses(answer: Callable) -> Conditions:
    """Ask for the number of prototypes in tasks whose answer is known."""
    for task in (two_groups(), an_outlier(), a_rare_class(), unequal_classes()):
        given = answer(task.support, task.labels, task.validation, task.truth, task.counts)
        yield given is not None, NOTHING
        count = number_from(given)
        yield count in task.counts, f"Return one of the counts {list(task.counts)}; you returned {count:g}."
        yield count == task.right, task.words


def chosen(
    support: Tensor, labels: Tensor, validation: Tensor, truth: Tensor, counts: Sequence[int], how: str = ""
) -> int:
    """Return the number of prototypes a class that does best on validation; with ``how``, chosen by a mistake."""
    from sklearn.cluster import KMeans

    asked, known = (support, labels) if how == "on the support" else (validation, truth)
    shares = {}
    for count in counts:
        centres, names = [], []
        for k in labels.unique().tolist():
            mine = support[labels == k]
            found = KMeans(min(count, len(mine)), n_init=10, random_state=0).fit(mine.double().numpy())
            centres.append(torch.from_numpy(found.cluster_centers_))
            names += [k] * len(centres[-1])
        said = torch.tensor(names)[torch.cdist(asked.double(), torch.cat(centres)).argmin(1)]
        right = (said == known).double()
        within = torch.stack([right[known == k].mean() for k in known.unique()]).mean()
        shares[count] = float(right.mean() if how == "of all items" else within)
    best = max(shares.values())
    good = [count for count in counts if shares[count] == best]
    return max(good) if how == "the largest" else min(good)
