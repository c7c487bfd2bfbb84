"""Losses of DANN, right ones and with mistakes; tried in the checks of lesson 08."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional


class Reverse(torch.autograd.Function):
    """The identity, whose gradient is multiplied by a factor."""

    @staticmethod
    def forward(context: Any, x: Tensor, factor: float) -> Tensor:
        """Return ``x``."""
        context.factor = factor
        return x.view_as(x)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        """Return ``factor`` times the gradient."""
        return context.factor * gradient, None


def domain_labels(source: Tensor, target: Tensor) -> Tensor:
    """Return 0 for each item of the source, 1 for each of the target, (N + M, 1)."""
    return torch.cat([torch.zeros(len(source), 1), torch.ones(len(target), 1)])


def loss_with(
    turn: Callable[[Tensor, float], Tensor] = lambda x, strength: Reverse.apply(x, -strength),
    labels: Callable[[Tensor, Tensor], Tensor] = domain_labels,
    after: Callable[[Tensor, float], Tensor] = lambda logits, strength: logits,
    change: Callable[[Tensor, float], Tensor] = lambda loss, strength: loss,
    **options: Any,
) -> Callable:
    """Return an answer to 08.2 that differs from a right one in what is given."""

    def loss_of(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
        logits = after(classifier(turn(torch.cat([source, target]), strength)), strength)
        return change(functional.binary_cross_entropy_with_logits(logits, labels(source, target), **options), strength)

    return loss_of


def without_a_function(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Add up the value of the features, with -strength times their gradient; each domain by itself."""
    turned = [(1 + strength) * part.detach() - strength * part for part in (source, target)]
    shares = [classifier(part).squeeze(1).sigmoid() for part in turned]
    return -(torch.cat([1 - shares[0], shares[1]])).log().mean()


def with_a_hook_on_a_copy(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Turn the gradient with a hook on the concatenated copy."""
    both = torch.cat([source, target])
    both.register_hook(lambda gradient: -strength * gradient)
    logits = torch.cat([-classifier(both[: len(source)]), classifier(both[len(source) :])])
    return functional.softplus(-logits).mean()


def with_a_hook_on_the_features(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Turn the gradient of the features themselves, that of the classes included."""
    for part in (source, target):
        part.register_hook(lambda gradient: -strength * gradient)
    return loss_with(turn=lambda x, strength: x)(source, target, classifier, strength)


def goes_back_itself(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Call backward."""
    loss = loss_with()(source, target, classifier, strength)
    loss.backward(retain_graph=True)
    return loss


def freezes_the_classifier(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Take the gradient from the classifier."""
    classifier.requires_grad_(False)
    return loss_with()(source, target, classifier, strength)


def turns_the_source_alone(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Forget the target."""
    return loss_with(turn=lambda x, strength: x)(Reverse.apply(source, -strength), target, classifier, strength)


def two_means(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Add the means of the two domains: equation 18."""
    logits = [classifier(Reverse.apply(part, -strength)) for part in (source, target)]
    return functional.softplus(logits[0]).mean() + functional.softplus(-logits[1]).mean()


def takes_the_step(source: Tensor, target: Tensor, classifier: nn.Module, strength: float) -> Tensor:
    """Take the classifier's step."""
    loss = loss_with()(source, target, classifier, strength)
    loss.backward(retain_graph=True)
    torch.optim.SGD(classifier.parameters(), lr=0.1).step()
    return loss


def equal_batches(source: Tensor, target: Tensor) -> Tensor:
    """Return as many ones as zeros."""
    return torch.cat([torch.zeros(len(source), 1), torch.ones(len(source), 1)])


def halves(source: Tensor, target: Tensor) -> Tensor:
    """Return zeros for the first half of the items, ones for the second."""
    count = len(source) + len(target)
    return (torch.arange(count) >= count // 2).float()[:, None]
