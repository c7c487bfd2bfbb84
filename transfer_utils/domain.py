"""Domain adaptation: labels in one domain, the source, and none in the other, the target.

    model = DomainModel(body, head, domain_classifier(128))
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Dann())
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Alignment(mmd, weight=1.0))

Two ideas of three: fool a classifier of domains (DANN), or make the two clouds of features alike (MMD, CORAL,
see ``discrepancy``). The third, each domain its own statistics, comes first and is in ``adaptation``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from .batches import collect
from .metrics import check_labels
from .steps import Metrics, TrainState

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]

# ------------------------------------------------------- two domains, one model


class DomainModel(nn.Module):
    """A body that makes features, a head that names classes, and for DANN a classifier of domains.

    Calling it gives class scores (N, C), so that ``evaluate`` and ``predict`` take it like any classifier.

    Args:
        body: inputs -> features (N, D).
        head: (N, D) -> (N, C).
        domain_classifier: (N, D) -> (N, 1), the logit of "target"; ``None`` where nothing is to be fooled.
    """

    def __init__(self, body: nn.Module, head: nn.Module, domain_classifier: nn.Module | None = None):
        super().__init__()
        self.body, self.head, self.domain_classifier = body, head, domain_classifier

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return class scores (N, C)."""
        return self.head(self.body(inputs))


def domain_classifier(in_features: int, hidden: int = 64) -> nn.Sequential:
    """Return a small network (N, in_features) -> (N, 1): source or target?"""
    return nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Linear(hidden, 1))


class DomainPairs(Dataset):
    """Source items with labels beside target items without: a batch is ``((inputs, labels), target inputs)``.

    As many items as the larger domain has; the smaller one is gone through more than once. The target's labels are
    dropped here, so no step can look at them.

    Args:
        source, target: items ``(input, label)``.

    Raises:
        ValueError: a domain is empty, the classes of the two differ, or their inputs have different shapes.
    """

    def __init__(self, source: Dataset, target: Dataset):
        for name, data in (("source", source), ("target", target)):
            if len(data) == 0:
                raise ValueError(f"The {name} domain is empty.")
        names = [getattr(data, "class_names", None) for data in (source, target)]
        if None not in names and names[0] != names[1]:
            raise ValueError(f"The domains have different classes: {names[0]} and {names[1]}. They must be the same.")
        shapes = [tuple(data[0][0].shape) for data in (source, target)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"Inputs are {shapes[0]} in the source and {shapes[1]} in the target. Use one transform.")
        self.source, self.target = source, target

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.source[index % len(self.source)], self.target[index % len(self.target)][0]

    def collect(self, indices: Sequence[int]) -> tuple[Any, Any]:
        """Return one batch of both domains, of equal size."""
        source = collect(self.source, [i % len(self.source) for i in indices])
        return source, collect(self.target, [i % len(self.target) for i in indices])[0]


# ------------------------------------------------------------------------ DANN


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
    itself gets no minus sign: a sign and a reversal would cancel. Ganin et al. 2016, section 4.2, equations 16 and 17.
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
        loss, metrics = _class_loss(model.head, source_features, labels)
        features = torch.cat([source_features, target_features])
        logits = model.domain_classifier(reverse_gradient(features, self.weight * reversal_strength(state.progress)))
        domain = torch.cat([torch.zeros(len(source_features)), torch.ones(len(target_features))]).to(logits)
        loss = loss + F.binary_cross_entropy_with_logits(logits.squeeze(1), domain)
        told_apart = ((logits.squeeze(1) > 0) == domain.bool()).float().mean()
        return loss, {**metrics, "domain_accuracy": float(told_apart)}


def both_features(
    body: nn.Module, source: torch.Tensor, target: torch.Tensor, joint: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features of both domains, from one pass over the two together, or from two passes."""
    if not joint:
        return body(source), body(target)
    features = body(torch.cat([source, target]))
    return features[: len(source)], features[len(source) :]


def _class_loss(head: nn.Module, features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Metrics]:
    scores = head(features)
    check_labels(labels, scores.shape[1])
    return F.cross_entropy(scores, labels), {"accuracy": float((scores.argmax(1) == labels).float().mean())}


# ----------------------------------------------------------------- MMD, CORAL


@dataclass(frozen=True)
class Alignment:
    """A step for ``fit``: classes on the source, plus ``weight`` times a distance of the two feature clouds.

    Attributes:
        distance: ``(source features, target features) -> number``, e.g. ``mmd`` or ``coral`` of
            :mod:`transfer_utils.discrepancy`.
        joint: as in :class:`Dann`.
    """

    distance: Distance
    weight: float = 1.0
    joint: bool = True

    def __call__(self, model: DomainModel, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        """Return the loss, and the distance."""
        (inputs, labels), target = batch
        source_features, target_features = both_features(model.body, inputs, target, self.joint)
        loss, metrics = _class_loss(model.head, source_features, labels)
        apart = self.distance(source_features, target_features)
        return loss + self.weight * apart, {**metrics, "distance": apart.item()}
