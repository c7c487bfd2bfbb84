"""Checks of lesson 07, LoRA."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from . import lora_answers as answers
from .lora_conditions import Twin, module_of
from .registry import NOTHING, Conditions, exercise, number_from, right, wrong

# ---------------------------------------------------------------------- 07.1


@exercise("07.1", "Count before you train", asked="a function of shapes and r that returns a whole number")
def lora_parameters(answer: Callable) -> Conditions:
    """A has r rows of inputs, B has r columns of outputs."""
    result = answer([(3, 5)], 1)
    yield result is not None, NOTHING
    found = number_from(result)
    yield found != 15, "That is the size of W, which is frozen: count A and B."
    yield found != 5, "That is A alone: B learns too."
    yield found != 3, "That is B alone: A learns too."
    yield found != 23, "W is counted as well: it is frozen."
    yield found == 8, "One layer with 3 outputs and 5 inputs at rank 1 adds 5 for A and 3 for B."
    yield number_from(answer([(3, 5)], 2)) != 8, "It does not grow with the rank: A has r rows, and B r columns."
    yield number_from(answer([(3, 5)], 2)) == 16, "At rank 2 the layer adds twice as much, 16."
    yield number_from(answer([(3, 5), (2, 2)], 2)) == 24, "Add up all matrices: each has its own A and B."
    yield number_from(answer([(384, 384)] * 12, 8)) == 73_728, "Twelve layers of 384 x 384 at rank 8 add 73,728."


right("07.1", lambda shapes, r: sum(r * (k + d) for k, d in shapes))
right("07.1", lambda shapes, r: r * int(np.sum(shapes)))
wrong("07.1", "size of W", lambda shapes, r: sum(k * d for k, d in shapes))
wrong("07.1", "A alone", lambda shapes, r: sum(r * d for k, d in shapes))
wrong("07.1", "B alone", lambda shapes, r: sum(r * k for k, d in shapes))
wrong("07.1", "counted as well", lambda shapes, r: sum(r * (k + d) + k * d for k, d in shapes))
wrong("07.1", "grow with the rank", lambda shapes, r: sum(k + d for k, d in shapes))
wrong("07.1", "all matrices", lambda shapes, r: r * sum(shapes[0]))

# ---------------------------------------------------------------------- 07.2


@exercise("07.2", "Write LoRALinear", asked="a class that is called with base, rank, alpha and dropout")
def lora_linear(answer: Callable) -> Conditions:
    """``base(x) + (alpha / r) B A dropout(x)``, the base frozen, B zero at the start (Hu et al. 2021, section 4.1)."""
    twin = Twin(module_of(answer, rank=4, alpha=8.0), rank=4, alpha=8.0)
    yield twin.has_matrices(), "It needs parameters A (rank, in) and B (out, rank), both nn.Parameter."
    yield twin.frozen(), "The weight of base, or its bias, can still learn: freeze base."
    yield not twin.learns_nothing(), "A and B must be able to learn: requires_grad is False."
    yield twin.B_is_zero(), "B is not zero at the start, so the model changes at the moment LoRA is put in."
    yield twin.A_is_random(), "A is zero, as B is: each gradient is a product with the other, so neither ever moves."
    yield twin.same_at_start(), "At the start the output must be that of base, to the last bit, bias included."
    yield not twin.scaled_by(8.0), "The scale is alpha: it should be alpha / rank."
    yield not twin.scaled_by(1.0), "There is no scale: multiply the change by alpha / rank."
    yield not twin.scaled_by(4.0), "The scale is the rank: it should be alpha / rank."
    yield not twin.without_base(), "The frozen path is lost: add the change to the output of base."
    yield twin.agrees(), "With other A and B the output is not base(x) + alpha / rank * B A x."
    yield twin.gradients_agree(), "The output is right, and the gradients of A and B are not: keep both in the graph."
    dropped = Twin(module_of(answer, rank=4, alpha=8.0, dropout=1.0), rank=4, alpha=8.0)
    dropped.module.train()
    yield not dropped.all_gone(), "Dropout takes the frozen path away too: drop the input of A alone."
    yield dropped.only_base_left(), "With dropout 1 in training, only the frozen path should be left."
    half = Twin(module_of(answer, rank=4, alpha=8.0, dropout=0.5), rank=4, alpha=8.0)
    half.module.train()
    yield not half.drops_after(), "Dropout stands on the output of B A: put it on the input of A."
    half.module.eval()
    yield half.agrees(), "In evaluation mode nothing may be dropped: nn.Dropout knows the mode."


for one in (answers.LoRA, answers.WithKaiming):
    right("07.2", one)
wrong("07.2", "The scale is alpha", answers.ScaledByAlpha)
wrong("07.2", "no scale", answers.Unscaled)
wrong("07.2", "B is not zero", answers.RandomB)
wrong("07.2", "neither ever moves", answers.BothZero)
wrong("07.2", "freeze base", answers.BaseLearns)
wrong("07.2", "on the output of B A", answers.DropsAfter)
wrong("07.2", "frozen path away", answers.DropsEverything)
wrong("07.2", "nn.Dropout knows the mode", answers.DropsAlways)
wrong("07.2", "frozen path is lost", answers.ForgetsBase)
wrong("07.2", "both nn.Parameter", answers.PlainTensors)
wrong("07.2", "gradients of A and B are not", answers.Detached)

# ---------------------------------------------------------------------- 07.3

EQUAL = {1: [0.5, 0.5, 0.5], 4: [0.79, 0.79, 0.79], 8: [0.80, 0.80, 0.80]}  # no spread: only the best will do
WIDE = {1: [0.70, 0.72, 0.71, 0.71], 8: [0.60, 0.90, 0.60, 0.90]}  # SE of the best .087: rank 1 is within it
NARROW = {2: [0.71] * 9, 8: [0.70, 0.74, 0.78] * 3}  # SD .035, SE .012, means .71 and .74: rank 2 is outside
FAR = {2: [0.50] * 9, 8: [0.70, 0.74, 0.78] * 3}  # far outside
SEVERAL = {1: [0.60] * 4, 4: [0.735] * 4, 16: [0.72, 0.76, 0.72, 0.76], 32: [0.73, 0.75, 0.73, 0.75]}  # SE .0115
OTHERS = {1: [0.50, 0.95, 0.50, 0.95], 8: [0.80, 0.81, 0.80, 0.81]}  # the spread of rank 1, SE .13, does not matter
SMALL = {1: [0.74, 0.74], 8: [0.73, 0.76]}  # mean .745, SE .015 with n - 1: rank 1 is within
EDGE = {1: [0.7325] * 2, 8: [0.73, 0.76]}  # .745 - .015 = .730; with n: .745 - .0106 = .7344, rank 1 is outside


@exercise("07.3", "The smallest rank that will do", asked="a function of accuracies that returns a rank")
def smallest_good_rank(answer: Callable) -> Conditions:
    """The smallest rank whose mean is at most one standard error of the best rank below the best mean."""
    result = answer(EQUAL)
    yield result is not None, NOTHING
    yield result in EQUAL, "Return one of the ranks, not an accuracy."
    yield result != 1 or answer(FAR) != 2, "It always returns the smallest rank."
    yield answer(EQUAL) == 8, "Runs without spread have no error: there only the best mean will do."
    yield answer(WIDE) == 1, "The error of the best mean is larger than its lead: the smaller rank will do."
    yield answer(FAR) == 8, "Any spread lets the smallest rank through: compare the lead with the standard error."
    yield answer(NARROW) == 8, "You allow too much: the standard error is the deviation divided by the root of n."
    yield answer(OTHERS) == 8, "The spread of another rank was used: the error is that of the rank with the best mean."
    yield answer(SEVERAL) == 4, "Of the ranks that will do, take the smallest: here 4."
    yield answer(EDGE) == 1, "The standard deviation divides by n: with n - 1, the error is larger and rank 1 will do."
    yield answer(dict(reversed(SEVERAL.items()))) == 4, "The ranks may stand in any order."
    yield answer(SMALL) == 1, "Two runs: the mean .745, its error .015, so .740 will do."


def _rule(accuracies: dict[int, Sequence[float]], error: Callable, choose: Callable = min) -> int:
    means = {rank: float(np.mean(values)) for rank, values in accuracies.items()}
    best = max(means, key=lambda rank: means[rank])
    return choose(rank for rank, mean in means.items() if mean >= means[best] - error(accuracies, best))


def _standard_error(accuracies: dict[int, Sequence[float]], best: int, ddof: int = 1) -> float:
    return float(np.std(accuracies[best], ddof=ddof)) / len(accuracies[best]) ** 0.5


def _largest_error(accuracies: dict[int, Sequence[float]], best: int) -> float:
    return max(_standard_error(accuracies, rank) for rank in accuracies)


right("07.3", lambda accuracies: _rule(accuracies, _standard_error))
wrong("07.3", "divided by the root of n", lambda found: _rule(found, lambda a, best: float(np.std(a[best], ddof=1))))
wrong("07.3", "divides by n", lambda found: _rule(found, lambda a, best: _standard_error(a, best, 0)))
wrong("07.3", "Any spread", lambda found: min(found) if any(np.std(v) > 1e-9 for v in found.values()) else max(found))
wrong("07.3", "larger than its lead", lambda found: _rule(found, lambda a, best: 0.0))
wrong("07.3", "spread of another rank", lambda found: _rule(found, _largest_error))
wrong("07.3", "take the smallest", lambda found: _rule(found, _standard_error, max if len(found) > 3 else min))
wrong("07.3", "always returns the smallest", min)
