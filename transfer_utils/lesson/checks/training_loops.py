"""A training loop for a head that can make the usual mistakes."""

from __future__ import annotations

import copy
import itertools
import operator
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional


def loop_by_hand(optimizer: type = torch.optim.SGD, *, learning: Callable = nn.Module.parameters,
                 loss_of: Callable = functional.cross_entropy, zero_grad: bool = True, step_first: bool = False,
                 learn_from: int = 0, batches: int | None = None, evaluate: bool = True, train_again: bool = True,
                 keep: Callable = copy.deepcopy, load: bool = True, better: Callable = operator.gt,
                 best_by: str = "items", count: str = "items", lr: float | None = None) -> Callable:  # fmt: skip
    """Return a training loop for a head that keeps its best weights, with the mistakes that are asked for.

    Args:
        optimizer: a class of ``torch.optim``.
        learning, loss_of: the parameters of a head that the optimizer gets, and the loss of scores and labels.
        zero_grad, step_first, learn_from, batches, evaluate, train_again, keep, load, better, best_by, count, lr: what
            the loop does about gradients, the order of ``step()`` and ``backward()``, the loader that it learns from
            (1: that of validation) and how many of its batches, the modes, the copy of the weights, what decides which
            epoch is best, what it reports; the defaults make no mistake.
    """

    def train(head, train_loader, validation_loader, epochs, rate):
        steps = optimizer(learning(head), lr=rate if lr is None else lr)
        best, best_weights, results = -torch.inf, None, []
        for _ in range(epochs):
            head.train(head.training or train_again)
            for features, labels in itertools.islice((train_loader, validation_loader)[learn_from], batches):
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


def _results(pairs: list) -> dict[str, float]:
    hits = [(scores.argmax(1) == labels).float() for scores, labels in pairs]
    items = float(torch.cat(hits).mean())
    loss = functional.cross_entropy(*(torch.cat(column) for column in zip(*pairs, strict=True)))
    return {"items": items, "batches": float(torch.stack([h.mean() for h in hits]).mean()),
            "per cent": 100 * items, "lower loss": -loss.item()}  # fmt: skip
