"""Domain adaptation: labels in one domain, the source, and none in the other, the target.

    model = DomainModel(body, head, domain_classifier(128))
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Dann())
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Alignment(mmd, weight=1.0))

Two ideas of three: fool a classifier of domains (DANN), or make the two clouds of features alike (MMD, CORAL,
see ``discrepancy``). The third, each domain its own statistics, comes first and is in ``adaptation``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import collect
from ..evaluation.metrics import check_labels
from ..training.steps import Metrics


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


def both_features(
    body: nn.Module, source: torch.Tensor, target: torch.Tensor, joint: bool = True
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features of both domains, from one pass over the two together, or from two passes."""
    if not joint:
        return body(source), body(target)
    features = body(torch.cat([source, target]))
    return features[: len(source)], features[len(source) :]


def class_loss(head: nn.Module, features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Metrics]:
    """Return the cross-entropy of the source, and its accuracy, from features (N, D) and labels (N,)."""
    scores = head(features)
    check_labels(labels, scores.shape[1])
    return F.cross_entropy(scores, labels), {"accuracy": float((scores.argmax(1) == labels).float().mean())}
