"""What the studies of lesson 09 hold: the weight that a score chose, and tables of weights and distances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch

from ...evaluation.differences import Difference
from ...evaluation.resampling import MetricLike
from ...evaluation.weighted_metrics import accuracy
from ..studies.study import Study
from ..tables import differences

Arm = Mapping[str, torch.Tensor]
DISTANCES = ("MMD²", "MMD² in a class", "A-distance")


def chosen_by(runs: Study, score: str, weights: Sequence[float], way: str = "MMD") -> list[float]:
    """Return for each seed the weight of a way, e.g. ``"mono to poly, MMD"``, with the largest score."""
    found = torch.stack([torch.as_tensor(runs[f"{way}, {weight:g}"][score]) for weight in weights])
    return [weights[place] for place in found.argmax(0)]


def arms_of(
    runs: Study, names: Sequence[str], weights: Sequence[float], prefix: str = "", score: str = "way back"
) -> dict[str, Arm]:
    """Return {way: results by seed}; of a way with several weights, each seed has the one that the score chose."""

    def arm(way: str) -> Arm:
        if way in runs:
            return runs[way]
        picked = enumerate(chosen_by(runs, score, weights, way))
        found = [(runs[f"{way}, {weight:g}"], seed) for seed, weight in picked]
        return {what: torch.stack([torch.as_tensor(one[what][seed]) for one, seed in found])
                for what in ("scores", *DISTANCES)}  # fmt: skip

    return {name: arm(prefix + name) for name in names}


def print_weights(
    runs: Study,
    weights: Sequence[float],
    labels: torch.Tensor,
    metric: MetricLike,
    prefix: str = "",
    way: str = "MMD",
) -> dict[str, float]:
    """Print what each weight of a way reaches, and what was chosen without labels; return what each choice reaches.

    If the best weight is the first or the last one, the best of all may lie outside, and that is printed.

    Args:
        labels: of the test items (N,).
        metric: scores (N, C) and labels -> what is reached.
    """

    def judge(scores: torch.Tensor) -> float:
        return float(metric(scores, labels))

    reached = {
        weight: np.mean([judge(one) for one in runs[f"{prefix}{way}, {weight:g}"]["scores"]]) for weight in weights
    }
    best = max(reached, key=reached.get)
    told = ", ".join(f"{weight:g} reaches {value:.3f}" for weight, value in reached.items())
    print(f"{prefix}{way} by weight: {told}")
    by_choice = {}
    for score in ("way back", "information"):
        made = arms_of(runs, [way], weights, prefix, score)[way]["scores"]
        by_choice[score] = float(np.mean([judge(one) for one in made]))
        chosen = chosen_by(runs, score, weights, f"{prefix}{way}")
        times = ", ".join(f"{weight:g} in {chosen.count(weight)}" for weight in weights)
        print(f"chosen by {score}, without labels: {by_choice[score]:.3f} (seeds: {times})")
    edge = ", at the edge of the grid: the best may lie outside" if best in (weights[0], weights[-1]) else ""
    print(f"the labels of the test items would have taken {best:g}: {reached[best]:.3f}{edge}")
    return by_choice | {"labels": float(reached[best])}


def reached(arms: Mapping[str, Arm], labels: torch.Tensor, metric: MetricLike) -> dict[str, list[float]]:
    """Return what each way reaches on the test items, one value a seed."""
    return {way: [float(metric(one, labels)) for one in arm["scores"]] for way, arm in arms.items()}


def print_distances(
    every: Mapping[str, tuple[Mapping[str, Arm], Mapping[str, Sequence[float]]]],
) -> dict[str, dict[str, tuple[torch.Tensor, Sequence[float]]]]:
    """Print the mean distances between the domains, test items, a row a way; return MMD² and what is reached by seed.

    Args:
        every: title -> arms, and what each reaches.
    """
    for title, (arms, _) in every.items():
        print(f"{title:24}" + "".join(f"{what:>17}" for what in DISTANCES))
        for way, arm in arms.items():
            print(f"  {way:22}" + "".join(f"{value:17.3f}" for value in distances_of(arm).values()))
    return {title: {way: (arms[way]["MMD²"], values[way]) for way in values} for title, (arms, values) in every.items()}


def distances_of(arm: Arm) -> dict[str, float]:
    """Return the mean of each distance over the seeds."""
    return {what: float(torch.as_tensor(arm[what]).mean()) for what in DISTANCES}


def compare(
    scores: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    couples: Sequence[tuple[str, str]],
    metric: MetricLike = accuracy,
) -> list[Difference]:
    """Show :func:`lesson.differences` of couples (way, against), a table each, and return the differences."""
    return [differences({way: scores[way] for way in couple}, labels, against=couple[1], metric=metric)[0]
            for couple in couples]  # fmt: skip


def means_told(panels: Mapping[str, Mapping[str, Sequence[float]]]) -> str:
    """Return the mean of each way in words, for an alternative text."""

    def told(ways: Mapping[str, Sequence[float]]) -> str:
        return ", ".join(f"{way} {np.mean(values):.3f}" for way, values in ways.items())

    return "; ".join(f"{title}: {told(ways)}" for title, ways in panels.items())


def print_calls(arms: Mapping[str, torch.Tensor], labels: torch.Tensor) -> None:
    """Print which share of the items each arm, scores (S, N, 2), calls class 1, on average over the seeds."""
    for name, scores in arms.items():
        print(f"{name:20} calls {float((scores.argmax(2) == 1).double().mean()):.2f} of the test cells defective")
    print(f"{'really':20} {'':5} {float((labels == 1).double().mean()):.2f}")
