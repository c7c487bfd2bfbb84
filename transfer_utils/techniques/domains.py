"""Domain adaptation: labels in one domain, the source, and none in the other, the target.

    model = DomainModel(body, head, domain_classifier(128))
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Dann())
    fit(model, DomainPairs(source.train, target.train), epochs=20, step=Alignment(mmd, weight=1.0))

Two ideas of three: fool a classifier of domains (``dann``), or bring the distributions of the features together
(``mmd``, CORAL there too). The third, each domain its own statistics, comes first and is in ``adabn``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import Batched, collect
from ..data.fingerprints import fingerprint
from ..evaluation.metrics import check_labels
from ..runtime.seeding import generator
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


class DomainPairs(Dataset, Batched):
    """Source items with labels beside target items without: a batch is ``((inputs, labels), target inputs)``.

    As many items as the larger domain has; the smaller one is gone through more than once. The target's labels are
    dropped here, so no step can look at them. Its order is drawn independently of the source's: where both are sorted
    by class, items side by side would have the same label, and every batch of the target the classes of the source.

    Args:
        source, target: items ``(input, label)``; images, texts or features, both of one kind.
        seed: of the target's order.

    Raises:
        ValueError: a domain is empty, the classes of the two differ, or their inputs have different shapes.
    """

    def __init__(self, source: Dataset, target: Dataset, seed: int = 0):
        for name, data in (("source", source), ("target", target)):
            if len(data) == 0:
                raise ValueError(f"The {name} domain is empty.")
        names = [getattr(data, "class_names", None) for data in (source, target)]
        if None not in names and names[0] != names[1]:
            raise ValueError(f"The domains have different classes: {names[0]} and {names[1]}. They must be the same.")
        shapes = [_shape(data[0][0]) for data in (source, target)]
        if shapes[0] != shapes[1]:
            raise ValueError(f"Inputs are {shapes[0]} in the source and {shapes[1]} in the target. Use one transform.")
        self.source, self.target = source, target
        self.target_order = torch.randperm(len(target), generator=generator(seed, "target order")).tolist()

    def __len__(self) -> int:
        return max(len(self.source), len(self.target))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        return self.source[index % len(self.source)], self.target[self._target_index(index)][0]

    def _target_index(self, index: int) -> int:
        return self.target_order[index % len(self.target)]

    def collect(self, indices: Sequence[int]) -> tuple[Any, Any]:
        """Return one batch of both domains, of equal size."""
        source = collect(self.source, [i % len(self.source) for i in indices])
        return source, collect(self.target, list(map(self._target_index, indices)))[0]

    def fingerprint(self) -> str:
        """Return a text that changes with either domain or their order."""
        return f"{fingerprint(self.source)} {fingerprint(self.target)} {self.target_order[:9]}"


def _shape(inputs: Any) -> tuple[int, ...] | str:
    """Return what inputs must have in common: the shape of a tensor; texts may have any length."""
    if not isinstance(inputs, (dict, torch.Tensor)):
        raise ValueError("The data has no transform. Use data.with_transform(model.card.preprocess(size)).")
    return "tokens" if isinstance(inputs, dict) else tuple(inputs.shape)


def both_features(body: nn.Module, source: Any, target: Any, joint: bool = True) -> tuple[torch.Tensor, torch.Tensor]:
    """Return features of both domains, from one pass over the two together, or from two passes.

    Args:
        source, target: tensors (N, ...) and (M, ...), or tokens: dictionaries of (N, T) and (M, T'), then padded with
            zeros to one length.
    """
    if not joint:
        return body(source), body(target)
    if isinstance(source, dict):
        together = {name: torch.cat(_equally_long(source[name], target[name])) for name in source}
        count = len(next(iter(source.values())))
    else:
        together, count = torch.cat([source, target]), len(source)
    features = body(together)
    return features[:count], features[count:]


def _equally_long(*tokens: torch.Tensor) -> list[torch.Tensor]:
    longest = max(part.shape[1] for part in tokens)
    return [F.pad(part, (0, longest - part.shape[1])) for part in tokens]


def class_loss(head: nn.Module, features: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, Metrics]:
    """Return the cross-entropy of the source, and its accuracy, from features (N, D) and labels (N,)."""
    scores = head(features)
    check_labels(labels, scores.shape[1])
    return F.cross_entropy(scores, labels), {"accuracy": float((scores.argmax(1) == labels).float().mean())}
