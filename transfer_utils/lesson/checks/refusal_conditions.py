"""A limit beyond which a query belongs to none of the classes, chosen on validation; what mistakes choose instead."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from .registry import NOTHING, Conditions, number_from

Task = tuple[Tensor, Tensor]  # scores (Q, C), minus squared distances; known (Q,), bool


def tasks() -> Iterator[Task]:
    """Yield tasks made anew: overlapping distances, and many more known queries than unknown ones, or fewer."""
    for seed, (known, unknown, scale) in enumerate([(20, 80, 1.0), (60, 12, 1.0), (30, 30, 0.05)]):
        random = torch.Generator().manual_seed(seed)
        near = torch.rand(known + unknown, generator=random) * 3 + 1.2 * (torch.arange(known + unknown) >= known)
        others = near[:, None] + 1 + 20 * torch.rand(known + unknown, 3, generator=random)
        apart = torch.cat([near[:, None], others], 1) * scale * 4
        columns = torch.rand(apart.shape, generator=random).argsort(1)
        mixed = torch.randperm(known + unknown, generator=random)
        yield -apart.gather(1, columns)[mixed], (torch.arange(known + unknown) < known)[mixed]


def balanced_share(distances: Tensor, known: Tensor, limit: float) -> float:
    """Return the mean of the share of the known that is named and the share of the unknown that is refused."""
    named = distances <= limit
    return (float(named[known].double().mean()) + float((~named)[~known].double().mean())) / 2


def best_limits(distances: Tensor, known: Tensor, *, balanced: bool = True) -> tuple[float, list[float]]:
    """Return the best share, and the limits among the distances that reach it."""

    def share(limit: float) -> float:
        if balanced:
            return balanced_share(distances, known, limit)
        return float(((distances <= limit) == known).double().mean())

    shares = {limit: share(limit) for limit in distances.tolist()}
    best = max(shares.values())
    return best, [limit for limit, value in shares.items() if value == best]


def refuses(answer: Callable) -> Conditions:
    """Judge the limit by what it reaches, whatever number it is."""
    for scores, known in tasks():
        given = answer(scores.clone(), known.clone())
        yield given is not None, NOTHING
        limit = number_from(given)
        yield not math.isnan(limit), "Your limit is not a number."
        apart = -scores.max(1).values
        best, _ = best_limits(apart, known)
        yield limit >= 0, "A score is *minus* the squared distance, so the limit is not negative."
        reached = balanced_share(apart, known, limit)
        if reached >= best - 1e-9:
            continue
        yield balanced_share(apart, known, limit**2) < best - 1e-9, "This is a plain distance. The limit is squared."
        _, plain = best_limits(apart, known, balanced=False)
        yield (
            all(abs(one - limit) > 1e-4 for one in plain),
            (
                "This maximises the share of all queries. There are not as many known as unknown ones: "
                "take the share within each, then the mean."
            ),
        )
        _, averaged = best_limits(-scores.mean(1), known)
        yield (
            all(abs(one - limit) > 1e-4 for one in averaged),
            ("You judge the mean over all prototypes. A query belongs to its nearest one."),
        )
        yield (
            limit < float(apart[known].max()) - 1e-4,
            ("This limit refuses no known query. Some must be refused, or too many unknown ones are named."),
        )
        yield (
            limit >= float(apart[~known].min()),
            ("This limit refuses every unknown query, and too many known ones with them."),
        )
        yield False, f"A better limit exists: yours reaches {reached:.3f} on average over known and unknown."


def right_limit(scores: Tensor, known: Tensor) -> float:
    """Return the limit that is best on the average of both shares."""
    return best_limits(-scores.max(1).values, known)[1][0]
