"""The runs of a study of domain adaptation: one pair of domains, many ways, the same steps for each."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.data import TensorDataset

from ..evaluation.resampling import MetricLike
from ..training.loop import fit
from ..training.steps import Metrics, Step, TrainState
from .adabn import adapt_batchnorm
from .dann import Dann
from .domains import DomainModel, DomainPairs, domain_classifier
from .mmd import Alignment, mmd
from .two_sample_tests import a_distance
from .unlabelled_selection import information_maximisation, reverse_validation

Domain = Mapping[str, TensorDataset]
Found = dict[str, object]


@dataclass(frozen=True, eq=False)
class PairOfDomains:
    """A labelled source, a target whose labels only the test reads, and how networks are trained on them.

    Attributes:
        source, target: ``train``, ``validation`` and ``test``, each pairs (inputs, labels).
        make: seed -> body, inputs -> (N, D), and head, (N, D) -> (N, C), with random weights.
        width: D, for a classifier of domains.
        metric: what reverse validation judges the way back by.
    """

    source: Domain
    target: Domain
    make: Callable[[int], tuple[nn.Module, nn.Module]]
    width: int
    metric: MetricLike
    epochs: int
    batch_size: int
    lr: float

    def train(
        self,
        step: Dann | Alignment | None,
        seed: int,
        labelled: TensorDataset | None = None,
        unlabelled: TensorDataset | None = None,
    ) -> DomainModel:
        """Return a model with the weights of the last step; ``None`` as a step looks at the labelled data alone.

        Args:
            labelled, unlabelled: other data than the training items of source and target.
        """
        body, head = self.make(seed)
        model = DomainModel(body, head, domain_classifier(self.width) if isinstance(step, Dann) else None)
        labelled, unlabelled = labelled or self.source["train"], unlabelled or self.target["train"]
        given, options = (DomainPairs(labelled, unlabelled), {"step": step}) if step else (labelled, {})
        fit(model, given, epochs=self.epochs, batch_size=self.batch_size, lr=self.lr, seed=seed, progress="", **options)
        return model.eval()

    def oracle(self, seed: int) -> DomainModel:
        """Return the same network trained with the labels of the target."""
        return self.train(None, seed, self.target["train"])

    def own_statistics(self, model: DomainModel) -> DomainModel:
        """Return a copy whose BatchNorm layers have the target's statistics (AdaBN)."""
        return adapt_batchnorm(copy.deepcopy(model), self.target["train"])

    @torch.no_grad()
    def look(self, model: DomainModel) -> Found:
        """Return scores (N, C) on the target's test items, and how far the domains are apart on the test items.

        The distances are those of the features: the unbiased MMD² and the A-distance of the two domains, and the MMD²
        between items of one class, on average over the classes.
        """
        (x, of_x), (y, of_y) = (self._features(model, domain["test"]) for domain in (self.source, self.target))
        apart = [mmd(x[of_x == k], y[of_y == k], unbiased=True) for k in of_y.unique()]
        distances = {"MMD²": mmd(x, y, unbiased=True), "MMD² in a class": torch.stack(apart).mean()}
        return {"scores": model.head(y), **distances, "A-distance": a_distance(x, y)}

    def at_weights(self, step: Callable[[float], Alignment], weights: Sequence[float], seed: int) -> dict[str, Found]:
        """Train at each weight, to the target and back; return ``look`` by weight, and two scores without labels.

        ``way back`` is that of :func:`reverse_validation`, on validation items of the source; ``information`` that of
        :func:`information_maximisation`, on training items of the target.
        """
        found = {}
        for weight in weights:
            model, back = reverse_validation(
                lambda labelled, unlabelled, w=weight: self.train(step(w), seed, labelled, unlabelled),
                self.source["train"], self.target["train"], self.source["validation"], self.metric)  # fmt: skip
            with torch.no_grad():
                sure = information_maximisation(model(self.target["train"].tensors[0]))
            found[f"{weight:g}"] = {**self.look(model), "way back": back, "information": sure}
        return found

    @staticmethod
    def _features(model: DomainModel, items: TensorDataset) -> tuple[torch.Tensor, torch.Tensor]:
        inputs, labels = items.tensors
        return model.body(inputs), labels


def remembered(step: Step, batches: list) -> Step:
    """Return the same step, which also appends each batch to ``batches``, so that another loop can learn from them."""

    def remembering(model: nn.Module, batch: object, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        batches.append(batch)
        return step(model, batch, state)

    return remembering


def drawn_in_proportion(items: TensorDataset, shares: torch.Tensor, seed: int) -> TensorDataset:
    """Return as many items, drawn with replacement so that class k has about the share ``shares[k]``."""
    inputs, labels = items.tensors
    weights = (shares / labels.bincount(minlength=len(shares)))[labels]
    random = torch.Generator().manual_seed(seed)
    drawn = torch.multinomial(weights, len(labels), replacement=True, generator=random)
    return TensorDataset(inputs[drawn], labels[drawn])


def with_shares(scores: torch.Tensor, learned: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Correct class scores (..., C) of a model that learned the classes in other proportions than it will meet.

    Args:
        learned, wanted: how many items of each class, (C,). Saerens, Latinne and Decaestecker 2002.
    """
    return scores + (wanted / wanted.sum()).log() - (learned / learned.sum()).log()
