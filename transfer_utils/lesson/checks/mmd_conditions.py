"""What an answer to an exercise of lesson 09 must hold: equality, memory, the divisions of a test, a choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from .registry import NOTHING, Conditions, number_from


def by_definition(x: Tensor, y: Tensor, width: float) -> Tensor:
    """Return the unbiased MMD² by a sum over all pairs of different points."""

    def kernel(a: Tensor, b: Tensor) -> Tensor:
        return torch.exp(-(a[:, None] - b[None]).square().sum(2) / width)

    (n, m), (within_x, within_y) = (len(x), len(y)), (kernel(x, x), kernel(y, y))
    alone = [(k.sum() - k.diagonal().sum()) / (len(k) * (len(k) - 1)) for k in (within_x, within_y)]
    return alone[0] + alone[1] - 2 * kernel(x, y).sum() / (n * m)


def _samples(n: int, m: int, width: int = 5) -> tuple[Tensor, Tensor]:
    random = torch.Generator().manual_seed(n + m)
    return torch.randn(n, width, generator=random), torch.randn(m, width, generator=random) + 0.5


def equals_the_definition(answer: Callable) -> Conditions:
    """The value and the gradient are those of the definition, for samples that are not equally large."""
    x, y = _samples(6, 6)
    found, h = _value(answer(x, y, 4.0)), 4.0
    apart = [(a[:, None] - b[None]).square().sum(2) for a, b in ((x, x), (y, y), (x, y))]
    kernels = [torch.exp(-d / h) for d in apart]
    within = [k.sum() - k.diagonal().sum() for k in kernels[:2]]
    truth = float(by_definition(x, y, h))
    for value, told in _mistakes(apart, kernels, within, h):
        yield abs(found - value) > 1e-5 or abs(value - truth) < 1e-5, told
    yield abs(found - truth) < 1e-5, f"For two samples of 6 points it is {truth:.5f}, not {found:.5f}."
    x, y = _samples(9, 4)
    try:
        found = _value(answer(x, y, 4.0))
    except RuntimeError:
        yield False, "Nine points and four make it fail: the samples need not be equally large."
    truth = float(by_definition(x, y, h))
    yield abs(found - truth) < 1e-5, f"For 9 points and 4 it is {truth:.5f}, not {found:.5f}: each has its own number."
    x = x.clone().requires_grad_()
    result = answer(x, y, 4.0)
    reached = isinstance(result, Tensor) and result.requires_grad
    yield reached, "The result has no gradient, so no network could learn from it. Return a tensor, nothing detached."
    (gradient,) = torch.autograd.grad(result, x)
    (expected,) = torch.autograd.grad(by_definition(x, y, 4.0), x)
    yield torch.allclose(gradient, expected, atol=1e-4), "The value is right; its gradient is not that of the MMD."


def _value(result: object) -> float:
    return number_from(result.detach() if isinstance(result, Tensor) else result)


def _mistakes(apart: list[Tensor], kernels: list[Tensor], within: list[Tensor], h: float) -> Iterator[tuple]:
    n, cross = len(kernels[0]), float(kernels[2].mean())
    pairs = n * (n - 1)
    plain = [torch.exp(-d.sqrt() / h) for d in apart]
    plain = float(sum(k.sum() - k.diagonal().sum() for k in plain[:2])) / pairs - 2 * float(plain[2].mean())
    yield plain, "That is the kernel of the plain distance. The Gaussian has the squared one."
    wide = [torch.exp(-d / (2 * h)) for d in apart]
    wide = float(sum(k.sum() - k.diagonal().sum() for k in wide[:2])) / pairs - 2 * float(wide[2].mean())
    yield wide, "You divided by 2 · width. Here the kernel is exp(-d² / width)."
    yield (
        float(kernels[0].mean() + kernels[1].mean()) - 2 * cross,
        "The diagonal is still there: that is the biased one.",
    )
    full = float(kernels[0].sum() + kernels[1].sum()) / pairs - 2 * cross
    yield full, "The diagonal is still there, divided by the pairs without it."
    total = float(sum(within))
    yield total / n**2 - 2 * cross, "You left the diagonal out and divided by n². There are n (n - 1) pairs left."
    yield total / n - 2 * cross, "You divided by n, that is 1 / n. There are n (n - 1) pairs of different points."
    yield total / pairs - cross, "The mean across counts twice: once for each sample."
    truth = total / pairs - 2 * cross
    yield max(truth, 0.0) ** 0.5, "That is the square root. The squared MMD is asked for."


class _Largest(TorchDispatchMode):
    """Remembers the number of bytes of the largest storage that an operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):  # noqa: ANN001, ANN204
        result = function(*args, **(kwargs or {}))
        for one in result if isinstance(result, (tuple, list)) else (result,):
            if isinstance(one, Tensor):
                self.bytes = max(self.bytes, one.untyped_storage().nbytes())
        return result


@contextmanager
def largest_tensor() -> Iterator[_Largest]:
    """Watch what operations make: ``bytes`` is that of the largest storage."""
    with _Largest() as seen:
        yield seen


def stays_small(answer: Callable) -> Conditions:
    """No tensor is as large as all differences, forward and backward."""
    n, m, width = 24, 20, 64
    x, y = _samples(n, m, width)
    with largest_tensor() as seen:
        answer(x.requires_grad_(), y, 60.0).backward()
    numbers = seen.bytes // 4
    allowed = 2 * (n + m) * max(n + m, width)
    told = (
        f"For {n} and {m} points of {width} dimensions you hold {numbers:,} numbers at once: those are all differences."
    )
    yield numbers <= allowed, f"{told} A matrix product gives the distances."


def is_a_p_value(answer: Callable) -> Conditions:
    """The divisions are permutations of all points, and the share counts the real one, and ties."""
    x, y = torch.arange(7.0)[:, None], torch.arange(5.0)[:, None] + 3.3
    calls: list[tuple[Tensor, Tensor]] = []

    def gap(a: Tensor, b: Tensor) -> float:
        calls.append((a.clone(), b.clone()))
        return float(b.mean() - a.mean())

    found = number_from(answer(gap, x, y, 40, 0))
    yield all(len(a) == 7 and len(b) == 5 for a, b in calls), "The parts of a division are as large as the samples are."
    points = torch.cat([x, y]).flatten().sort().values
    whole = [torch.equal(torch.cat(call).flatten().sort().values, points) for call in calls]
    yield all(whole), "A division has each point once. You drew with replacement."
    first = [set(a.flatten().tolist()) for a, _ in calls]
    yield any(part != first[0] for part in first), "The points of the two samples were never mixed: put them together."
    values = [float(b.mean() - a.mean()) for a, b in calls]
    real = float(y.mean() - x.mean())
    yield len(calls) in (40, 41), f"With 40 divisions the statistic is computed 41 times; you did {len(calls)}."
    at_least = sum(value >= real - 1e-6 for value in values) - (len(calls) == 41)  # one of 41 is the real division
    right_value = (at_least + 1) / 41
    told = "The real division counts as one of them: add 1 to the count and to the number of divisions."
    yield abs(found - at_least / 40) > 1e-6 or at_least == 40, told
    yield abs(found - 2 * right_value) > 1e-6, "You took it times 2. The MMD is small or large: only large ones count."
    many = torch.arange(30.0)[:, None]  # so many that no random division of them is the real one by chance
    far = number_from(answer(gap, many, many + 50, 40, 0))
    yield far < 0.5, "Samples far apart give a p-value near 1: you count the wrong way round."
    yield (
        abs(far - 1 / 41) < 1e-6,
        "Far apart no random division is as large: then p is 1 / 41. The real one counts as one of them.",
    )
    same = number_from(answer(lambda a, b: 0.0, x, y, 40, 0))
    yield abs(same - 1) < 1e-6, "Where every division has the same value p is 1: ties count as at least as large."
    yield abs(found - right_value) < 1e-6, f"For the divisions that you drew it is {right_value:.3f}, not {found:.3f}."
    calls.clear()
    answer(gap, x, y, 40, 0)
    again = [set(a.flatten().tolist()) for a, _ in calls]
    other = {round(number_from(answer(gap, x, y, 40, seed)), 6) for seed in range(6)}
    yield again == first, "The same seed gives other divisions: draw with a generator that has the seed."
    yield len(other) > 1, "Six seeds give the same p-value: the divisions do not depend on the seed."


class Lab:
    """Answers on an unlabelled target that training with a weight would give; what was asked for is remembered.

    Args:
        shift: added to all scores of the best weight, which changes no answer.
    """

    # How sure the answers are, and the share of items that are not called class 0.
    ANSWERS = {0.1: (0.2, 1.0), 0.3: (1.0, 0.0), 1.0: (3.0, 0.95), 3.0: (1.2, 1.0), 10.0: (9.0, 0.1)}
    LUCKY = (3.0, 2)  # a weight, and the seed with which it is better than all others

    def __init__(self, shift: float = 0.0):
        self.shift, self.calls = shift, []

    def train(self, weight: float, seed: int) -> Tensor:
        """Return scores (40, 4)."""
        self.calls.append((weight, seed))
        sure, share = self.ANSWERS[weight]
        items, scores = torch.arange(40), torch.zeros(40, 4)
        named = torch.where(items < 40 * share, items % 4, 0)
        scores[items, named] = 6.0 if (weight, seed) == self.LUCKY else sure
        return scores + (self.shift if weight == 1.0 else 0.0)


ONE_CLASS = "That weight gives answers that are sure, nearly all of one class alone. To be sure is half of the score."
MISLED = {
    10.0: ONE_CLASS,
    0.1: "That weight gives answers of all classes that are sure of nothing. To be various is half of the score.",
    0.3: "That weight has the smallest score: is the sign right? Sure answers have a small entropy.",
    3.0: "That weight has the best single run, by the luck of one seed. Compare the means over the seeds.",
}


def chooses_among(answer: Callable) -> Conditions:
    """The weight with the best mean of the right score is chosen, after each was tried with each seed."""
    weights, chosen = list(Lab.ANSWERS), []
    for order, shift in ((weights, 0.0), (weights[::-1], 0.0), (weights, 30.0)):
        lab = Lab(shift)
        result = answer(list(order), lab.train, [0, 1, 2])
        yield result is not None, NOTHING
        chosen.append(number_from(result))
        everything = {(weight, seed) for weight in weights for seed in (0, 1, 2)}
        yield set(lab.calls) >= everything, "Try every weight with every seed."
        yield any(abs(chosen[-1] - one) < 1e-9 for one in weights), "Return the weight, not its score."
    told = (
        "A constant added to all scores of a model changed your choice: scores are not probabilities before a softmax."
    )
    yield chosen[0] == chosen[2], told
    yield chosen[0] == 1.0, MISLED.get(chosen[0], "Another weight has a larger mean score.")
    yield set(chosen) == {1.0}, "The order of the weights changed your choice."
