"""A head that is watched while an answer trains it, and a training loop that can make the usual mistakes."""

from __future__ import annotations

import copy
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

from .small_models import weights_of


class TurningLoader(DataLoader):
    """Batches whose labels are all wrong in every second pass, so that an epoch that learns undoes the one before.

    Whatever the optimizer, the best epoch of a loop is then not its last. ``classes`` is the number of labels.
    """

    def __init__(self, features: Tensor, labels: Tensor, classes: int, batch_size: int) -> None:
        self.classes, self.passes = classes, 0
        super().__init__(TensorDataset(features, labels), batch_size)

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        wrong = self.passes % 2 == 0
        return ([features, (labels + wrong) % self.classes] for features, labels in super().__iter__())


@dataclass
class Forward:
    """One use of the watched head: on validation items? in training mode? with which weights?, and what followed."""

    validating: bool
    training: bool
    weights: Tensor
    learned: bool = False  # a gradient came back
    moved: bool = False  # the weights had been changed before it came
    added: bool = False  # it was added to the gradient of an earlier batch


class Watch:
    """Notes down, while a head is trained, every forward pass and the gradient that came back.

    Args:
        head: a module with parameters, the last of which get a gradient in each step.
        validation: the features of the validation items, shape (items, width); a batch that begins with one of them
            is one of validation.
    """

    def __init__(self, head: nn.Module, validation: Tensor) -> None:
        self.forwards: list[Forward] = []
        self.was_loaded = False
        self._validation = {row.numpy().tobytes() for row in validation}
        head.register_forward_pre_hook(self._note_forward)
        last = list(head.parameters())[-1]
        last.register_hook(lambda _: self._note_gradient(head, last))  # before it is added to last.grad
        head.register_load_state_dict_post_hook(self._note_loading)

    def __deepcopy__(self, memo: dict) -> Self:
        """Stay the one that watches, also where the head is copied."""
        return self

    def _note_forward(self, module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        validating = inputs[0][0].detach().cpu().numpy().tobytes() in self._validation
        self.forwards.append(Forward(validating, module.training, weights_of(module)))

    def _note_gradient(self, head: nn.Module, parameter: nn.Parameter) -> None:
        forward = self.forwards[-1]
        forward.learned = True
        forward.moved |= not torch.equal(weights_of(head), forward.weights)
        forward.added |= parameter.grad is not None and bool(parameter.grad.any())

    def _note_loading(self, *_: object) -> None:
        self.was_loaded = True

    def ends_of_epochs(self) -> list[Tensor]:
        """Return the weights at the start of each validation that followed some learning."""
        ends, learned = [], False
        for forward in self.forwards:
            if forward.validating and learned:
                ends.append(forward.weights)
                learned = False
            learned |= forward.learned
        return ends


@dataclass
class Task:
    """A head with dropout, made-up features of three classes, loaders of them, and a watch on the head.

    Args:
        width: of the features.
        noise: standard deviation around the three centres; at 0.1 the classes are far apart, at 1 they overlap.
    """

    width: int
    noise: float

    def __post_init__(self) -> None:
        labels = torch.arange(138) % 3  # the last batch of validation is smaller
        features = 2 * torch.eye(3, self.width)[labels] + self.noise * torch.randn(138, self.width)
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(self.width, 3))
        self.train_loader = TurningLoader(features[:96], labels[:96], classes=3, batch_size=8)
        self.validation_loader = DataLoader(TensorDataset(features[96:], labels[96:]), batch_size=8)
        self.watch = Watch(self.head, features[96:])
        self._validation = features[96:].clone(), labels[96:].clone()

    def accuracy_with(self, weights: Tensor) -> float:
        """Return the validation accuracy of the head with ``weights``, as :func:`weights_of` gives them."""
        features, labels = self._validation
        matrix, bias = weights[:-3].view(3, self.width), weights[-3:]
        return float(((features @ matrix.T + bias).argmax(1) == labels).float().mean())


def loop_by_hand(optimizer: type = torch.optim.SGD, *, zero_grad: bool = True, step_first: bool = False,
                 learn_from: int = 0, evaluate: bool = True, train_again: bool = True,
                 keep: Callable = copy.deepcopy, load: bool = True, better: Callable = operator.gt,
                 count: str = "items", lr: float | None = None) -> Callable:  # fmt: skip
    """Return a training loop for a head that keeps its best weights, with the mistakes that are asked for.

    Args:
        optimizer: a class of ``torch.optim``.
        zero_grad, step_first, learn_from, evaluate, train_again, keep, load, better, count, lr: what the loop does
            about gradients, the order of ``step()`` and ``backward()``, the loader that it learns from (1: that of
            validation), the modes, the copy of the weights, what it reports; the defaults make no mistake.
    """

    def train(head, train_loader, validation_loader, epochs, rate):
        steps = optimizer(head.parameters(), lr=rate if lr is None else lr)
        best, best_weights, results = -1.0, None, []
        for _ in range(epochs):
            head.train(head.training or train_again)
            for features, labels in (train_loader, validation_loader)[learn_from]:
                loss = functional.cross_entropy(head(features), labels)
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
            hits = [(scores.argmax(1) == labels).float() for scores, labels in pairs]
            items = float(torch.cat(hits).mean())
            results.append({"items": items, "batches": float(torch.stack([h.mean() for h in hits]).mean()),
                            "losses": loss.item(), "per cent": 100 * items}[count])  # fmt: skip
            if better(items, best):
                best, best_weights = items, keep(head.state_dict())
        if load:
            head.load_state_dict(best_weights)
        return results

    return train
