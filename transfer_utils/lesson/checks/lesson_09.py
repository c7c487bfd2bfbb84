"""Checks of lesson 09, MMD."""

from __future__ import annotations

import operator
from collections.abc import Callable

import torch
from torch import Tensor

from .mmd_answers import choose_by, mmd_with, p_with
from .mmd_conditions import chooses_among, equals_the_definition, is_a_p_value, stays_small
from .registry import NOTHING, Conditions, exercise, number_from, right, wrong

# ---------------------------------------------------------------------- 09.1


@exercise("09.1", "The width of Gretton", asked="a function of x and y that returns a number")
def width_of_gretton(answer: Callable) -> Conditions:
    """Return h of exp(-d**2 / h) if sigma is the median distance in exp(-d**2 / (2 sigma**2))."""
    x, y = torch.tensor([[0.0], [2.0]]), torch.tensor([[5.0]])
    h = number_from(answer(x, y))
    told = "The distances are 2, 5 and 3, so their median is 3."
    yield abs(h - 6) > 1e-4, f"{told} Square it: the kernel has the squared distance."
    yield abs(h - 3) > 1e-4, f"{told} That is sigma; h is what stands below the squared distance."
    yield abs(h - 9) > 1e-4, f"{told} Its square is sigma squared. Look at what it is multiplied by in the kernel."
    yield abs(h - 4.5) > 1e-4, f"{told} The factor 2 stands below the line with sigma squared: multiply by it."
    yield abs(h - 8) > 1e-4, "You counted the distance of each point to itself. Leave the diagonal out."
    yield abs(h - 76 / 3) > 1e-4, "That comes from the mean of the squared distances. The rule takes the median."
    yield abs(h - 18) < 1e-4, f"{told} Write both kernels below each other and compare what divides the square."
    x, y = (torch.randn(n, 3, generator=torch.Generator().manual_seed(n)) for n in (9, 7))
    expected = 2 * float(torch.pdist(torch.cat([x, y])).square().median())
    h = number_from(answer(x, y))
    across = 2 * float(torch.cdist(x, y).flatten().square().median())
    yield abs(h - across) > 1e-4, "You took the pairs across alone. The rule takes all points of both samples together."
    yield abs(h - expected) < 0.05 * expected, f"For two samples of 9 and 7 points it is {expected:.3f}, not {h:.3f}."
    given = answer(x.clone().requires_grad_(), y)
    told = "The width carries a gradient: the loss would learn to widen its kernel. Detach it."
    yield not (isinstance(given, Tensor) and given.requires_grad), told


def _pairs(x: Tensor, y: Tensor) -> Tensor:
    return torch.pdist(torch.cat([x, y]))


right("09.1", lambda x, y: 2 * float(_pairs(x, y).detach().square().median()))
right("09.1", lambda x, y: 2 * _pairs(x, y).detach().median() ** 2)
wrong("09.1", "Square it", lambda x, y: 2 * _pairs(x, y).median())
wrong("09.1", "That is sigma", lambda x, y: _pairs(x, y).median())
wrong("09.1", "multiplied by", lambda x, y: _pairs(x, y).square().median())
wrong("09.1", "below the line", lambda x, y: _pairs(x, y).square().median() / 2)
wrong("09.1", "to itself", lambda x, y: 2 * torch.cdist(torch.cat([x, y]), torch.cat([x, y])).square().median())
wrong("09.1", "the mean", lambda x, y: 2 * _pairs(x, y).square().mean())
wrong("09.1", "pairs across alone", lambda x, y: 2 * torch.cdist(x, y).square().median())
wrong("09.1", "carries a gradient", lambda x, y: 2 * _pairs(x, y).square().median())
wrong("09.1", "not a number", lambda x, y: None)

# ---------------------------------------------------------------------- 09.2


@exercise("09.2", "The MMD without the broadcast", asked="a function of x, y and width that returns a tensor")
def mmd_of_products(answer: Callable) -> Conditions:
    """Return the unbiased MMD² with one Gaussian kernel, from matrix products; no tensor of N x M x D numbers."""
    result = answer(torch.eye(4), torch.ones(4, 4), 2.0)
    yield result is not None, NOTHING
    yield from equals_the_definition(answer)
    yield from stays_small(answer)


right("09.2", mmd_with())
right("09.2", mmd_with(distances="cdist"))
right("09.2", mmd_with(distances="rows"))
wrong("09.2", "numbers at once", mmd_with(distances="broadcast"))
wrong("09.2", "plain distance", mmd_with(squared=False))
wrong("09.2", "diagonal", mmd_with(diagonal=True))
wrong("09.2", "n (n - 1)", mmd_with(divide="n²"))
wrong("09.2", "1 / n", mmd_with(divide="n"))
wrong("09.2", "counts twice", mmd_with(cross=1))
wrong("09.2", "equally large", mmd_with(one_size=True))
wrong("09.2", "square root", mmd_with(root=True))
wrong("09.2", "2 · width", mmd_with(gretton=True))
wrong("09.2", "no gradient", mmd_with(detached=True))
wrong("09.2", "returned nothing", lambda x, y, width: None)

# ---------------------------------------------------------------------- 09.3


@exercise("09.3", "The p-value", asked="a function of statistic, x, y, divisions and seed that returns a number")
def permutation_p(answer: Callable) -> Conditions:
    """Return the share of divisions, the real one among them, whose statistic is at least the real one."""
    yield from is_a_p_value(answer)


right("09.3", p_with())
right("09.3", p_with(keep="list"))
right("09.3", p_with(keep="real last"))
wrong("09.3", "counts as one of them", p_with(plus_one=False))
wrong("09.3", "wrong way round", p_with(compare=operator.le))
wrong("09.3", "ties", p_with(compare=operator.gt))
wrong("09.3", "with replacement", p_with(draw="with replacement"))
wrong("09.3", "as large as", p_with(draw="halves"))
wrong("09.3", "never mixed", p_with(draw="within"))
wrong("09.3", "times 2", p_with(factor=2))
wrong("09.3", "same seed", p_with(draw="unseeded"))
wrong("09.3", "not a number", lambda *given: None)

# ---------------------------------------------------------------------- 09.4


@exercise("09.4", "The weight without labels", asked="a function of weights, train and seeds that returns a weight")
def weight_without_labels(answer: Callable) -> Conditions:
    """Return the weight whose mean information maximisation over the seeds is largest."""
    yield from chooses_among(answer)


right("09.4", choose_by())
right("09.4", choose_by(reduce="sum"))
wrong("09.4", "one class alone", choose_by("sure"))
wrong("09.4", "sure of nothing", choose_by("various"))
wrong("09.4", "sign", choose_by("negative"))
wrong("09.4", "scores are not probabilities", choose_by("no softmax"))
wrong("09.4", "luck of one seed", choose_by(reduce="max"))
wrong("09.4", "every seed", choose_by(reduce="first"))
wrong("09.4", "not its score", choose_by(gives="score"))
wrong("09.4", "returned nothing", lambda *given: None)
