"""Checks of lesson 08, DANN."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from .registry import NOTHING, Conditions, NotUsable, exercise, number_from, right, wrong
from .reversal_answers import (
    Reverse,
    domain_labels,
    equal_batches,
    freezes_the_classifier,
    goes_back_itself,
    halves,
    loss_with,
    takes_the_step,
    turns_the_source_alone,
    two_means,
    with_a_hook_on_a_copy,
    with_a_hook_on_the_features,
    without_a_function,
)
from .reversal_conditions import right_loss
from .weight_trials import WeightTrials, experiment, information, mixed_experiment, well_tried, well_weighed

# ---------------------------------------------------------------------- 08.1


@exercise("08.1", "The schedule", asked="a function of step and total_steps that returns a number")
def strength_at(answer: Callable) -> Conditions:
    """2 / (1 + exp(-10 p)) - 1, where p is the share of the steps that are done (Ganin et al. 2016, section 5.2.2)."""
    yield answer(0, 10) is not None, NOTHING

    def at(step: int, total: int) -> float:
        return number_from(answer(step, total))

    first, last = at(0, 10), at(10, 10)
    yield first <= last, "It falls with the steps: it should grow, from 0 towards 1."
    yield not math.isclose(first, 1), "At the first step it is 1, and should be 0: the fraction runs from 1 to 2."
    yield math.isclose(first, 0, abs_tol=1e-9), f"At step 0 of 10 it is {first:g}, and should be 0: there p is 0."
    rounded = at(500, 1000) == 0
    yield not rounded, "It stays 0 until the end: p is a share between 0 and 1, so `/`, not `//`."
    yield not math.isclose(at(1, 1000), _strength(0.1)), "p is a share, not a percentage: at the end it is 1."
    still = [step for step in (100, 307) if at(step, 1000) == at(step + 1, 1000)]
    yield (
        not still,
        f"After step {still[:1]} of 1000 it is the same: p moves with each step, not with each epoch.",
    )
    half = at(5, 10)
    yield (
        not math.isclose(half, _strength(0.5, 1)),
        "The factor in the exponent is 10, not 1.",
    )
    yield not math.isclose(at(3, 10), 0.3), "That is a straight line; the formula rises fast, and then levels off."
    for step, total in ((1, 1000), (1, 3), (5, 10), (30, 40), (7, 7), (999, 1000)):
        wanted, found = _strength(step / total), at(step, total)
        right_here = math.isclose(found, wanted, rel_tol=1e-4)
        yield (
            right_here,
            f"At step {step} of {total} it is {found:.4g}, not {wanted:.4g}: p = step / total_steps.",
        )


def _strength(share: float, factor: float = 10) -> float:
    return 2 / (1 + math.exp(-factor * share)) - 1


right("08.1", lambda step, total: 2 / (1 + np.exp(-10 * step / total)) - 1)
right("08.1", lambda step, total: torch.tanh(torch.tensor(5 * step / total)))
wrong("08.1", "runs from 1 to 2", lambda step, total: 2 / (1 + math.exp(-10 * step / total)))
wrong("08.1", "not `//`", lambda step, total: _strength(step // total))
wrong("08.1", "it is the same", lambda step, total: _strength(round(step / total, 1)))
wrong("08.1", "not with each epoch", lambda step, total: _strength(step // 4 * 4 / total))
wrong("08.1", "factor in the exponent", lambda step, total: _strength(step / total, 1))
wrong("08.1", "not a percentage", lambda step, total: _strength(min(100 * step / total, 50)))
wrong("08.1", "a straight line", lambda step, total: step / total)
wrong("08.1", "It falls", lambda step, total: 1 - _strength(step / total))
wrong("08.1", "should grow", lambda step, total: 2 / (1 + math.exp(10 * step / total)) - 1)
wrong("08.1", "there p is 0", lambda step, total: _strength((step + 1) / total))
wrong("08.1", "p = step / total_steps", lambda step, total: _strength(step / (total - 1)))
wrong("08.1", "returned nothing", lambda step, total: None)

# ---------------------------------------------------------------------- 08.2


@exercise("08.2", "Write the loss of DANN",
          asked="a function of source, target, domain_classifier and strength that returns one scalar")  # fmt: skip
def dann_loss(answer: Callable) -> Conditions:
    """Return the domain classifier's loss; its gradient is multiplied by -strength on its way into the features."""
    for sizes in ((4, 4), (6, 3), (2, 7)):
        for strength in (0.3, 1.0, 0.0):
            yield from right_loss(answer, sizes, strength)


right("08.2", without_a_function)
right("08.2", with_a_hook_on_a_copy)
wrong("08.2", "reverse a copy", with_a_hook_on_the_features)
wrong("08.2", "`backward` is called in the training loop", goes_back_itself)
wrong("08.2", "no longer requires a gradient", freezes_the_classifier)
wrong("08.2", "the target features is not -strength times", turns_the_source_alone)
wrong("08.2", "as in equation 18", two_means)
wrong("08.2", "moved the domain classifier", takes_the_step)
right("08.2", loss_with())
wrong("08.2", "is not turned round: the body helps", loss_with(turn=lambda x, strength: x))
wrong("08.2", "sign and a reversal cancel", loss_with(change=lambda loss, strength: -loss))
wrong("08.2", "turns all of it round", loss_with(turn=lambda x, _: x, change=lambda loss, strength: -strength * loss))
wrong("08.2", "before the loss", loss_with(turn=lambda x, strength: x, change=lambda loss, strength: -loss))
wrong("08.2", "no gradient reaches the features", loss_with(turn=lambda x, strength: x.detach()))
wrong("08.2", "multiplies your loss as well", loss_with(change=lambda loss, strength: strength * loss))
wrong("08.2", "labels are swapped", loss_with(labels=lambda source, target: 1 - domain_labels(source, target)))
wrong("08.2", "though two equal batches did", loss_with(labels=equal_batches))
wrong("08.2", "take the batches for equal", loss_with(labels=halves))
wrong("08.2", "the sum over the items", loss_with(reduction="sum"))
wrong("08.2", "sigmoid is applied twice", loss_with(after=lambda logits, strength: logits.sigmoid()))
wrong("08.2", "what goes into it, not out", loss_with(turn=lambda x, _: x, after=lambda x, s: Reverse.apply(x, -s)))
wrong("08.2", "the strength is not in it", loss_with(turn=lambda x, strength: Reverse.apply(x, -1.0)))
wrong("08.2", "the body helps the domain classifier", loss_with(turn=Reverse.apply))
wrong("08.2", "Was it detached", loss_with(change=lambda loss, strength: loss.detach()))
wrong("08.2", "it returned a tuple", loss_with(change=lambda loss, strength: (loss, 0.5)))
wrong("08.2", "of shape (8, 1)", loss_with(reduction="none"))
wrong("08.2", "changed in place", lambda s, t, classifier, k: loss_with()(s.data.mul_(2) * 0 + s, t, classifier, k))
wrong("08.2", "returned nothing", lambda source, target, classifier, strength: None)

# ---------------------------------------------------------------------- 08.3

# (before, found, count, sigmas) -> alarm? Pairs on both sides of the limit, above and below.
CASES = {
    (0.3, 49, 100, 4): True, (0.3, 48, 100, 4): False, (0.3, 11, 100, 4): True, (0.3, 12, 100, 4): False,
    (0.3, 40, 100, 2): True, (0.3, 39, 100, 2): False, (0.3, 20, 100, 2): True, (0.3, 21, 100, 2): False,
    (0.3, 2, 3, 4): False, (0.3, 0, 3, 2): False, (0.3, 3_200, 10_000, 4): True, (0.3, 3_180, 10_000, 4): False,
    (0.05, 38, 400, 4): True, (0.05, 37, 400, 4): False, (0.5, 50, 100, 4): False, (0.2, 14, 25, 4): True,
    (0.02, 30, 40, 4): True,
}  # fmt: skip


@exercise("08.3", "An alarm without labels",
          asked="a function of before, found, count and sigmas that returns True or False")  # fmt: skip
def alarm(answer: Callable) -> Conditions:
    """Say whether today's share is more than ``sigmas`` standard errors of the old share away from it."""
    found = {case: _truth(answer(*case)) for case in CASES}
    yield None not in found.values(), NOTHING
    yield any(found.values()), "It never raises the alarm."
    for advice, mistake in _MISTAKES.items():
        yield found != {case: bool(mistake(*case)) for case in CASES}, advice
    same = [_truth(answer(0.3, k, 100, 2)) == _truth(answer(0.3, k, 100, 4)) for k in (12, 18, 20, 40, 44, 48)]
    yield not all(same), "With 2 and with 4 sigmas it says the same: `sigmas` must count."
    yield not found[0.3, 2, 3, 4], "Two of three cells are an alarm for you: in three cells that is chance."
    yield (
        found[0.3, 3_200, 10_000, 4],
        "3,200 of 10,000 where 3,000 are usual is an alarm: so many cells scatter little.",
    )
    for (before, seen, count, sigmas), wanted in CASES.items():
        away = abs(seen / count - before) / math.sqrt(before * (1 - before) / count)
        what = f"{seen} of {count} where the share was {before:g} are {away:.2f} standard errors away"
        yield found[before, seen, count, sigmas] == wanted, f"{what}: is that an alarm at {sigmas} sigmas?"
    usual = _truth(answer(0.3, 48, 100)), _truth(answer(0.3, 49, 100))
    yield usual == (False, True), "Without `sigmas` there should be 4 of them, as the starter has it."


def _truth(given: object) -> bool | None:
    if given is None:
        return None
    if isinstance(given, Tensor) and given.dtype == torch.bool and given.numel() == 1:
        return bool(given)
    if not isinstance(given, (bool, np.bool_)):
        raise NotUsable(f"It returned a {type(given).__name__}")
    return bool(given)


def _alarm(
    error: Callable[[float, float, int], float] = lambda old, new, count: (old * (1 - old) / count) ** 0.5,
    away: Callable[[float], float] = abs,
) -> Callable:
    """Return an answer to 08.3 with another standard error, or another side."""
    return lambda old, k, count, sigmas=4: away(k / count - old) > sigmas * error(old, k / count, count)


def _of_today(old: float, new: float, count: int) -> float:
    return (new * (1 - new) / count) ** 0.5


def _fixed(old: float, k: int, count: int, sigmas: float = 4) -> bool:
    return abs(k / count - old) > 0.2


_MISTAKES: dict[str, Callable] = {
    "Today's share is in your standard error. Ask how far the old share scatters: p is `before`.": _alarm(_of_today),
    "It sees only a share that rose: too few is an alarm as well.": _alarm(away=lambda x: x),
    "It sees only a share that fell: too many is an alarm as well.": _alarm(away=lambda x: -x),
    "p(1 - p) has the root of n missing: a share of many cells scatters less.":
        _alarm(lambda old, new, count: (old * (1 - old)) ** 0.5),
    "That is the variance: a standard error is its root.": _alarm(lambda old, new, count: old * (1 - old) / count),
    "A fixed limit knows neither `count` nor `sigmas`.": _fixed,
}  # fmt: skip

right("08.3", _alarm())


@right("08.3")
def _with_numpy(before: float, found: int, count: int, sigmas: float = 4) -> np.bool_:
    error = np.sqrt(before * (1 - before) / count)
    return np.abs(found / count - before) / error > sigmas


wrong("08.3", "Today's share is in", _alarm(_of_today))
wrong("08.3", "share that rose", _alarm(away=lambda x: x))
wrong("08.3", "share that fell", _alarm(away=lambda x: -x))
wrong("08.3", "never raises", _alarm(lambda old, new, count: 1.0))
wrong("08.3", "the root of n missing", _alarm(lambda old, new, count: (old * (1 - old)) ** 0.5))
wrong("08.3", "the variance", _alarm(lambda old, new, count: old * (1 - old) / count))
wrong("08.3", "A fixed limit knows", _fixed)
wrong("08.3", "`sigmas` must count", lambda old, k, count, sigmas=4: count > 10 and _fixed(old, k, count))
wrong("08.3", "says the same", lambda old, k, count, sigmas=4: _alarm()(old, k, count, 4))
wrong("08.3", "there should be 4", lambda old, k, count, sigmas=3: _alarm()(old, k, count, sigmas))
wrong("08.3", "returned a float", lambda old, k, count, sigmas=4: abs(k / count - old))
wrong("08.3", "returned nothing", lambda old, k, count, sigmas=4: None)

# ---------------------------------------------------------------------- 08.4

ROLES = ("steady", "lucky first", "undecided", "other class each seed", "best", "one class", "lucky last",
         "same answer", "large scores", "lucky middle", "largest")  # fmt: skip


@exercise(
    "08.4", "Choose a weight you cannot validate", asked="a function of weights, trial and seeds that returns a weight"
)
def choose_weight(answer: Callable) -> Conditions:
    """Train with every weight and every seed; return the weight whose answers are sure and various, on average."""
    weights = [0.0, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.5, 2.5]
    for turn, seeds in ((0, [3, 5, 8]), (3, [0, 1, 2]), (5, [7, 4, 11])):
        roles = [*ROLES[turn:-1], *ROLES[:turn], ROLES[-1]]
        lab = WeightTrials(dict(zip(weights, roles, strict=True)), seeds)
        given = weights[::-1] if turn == 3 else weights[:]  # the largest need not be the last
        found = answer(given, lab, [*seeds])
        yield from well_tried(lab)
        yield found is not None, NOTHING
        yield from well_weighed(lab, number_from(found))


def _entropy(shares: Tensor) -> float:
    return float(-(shares * shares.log()).sum(-1).mean())


@right("08.4")
def _in_a_loop(weights: Sequence[float], trial: Callable, seeds: Sequence[int]) -> float:
    reached = {}
    for weight in weights:
        shares = torch.stack([trial(weight, seed).log_softmax(1).exp() for seed in seeds])
        values = [_entropy(run.mean(0)) - _entropy(run) for run in shares]
        reached[weight] = np.mean(values)
    return sorted(reached, key=reached.get)[-1]


def _with_one_seed(place: int) -> Callable:
    def pick(weights: Sequence[float], trial: Callable, seeds: Sequence[int]) -> float:
        return experiment()(weights, trial, [seeds[place]])

    return pick


def _place(weights: Sequence[float], trial: Callable, seeds: Sequence[int]) -> int:
    return weights.index(experiment()(weights, trial, seeds)) + 3


right("08.4", experiment())
right("08.4", experiment(over=sum))
wrong("08.4", "Sureness alone", experiment(lambda scores: float(-torch.special.entr(scores.softmax(1)).sum(1).mean())))
wrong("08.4", "Variety alone", experiment(lambda scores: float(torch.special.entr(scores.softmax(1).mean(0)).sum())))
wrong("08.4", "the worst score of all", experiment(pick=min))
wrong("08.4", "larger is better", experiment(lambda scores: -information(scores.softmax(1))))
wrong("08.4", "every seed of `seeds`", _with_one_seed(0))
wrong("08.4", "with the first seed alone", experiment(over=lambda values: values[0]))
wrong("08.4", "with the last seed alone", experiment(over=lambda values: values[-1]))
wrong("08.4", "the best single run", experiment(over=max))
wrong("08.4", "each seed says one class", mixed_experiment(lambda runs: torch.stack(runs).mean(0).softmax(1)))
wrong("08.4", "then take the mean of scores", mixed_experiment(lambda runs: torch.cat(runs).softmax(1)))
wrong("08.4", "do not mix the answers", mixed_experiment(lambda runs: torch.stack(runs).softmax(2).mean(0)))
wrong("08.4", "by a softmax over the classes", experiment(information))
wrong("08.4", "`dim=1`", experiment(lambda scores: information(scores.softmax(0))))
wrong("08.4", "Nothing was trained", lambda weights, trial, seeds: max(weights))
wrong("08.4", "the largest weight", lambda weights, trial, seeds: experiment()(weights, trial, seeds) and max(weights))
wrong("08.4", "not its place", _place)
wrong("08.4", "returned nothing", lambda *given: experiment()(*given) and None)
