"""Answers to the exercises of lesson 09, right ones and the mistakes that people make."""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import Tensor


def _squared(a: Tensor, b: Tensor, how: str) -> Tensor:
    if how == "broadcast":
        return (a[:, None] - b[None]).square().sum(2)
    if how == "cdist":
        return torch.cdist(a, b).square()
    if how == "rows":
        return torch.stack([(row - b).square().sum(1) for row in a])
    return (a.square().sum(1)[:, None] + b.square().sum(1)[None] - 2 * a @ b.T).clamp_min(0)


def mmd_with(
    *,
    distances: str = "product",
    squared: bool = True,
    diagonal: bool = False,
    divide: str = "pairs",
    cross: int = 2,
    one_size: bool = False,
    root: bool = False,
    gretton: bool = False,
    detached: bool = False,
) -> Callable:
    """Return an answer to 09.2, right as it is, wrong in one way with another option."""

    def answer(x: Tensor, y: Tensor, width: float) -> Tensor:
        def kernel(a: Tensor, b: Tensor) -> Tensor:
            apart = _squared(a, b, distances)
            return torch.exp(-(apart if squared else (apart + 1e-12).sqrt()) / (2 * width if gretton else width))

        def within(a: Tensor) -> Tensor:
            k, n = kernel(a, a), len(a)
            pairs = {"pairs": n * (n - 1), "n²": n**2, "n": n}[divide]
            return k.mean() if diagonal else (k.sum() - k.diagonal().sum()) / pairs

        if one_size:
            k = kernel(x, x) + kernel(y, y)
            off = (k.sum() - k.diagonal().sum()) / (len(x) * (len(x) - 1))
            return off - 2 * kernel(x, y).mean()
        found = within(x) + within(y) - cross * kernel(x, y).mean()
        found = found.clamp_min(0).sqrt() if root else found
        return found.detach() if detached else found

    return answer


def p_with(
    *,
    plus_one: bool = True,
    compare: Callable = operator.ge,
    draw: str = "all",
    factor: float = 1.0,
    keep: str = "count",
) -> Callable:
    """Return an answer to 09.3, right as it is, wrong in one way with another option."""

    def answer(statistic: Callable, x: Tensor, y: Tensor, divisions: int, seed: int) -> float:
        random = torch.Generator()
        random.seed() if draw == "unseeded" else random.manual_seed(seed)
        together, size = torch.cat([x, y]), len(x)
        real, values = None if keep == "real last" else statistic(x, y), []
        for _ in range(divisions):
            order = torch.randperm(len(together), generator=random)
            if draw == "with replacement":
                order = torch.randint(len(together), (len(together),), generator=random)
            if draw == "within":
                order = torch.cat([torch.randperm(size, generator=random), size + torch.randperm(len(y))])
            cut = len(together) // 2 if draw == "halves" else size
            values.append(statistic(together[order[:cut]], together[order[cut:]]))
        real = statistic(x, y) if real is None else real
        if keep == "list":
            return sum(value >= real for value in [real, *values]) / (divisions + 1)
        count = sum(compare(value, real) for value in values)
        return factor * ((count + 1) / (divisions + 1) if plus_one else count / divisions)

    return answer


def choose_by(score: str = "information", *, reduce: str = "mean", gives: str = "weight") -> Callable:
    """Return an answer to 09.4, right as it is, wrong in one way with another option."""

    def judge(scores: Tensor) -> float:
        shares = scores if score == "no softmax" else scores.softmax(1)
        even, unsure = (torch.special.entr(s).sum(-1).mean() for s in (shares.mean(0), shares))
        values = {"sure": -unsure, "various": even, "negative": unsure - even}
        return float(torch.nan_to_num(values.get(score, even - unsure), nan=0.0, neginf=-1e9))

    def answer(weights: list[float], train: Callable, seeds: list[int]) -> float:
        used = seeds[:1] if reduce == "first" else seeds
        found = {w: [judge(train(w, seed)) for seed in used] for w in weights}
        one = {w: max(v) if reduce == "max" else sum(v) for w, v in found.items()}
        best = max(one, key=one.get)
        return one[best] + 0.123 if gives == "score" else best

    return answer
