"""What must hold of parameter groups whose rates fall from the head to the stem (02.2)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from torch import nn

from .registry import NOTHING, Conditions, number_from


def groups_fall(answer: Callable, count: int, lr: float, decay: float) -> Conditions:
    """Let ``answer`` make dicts of ``count`` small groups, and look where each parameter is and how fast it learns."""
    groups = [[nn.Parameter(torch.ones(2, 3)), nn.Parameter(torch.ones(3))] for _ in range(count)]
    groups[0][0].requires_grad_(False)
    found = answer([list(group) for group in groups], lr, decay)
    yield found is not None, NOTHING
    yield isinstance(found, list), "Return a list of dicts, one for each group; the optimizer is built from it."
    dicts = all(isinstance(one, dict) and {"params", "lr"} <= set(one) for one in found)
    yield dicts, "Each entry is a dict with the keys `params` and `lr`."
    held = [list(one["params"]) for one in found]
    again = [list(one["params"]) for one in found]
    yield held == [] or any(again), "`params` can be read only once: write a list, not a generator."
    place = {id(p): g for g, group in enumerate(groups) for p in group}
    seen = [id(p) for group in held for p in group]
    yield set(seen) <= set(place), "Some parameters are not those of the groups, but copies: nothing would learn."
    yield (
        len(seen) == len(set(seen)),
        "A parameter stands in two groups: the optimizer would refuse it, or move it twice.",
    )
    left_out = [one for one in place if one not in seen]
    missing = {place[one] for one in left_out}
    yield count - 1 not in missing, "The head is missing: it is the last group, and learns at `lr`."
    yield left_out != [id(groups[0][0])], "A frozen parameter is missing: with it in, it can be unfrozen later."
    yield not missing, f"Group {min(missing, default=0)} of {count} is missing: every group learns."
    rate_of = {id(p): number_from(one["lr"]) for one, group in zip(found, held, strict=True) for p in group}
    rates = [rate_of[id(group[0])] for group in groups]
    yield from _rates_fall(rates, lr, decay)
    whole = all(math.isclose(rate_of[id(p)], rates[g]) for g, group in enumerate(groups) for p in group)
    yield whole, "All parameters of a group share one rate."
    torch.optim.AdamW(found)


def _rates_fall(rates: Sequence[float], lr: float, decay: float) -> Conditions:
    top = len(rates) - 1
    reversed_ = decay < 1 and math.isclose(rates[0], lr) and not math.isclose(rates[-1], lr)
    yield not reversed_, "Reversed: the first group, the stem, got the highest rate, and the head the lowest."
    yield not math.isclose(rates[-1], lr * decay) or decay == 1, "Off by one: the head, the last group, learns at `lr`."
    yield math.isclose(rates[-1], lr), "The head, the last group, learns at `lr` itself."
    same = decay < 1 and all(math.isclose(rate, lr) for rate in rates)
    yield not same, "All groups have the same rate: `decay` is not used."
    yield (
        decay == 1 or rates[0] < lr,
        "Below the head the rates must fall; yours rise. Look at the sign of the exponent.",
    )
    for g, rate in enumerate(rates):
        yield (
            math.isclose(rate, lr * decay ** (top - g)),
            f"Group {g} is {top - g} steps below the head: `decay` as often.",
        )
