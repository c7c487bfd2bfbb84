"""Choosing a setting of domain adaptation without a single target label.

A validation set needs labels, and the target has none. Two stand-ins: does the way back to the source work (reverse
validation), and are the answers on the target sure and various (information maximisation)?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import nn
from torch.utils.data import TensorDataset

from ..evaluation.metrics import accuracy
from ..evaluation.predict import predict
from ..evaluation.resampling import MetricLike

Train = Callable[[TensorDataset, TensorDataset], nn.Module]


def information_maximisation(scores: torch.Tensor) -> float:
    """Return the entropy of the mean answer minus the mean entropy of the answers, in nats: larger is better.

    It is large where each answer is sure and all classes are used. It takes the classes of the target to be equally
    frequent: where they are not, a model that is right pays for it. Shi and Sha 2012 learn by it; Musgrave, Belongie
    and Lim 2022 compare it with other scores that choose.

    Args:
        scores: (N, C) class scores on target items, before the softmax.

    Example:
        >>> round(information_maximisation(torch.tensor([[50.0, 0.0], [0.0, 50.0]])), 3)
        0.693
    """
    if scores.ndim != 2 or len(scores) < 2:
        raise ValueError(f"Scores must be (N, C) of two items or more; they are {tuple(scores.shape)}.")
    shares = scores.double().softmax(1)
    return float(torch.special.entr(shares.mean(0)).sum() - torch.special.entr(shares).sum(1).mean())


def reverse_validation(
    train: Train,
    source: TensorDataset,
    target: TensorDataset,
    held_out: TensorDataset,
    metric: MetricLike = accuracy,
) -> tuple[nn.Module, float]:
    """Train to the target and back, and return the model of the way there and the score of the way back.

    The model names the target items. A second one is trained with these answers as labels, the target as its source and
    the source, without labels, as its target. Where the answers were good, it does well on source items held out.
    Ganin et al. 2016, section 5.1.2, after Zhong et al. 2010.

    Args:
        train: ``(labelled, unlabelled) -> model``; it must not read the labels of its second argument.
        source, target, held_out: pairs (inputs, labels); ``held_out`` are source items that ``train`` does not see.
        metric: ``(scores, labels) -> number``, larger is better.

    Example:
        >>> model, score = reverse_validation(train, plain.train, photos.train, plain.validation)  # doctest: +SKIP
    """
    forward = train(source, target)
    named = TensorDataset(target.tensors[0], predict(forward, target, progress="")[0].argmax(1))
    backward = train(named, source)
    return forward, float(metric(*predict(backward, held_out, progress="")))


def best_by(
    runs: Mapping[str, Mapping[str, torch.Tensor]], key: str, arms: Sequence[str]
) -> tuple[torch.Tensor, list[str]]:
    """Return for each seed the test scores of the arm whose ``key`` is the largest, and which arm that is.

    Args:
        runs: arm -> results by name, with a row a seed: ``key`` (S,), and ``scores`` (S, N, C).
        arms: those to choose from; of equal ones the first.

    Returns:
        Scores (S, N, C), and S names of arms.

    Example:
        >>> run = {"sure": torch.tensor([1.0]), "scores": torch.zeros(1, 3, 2)}
        >>> best_by({"a": run, "b": run}, "sure", ["a", "b"])[1]
        ['a']
    """
    place = torch.stack([runs[arm][key] for arm in arms], 1).argmax(1)
    scores = torch.stack([runs[arm]["scores"] for arm in arms], 1)  # (S, arms, N, C)
    return scores[torch.arange(len(place)), place], [arms[i] for i in place]
