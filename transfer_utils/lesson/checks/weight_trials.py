"""Training with a weight of the adversary, played: what each weight is like, and which mistake would choose it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .registry import Conditions

CLASSES, ITEMS = 3, 60

# What a weight is like -> what to say to whoever chooses it.
REMARKS = {
    "one class": "every answer there is sure, and of one class. Sureness alone is fooled by a collapse: ask for both.",
    "undecided": "the classes share every answer there. Variety alone is fooled: each single answer must be sure.",
    "same answer": "that has the worst score of all. Entropy of the mean answer minus mean entropy: larger is better.",
    "lucky first": "it is good with the first seed alone. Take the mean over all seeds.",
    "lucky middle": "it has the best single run, and is poor with the other seeds. Take the mean over all seeds.",
    "lucky last": "it is good with the last seed alone. Take the mean over all seeds.",
    "other class each seed": "each seed says one class there. Score every run by itself, then take the mean of scores.",
    "steady": "its seeds agree, but are less sure. Score every run by itself; do not mix the answers of the seeds.",
    "large scores": "its scores vary, not its answers. Scores become shares by a softmax over the classes, `dim=1`.",
    "largest": "that is the largest weight, and no better for it.",
}  # fmt: skip


def information(shares: Tensor) -> float:
    """Return the entropy of the mean answer minus the mean entropy of the answers, from shares (N, C)."""
    return float(torch.special.entr(shares.mean(0)).sum() - torch.special.entr(shares).sum(1).mean())


@dataclass
class WeightTrials:
    """Stands for training: the class scores (N, C) that a weight gives with a seed; remembers what was asked.

    Args:
        roles: weight -> what it is like: a key of ``REMARKS``, or ``"best"``.
    """

    roles: dict[float, str]
    seeds: Sequence[int]

    def __post_init__(self) -> None:
        self.runs: list[tuple[float, int]] = []

    def __call__(self, weight: float, seed: int) -> Tensor:
        """Return the scores of a run."""
        self.runs.append((weight, seed))
        return _scores(self.roles[weight], list(self.seeds).index(seed), seed)

    def weight_of(self, role: str) -> float:
        """Return the weight that is like this."""
        return next(weight for weight, its in self.roles.items() if its == role)


def _scores(role: str, place: int, seed: int) -> Tensor:
    noise = torch.randn(ITEMS, CLASSES, generator=torch.Generator().manual_seed(97 + seed))
    groups = torch.tensor([0] * 26 + [1] * 20 + [2] * 14)  # of 60 items; classes are seldom equally frequent
    lucky = {"lucky first": 0, "lucky middle": 1, "lucky last": 2}
    if role == "best":  # sure and various; which items are alike differs from seed to seed
        return 3 + _sure((groups + place) % CLASSES, 3.5) + 0.3 * noise
    if role in lucky:
        if lucky[role] == place:
            return 3 + _sure(groups, 8.0 if role == "lucky middle" else 6.5)
        return 3 + 0.4 * _sure(groups, 1.0)
    if role == "other class each seed":  # the mean of the scores over the seeds is very sure, and various
        return 3 + _sure(torch.full((ITEMS,), place), 12.0) + _sure(groups, 6.0)
    return (
        3
        + {
            "one class": _sure(torch.zeros(ITEMS, dtype=torch.long), 9.0) + 0.5 * noise,
            "undecided": 0.1 * noise,
            "same answer": torch.tensor([0.9, 0.3, 0.0]).expand(ITEMS, CLASSES).clone(),
            "steady": _sure(groups, 2.4),
            "large scores": 300 * noise[:, :1].abs() + 0.3 * noise + _sure(torch.zeros(ITEMS, dtype=torch.long), 0.5),
            "largest": _sure(groups, 1.2) + 0.1 * noise,
        }[role]
    )


def _sure(labels: Tensor, margin: float) -> Tensor:
    return margin * torch.nn.functional.one_hot(labels, CLASSES).float()


def well_tried(lab: WeightTrials) -> Conditions:
    """Every weight was tried with every seed."""
    yield lab.runs, "Nothing was trained: call `trial(weight, seed)`."
    missed = [weight for weight in lab.roles if weight not in [run[0] for run in lab.runs]]
    yield not missed, f"The weight {missed[:1]} was not tried: compare all of `weights`."
    seeds = sorted({seed for _, seed in lab.runs})
    yield seeds == sorted(lab.seeds), f"Try each weight with every seed of `seeds`; you used {seeds} of {lab.seeds}."
    complete = all((weight, seed) in lab.runs for weight in lab.roles for seed in lab.seeds)
    yield complete, "Try every weight with the same seeds, or you compare the seeds."


def well_weighed(lab: WeightTrials, found: float) -> Conditions:
    """``found`` is not the weight that a mistake would choose, and is the best."""
    for role, remark in REMARKS.items():
        yield not math.isclose(found, lab.weight_of(role)), f"You chose {found:g}: {remark}"
    yield found == lab.weight_of("best"), f"{found:g} is none of `weights`. Return a weight, not its place or score."


def experiment(
    score: Callable[[Tensor], float] = lambda scores: information(scores.softmax(1)),
    over: Callable[[list[float]], float] = lambda values: sum(values) / len(values),
    pick: Callable = max,
) -> Callable:
    """Return an answer that tries all weights with all seeds, and differs from a right one in what is given."""

    def choose(weights: Sequence[float], trial: Callable, seeds: Sequence[int]) -> float:
        return pick(weights, key=lambda weight: over([score(trial(weight, seed)) for seed in seeds]))

    return choose


def mixed_experiment(mix: Callable[[list[Tensor]], Tensor]) -> Callable:
    """Return an answer that mixes what the seeds say, by ``mix`` to shares (N, C), and scores that."""

    def choose(weights: Sequence[float], trial: Callable, seeds: Sequence[int]) -> float:
        return max(weights, key=lambda weight: information(mix([trial(weight, seed) for seed in seeds])))

    return choose
