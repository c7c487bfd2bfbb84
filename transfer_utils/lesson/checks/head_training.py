"""A head that is watched while an answer trains it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer
from torch.optim.optimizer import register_optimizer_step_pre_hook
from torch.utils.data import DataLoader, TensorDataset

from .small_models import weights_of

CLASSES = 3


def rows_of(features: Tensor) -> list[bytes]:
    """Return the bytes of each row, by which an item is known again."""
    return [row.numpy().tobytes() for row in features.detach().cpu().float()]


class TurningLoader(DataLoader):
    """Batches whose labels are all wrong in every second pass, so that an epoch that learns undoes the one before.

    They are those of the next class in the second pass, of the class after that in the fourth. Whatever the optimizer,
    the best of an even number of epochs is then not the last. ``label_of`` holds the label that the bytes
    of a row were last handed out with.
    """

    def __init__(self, features: Tensor, labels: Tensor, batch_size: int) -> None:
        self.passes = 0
        self.label_of = dict(zip(rows_of(features), labels.tolist(), strict=True))
        super().__init__(TensorDataset(features, labels), batch_size)

    def __iter__(self) -> Iterator[Any]:
        self.passes += 1
        return self._turned(super().__iter__(), (2, 0, 1, 0)[self.passes % 4])

    def _turned(self, batches: Iterator[Any], turn: int) -> Iterator[Any]:
        for features, labels in batches:
            turned = (labels + turn) % CLASSES
            self.label_of.update(zip(rows_of(features), turned.tolist(), strict=True))
            yield [features, turned]


@dataclass
class Forward:
    """One use of the watched head: what went in and came out, in which mode, with which weights; what followed.

    ``labels`` holds -1 for an item that the loader did not hand out; ``gradient`` is that of the loss with respect to
    ``scores``, both of shape (batch, classes).
    """

    rows: list[bytes]
    labels: Tensor
    validating: bool
    training: bool
    weights: Tensor
    scores: Tensor
    gradient: Tensor | None = None  # none came back
    moved: bool = False  # the weights had been changed before it came
    added: bool = False  # it was added to the gradient of an earlier batch

    def has_gradient_of_cross_entropy(self, times: float = 1.0) -> bool:
        """Return whether the gradient is ``times`` that of the mean cross-entropy, (softmax - one-hot) / batch."""
        distance = self.scores.softmax(1) - functional.one_hot(self.labels, CLASSES)
        return torch.allclose(self.gradient.cpu().float(), times * distance / len(distance), rtol=1e-3, atol=1e-5)


class Watch:
    """Notes down, while a head is trained, every forward pass and the gradient that came back to its scores.

    Args:
        head: a module with parameters.
        train_loader: hands out the items of training.
        validation: the features of the validation items, shape (items, width); a batch that begins with one of them
            is one of validation.
    """

    def __init__(self, head: nn.Module, train_loader: TurningLoader, validation: Tensor) -> None:
        self.forwards: list[Forward] = []
        self.was_loaded = False
        self.optimizers: list[Optimizer] = []  # kept, so that no later one gets the identity of an earlier one
        self.built_later = False  # an optimizer took its first step after the first batches
        self._label_of, self._validation = train_loader.label_of, set(rows_of(validation))
        head.register_forward_hook(self._note_forward)
        head.register_load_state_dict_post_hook(self._note_loading)

    def __deepcopy__(self, memo: dict) -> Self:
        """Stay the one that watches, also where the head is copied."""
        return self

    def _note_forward(self, head: nn.Module, inputs: tuple[Tensor, ...], scores: Tensor) -> None:
        rows = rows_of(inputs[0])
        labels = torch.tensor([self._label_of.get(row, -1) for row in rows])
        noted = scores.detach().cpu().float().clone()
        forward = Forward(rows, labels, rows[0] in self._validation, head.training, weights_of(head), noted)
        self.forwards.append(forward)
        if scores.requires_grad:
            scores.register_hook(lambda gradient: self._note_gradient(head, forward, gradient))

    def _note_gradient(self, head: nn.Module, forward: Forward, gradient: Tensor) -> None:
        """Note a gradient, before it reaches the parameters."""
        forward.gradient = gradient.detach().clone()
        forward.moved |= not torch.equal(weights_of(head), forward.weights)
        forward.added |= any(p.grad is not None and bool(p.grad.any()) for p in head.parameters())

    def _note_loading(self, *_: object) -> None:
        self.was_loaded = True

    @contextlib.contextmanager
    def over_steps(self) -> Iterator[None]:
        """Note, while a block of code trains the head, which optimizers take steps."""
        noting = register_optimizer_step_pre_hook(lambda optimizer, *_: self._note_step(optimizer))
        try:
            yield
        finally:
            noting.remove()

    def _note_step(self, optimizer: Optimizer) -> None:
        if all(optimizer is not one for one in self.optimizers):
            self.optimizers.append(optimizer)
            self.built_later |= len(self.learned()) > 1  # with one for each parameter, all step after the first batch

    def learned(self) -> list[Forward]:
        """Return the forward passes that a gradient came back from."""
        return [forward for forward in self.forwards if forward.gradient is not None]

    def epochs(self) -> list[tuple[set[bytes], Tensor]]:
        """Return, for each validation that followed some learning, the rows learned from and the weights."""
        epochs, rows = [], set()
        for forward in self.forwards:
            if forward.validating and rows:
                epochs.append((rows, forward.weights))
                rows = set()
            if forward.gradient is not None:
                rows |= set(forward.rows)
        return epochs


@dataclass
class Task:
    """A head with dropout, made-up features of three classes, loaders of them, and a watch on the head.

    Args:
        width: of the features.
        noise: standard deviation around the three centres; at 0.1 the classes are far apart, at 1 they overlap.
        outliers: whether two in five validation items lie far out and bear the next class's label. The second pass then
            ends with a lower accuracy than the first, and with a lower loss.
    """

    width: int
    noise: float
    outliers: bool = False

    def __post_init__(self) -> None:
        labels = torch.arange(138) % CLASSES  # the last batch of validation is smaller
        features = 2 * torch.eye(CLASSES, self.width)[labels] + self.noise * torch.randn(138, self.width)
        if self.outliers:
            far = torch.arange(96, 138)[torch.arange(42) % 5 < 2]
            features[far], labels[far] = 4 * features[far], (labels[far] + 1) % CLASSES
        self.head = nn.Sequential(nn.Dropout(0.5), nn.Linear(self.width, CLASSES))
        self.train_loader = TurningLoader(features[:96], labels[:96], batch_size=8)
        self.validation_loader = DataLoader(TensorDataset(features[96:], labels[96:]), batch_size=8)
        self.watch = Watch(self.head, self.train_loader, features[96:])
        self._validation = features[96:].clone(), labels[96:].clone()

    def accuracy_with(self, weights: Tensor) -> float:
        """Return the validation accuracy of the head with ``weights``, as :func:`weights_of` gives them."""
        return float((self._scores_with(weights).argmax(1) == self._validation[1]).float().mean())

    def loss_with(self, weights: Tensor) -> float:
        """Return the mean cross-entropy on the validation items, as :meth:`accuracy_with`."""
        return float(functional.cross_entropy(self._scores_with(weights), self._validation[1]))

    def _scores_with(self, weights: Tensor) -> Tensor:
        matrix, bias = weights[:-CLASSES].view(CLASSES, self.width), weights[-CLASSES:]
        return self._validation[0] @ matrix.T + bias
