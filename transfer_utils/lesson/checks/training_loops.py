"""A training loop for a head that can make the usual mistakes."""

from __future__ import annotations

import copy
import functools
import itertools
import operator
from collections.abc import Callable, Iterable

import torch
from torch import nn
from torch.nn import functional


def loop_by_hand(optimizer: type = torch.optim.SGD, *, learning: Callable = nn.Module.parameters,
                 loss_of: Callable = functional.cross_entropy, zero_grad: bool = True, step_first: bool = False,
                 learn_from: int = 0, batches: int | None = None, evaluate: bool = True, train_again: bool = True,
                 keep: Callable = copy.deepcopy, load: bool = True, better: Callable = operator.gt,
                 best_by: str = "items", count: str = "items", lr: float | None = None,
                 again: str = "") -> Callable:  # fmt: skip
    """Return a training loop for a head that keeps its best weights, with the mistakes that are asked for.

    Args:
        optimizer: a class of ``torch.optim``.
        learning, loss_of: the parameters of a head that the optimizer gets, and the loss of scores and labels.
        zero_grad, step_first, learn_from, batches, evaluate, train_again, keep, load, better, best_by, count, lr: what
            the loop does about gradients, the order of ``step()`` and ``backward()``, the loader that it learns from
            (1: that of validation) and how many of its batches, the modes, the copy of the weights, what decides which
            epoch is best, what it reports; the defaults make no mistake.
        again: "epoch" or "batch" builds the optimizer anew for each.
    """

    def train(head, train_loader, validation_loader, epochs, rate):
        build = functools.partial(optimizer, lr=rate if lr is None else lr)
        steps, best, best_weights, results = build(learning(head)), -torch.inf, None, []
        for _ in range(epochs):
            steps = build(learning(head)) if again == "epoch" else steps
            head.train(head.training or train_again)
            for features, labels in itertools.islice((train_loader, validation_loader)[learn_from], batches):
                steps = build(learning(head)) if again == "batch" else steps
                loss = loss_of(head(features), labels)
                if step_first:
                    steps.step()
                if zero_grad:
                    steps.zero_grad()
                loss.backward()
                if not step_first:
                    steps.step()
            head.train(not evaluate)
            with torch.no_grad():
                pairs = [(head(features), labels) for features, labels in validation_loader]
            result = _results(pairs) | {"losses": loss.item()}
            results.append(result[count])
            if better(result[best_by], best):
                best, best_weights = result[best_by], keep(head.state_dict())
        if load:
            head.load_state_dict(best_weights)
        return results

    return train


class OneForEachParameter:
    """An optimizer made of several, one for each parameter; all of them take a step at each batch."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parts = [torch.optim.Adam([parameter], lr=lr) for parameter in parameters]

    def zero_grad(self) -> None:
        """Forget the gradients of all parts."""
        for part in self.parts:
            part.zero_grad()

    def step(self) -> None:
        """Take a step with each part."""
        for part in self.parts:
            part.step()


class StepsByHand:
    """Gradient descent with momentum that knows no ``torch.optim``."""

    def __init__(self, parameters: Iterable[nn.Parameter], lr: float) -> None:
        self.parameters, self.lr = list(parameters), lr
        self.velocity = [torch.zeros_like(parameter) for parameter in self.parameters]

    def zero_grad(self) -> None:
        """Forget the gradients."""
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self) -> None:
        """Move each parameter against its gradients, those of earlier steps included."""
        for parameter, velocity in zip(self.parameters, self.velocity, strict=True):
            velocity.mul_(0.9).add_(parameter.grad)
            parameter -= self.lr * velocity


def _results(pairs: list) -> dict[str, float]:
    hits = [(scores.argmax(1) == labels).float() for scores, labels in pairs]
    items = float(torch.cat(hits).mean())
    loss = functional.cross_entropy(*(torch.cat(column) for column in zip(*pairs, strict=True)))
    return {"items": items, "batches": float(torch.stack([h.mean() for h in hits]).mean()),
            "per cent": 100 * items, "lower loss": -loss.item()}  # fmt: skip
