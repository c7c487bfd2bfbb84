"""DANN: features from which a classifier of domains cannot tell the domains apart (Ganin et al. 2016)."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn

from ..training.steps import Metrics, TrainState
from .domains import DomainModel, both_features, class_loss


class _Reverse(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: torch.Tensor, strength: float) -> torch.Tensor:
        context.strength = strength
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: torch.Tensor) -> tuple[torch.Tensor, None]:
        return -context.strength * gradient, None


def reverse_gradient(x: torch.Tensor, strength: float = 1.0) -> torch.Tensor:
    """Return ``x`` as it is; on the way back the gradient is multiplied by ``-strength``.

    What stands after it learns to tell the domains apart, what stands before it learns to prevent that. The loss
    itself gets no minus sign: a sign and a reversal would cancel. Ganin and Lempitsky 2015, equations 7 and 8; Ganin et
    al. 2016, equations 16 and 17, have the same with ``strength`` 1 and put lambda before the loss.
    """
    return _Reverse.apply(x, strength)


class GradientReversal(nn.Module):
    """:func:`reverse_gradient` as a layer."""

    def __init__(self, strength: float = 1.0):
        super().__init__()
        self.strength = strength

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``x``, of the same shape."""
        return reverse_gradient(x, self.strength)


def reversal_strength(progress: float, gamma: float = 10.0) -> float:
    """Return lambda, from 0 at the start towards 1: ``2 / (1 + exp(-gamma * progress)) - 1``.

    Args:
        progress: share of all *steps* that are done. By epochs it would be 0 for the whole first one.

    Ganin et al. 2016, section 5.2.2.
    """
    return 2 / (1 + math.exp(-gamma * progress)) - 1


def dann_loss(
    source: torch.Tensor, target: torch.Tensor, domain_classifier: nn.Module, strength: float
) -> tuple[torch.Tensor, float]:
    """Return the loss of the domain classifier, reversed on its way back, and its accuracy, for any training loop.

    Add it to the loss of the classes and give one optimizer the body, the head and the domain classifier. It is the
    mean over the items of both domains; Ganin et al. 2016, equation 18, add the means of the two domains, so that the
    same ``strength`` is half as much there.

    Args:
        source, target: features (N, D) and (M, D), with the gradient that leads into the body.
        domain_classifier: (N, D) -> (N, 1), the logit of "target".
        strength: lambda, for example ``0.1 * reversal_strength(step / steps)``; 0 cuts the body off.

    Example:
        >>> features = torch.randn(6, 8, requires_grad=True)
        >>> loss, accuracy = dann_loss(features[:2], features[2:], nn.Linear(8, 1), strength=0.1)
        >>> loss.backward()
    """
    features = torch.cat([source, target])
    logits = domain_classifier(reverse_gradient(features, strength)).squeeze(1)
    domains = torch.cat([torch.zeros(len(source)), torch.ones(len(target))]).to(logits)
    accuracy = ((logits > 0) == domains.bool()).float().mean()
    return F.binary_cross_entropy_with_logits(logits, domains), float(accuracy)


@dataclass(frozen=True)
class Dann:
    """A step for ``fit``: classes on the source, and a domain classifier that the body learns to fool.

    Attributes:
        weight: of the domain loss, times :func:`reversal_strength` on its way back into the body.
        joint: both domains in one batch through the body, so that BatchNorm sees the mixture; else one after
            the other, each with its own statistics.
    """

    weight: float = 1.0
    joint: bool = True

    def __call__(self, model: DomainModel, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        """Return the loss; and the accuracy of the domain classifier, .5 when it is fooled."""
        if model.domain_classifier is None:
            raise ValueError("DANN needs a domain classifier: DomainModel(body, head, domain_classifier(width)).")
        (inputs, labels), target = batch
        source_features, target_features = both_features(model.body, inputs, target, self.joint)
        loss, metrics = class_loss(model.head, source_features, labels)
        strength = self.weight * reversal_strength(state.progress)
        domain_loss, found = dann_loss(source_features, target_features, model.domain_classifier, strength)
        return loss + domain_loss, {**metrics, "domain_accuracy": found}
