"""Episodes: small tasks of a few classes and a few examples each, drawn from labelled data, to test and to train on.

An *episode* is a small task: N classes (ways), K examples of each that may be looked at (shots, together the
*support*), and others of the same classes to be named (the *queries*). Vinyals et al. 2016, section 2.2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset, TensorDataset

from ..data.batching import Batched, collect
from ..data.fingerprints import fingerprint
from ..runtime.seeding import generator
from ..training.steps import Metrics, TrainState

Classifier = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Episode(NamedTuple):
    """Which items take part in an episode of N ways, K shots and Q queries a class.

    Attributes:
        support: (N * K,) indices of items, class after class.
        queries: (N * Q,) indices of others of the same classes, class after class.
        support_labels, query_labels: 0 to N-1, the index in ``classes``.
        classes: (N,) the labels in the data.
    """

    support: torch.Tensor
    queries: torch.Tensor
    support_labels: torch.Tensor
    query_labels: torch.Tensor
    classes: torch.Tensor


class EpisodeSampler:
    """Episodes of labelled data: number ``i`` depends on the seed and ``i`` only.

    Args:
        labels: (N,), any integers in any order.
        ways, shots, queries: classes, examples and questions a class.

    Raises:
        ValueError: there are fewer than ``ways`` classes, or a class has fewer than ``shots + queries`` items,
            or the labels are not integers.
    """

    def __init__(self, labels: torch.Tensor | Sequence[int], ways: int, shots: int, queries: int, seed: int = 0):
        if min(ways, shots, queries) < 1 or ways < 2:
            raise ValueError(f"An episode needs 2 ways, 1 shot and 1 query or more, not {ways}, {shots}, {queries}.")
        labels = whole_numbers(labels)
        self.classes, class_index, counts = labels.unique(return_inverse=True, return_counts=True)
        if len(self.classes) < ways:
            raise ValueError(f"{ways} ways need {ways} classes; the data has {len(self.classes)}.")
        if int(counts.min()) < shots + queries:
            scarce = self.classes[counts.argmin()].item()
            raise ValueError(
                f"{shots} shots and {queries} queries need {shots + queries} examples of each class; class "
                f"{scarce} has {int(counts.min())}. Ask for fewer, or leave the class out."
            )
        self.ways, self.shots, self.queries, self.seed = ways, shots, queries, seed
        by_class = class_index.argsort(stable=True).split(counts.tolist())
        self.items = pad_sequence(by_class, batch_first=True, padding_value=-1)  # a row a class, -1 where it ends
        self.targets = torch.arange(ways)

    def __call__(self, number: int) -> Episode:
        """Return episode ``number``."""
        random = generator(self.seed, "episode", number)
        chosen = torch.randperm(len(self.classes), generator=random)[: self.ways]
        rows = self.items[chosen]
        order = torch.rand(rows.shape, generator=random).masked_fill_(rows < 0, -1.0)
        drawn = rows.gather(1, order.topk(self.shots + self.queries, dim=1).indices)
        return Episode(
            drawn[:, : self.shots].flatten(),
            drawn[:, self.shots :].flatten(),
            self.targets.repeat_interleave(self.shots),
            self.targets.repeat_interleave(self.queries),
            self.classes[chosen],
        )


def whole_numbers(labels: Any) -> torch.Tensor:
    """Return labels as an int64 tensor (N,).

    Raises:
        ValueError: they are strings or fractions, or there are none.
    """
    try:
        given = torch.as_tensor(labels)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(
            "Labels must be integers, not strings. names = sorted(set(labels)) and "
            "[names.index(label) for label in labels] number them."
        ) from error
    if given.ndim != 1 or len(given) == 0 or given.is_floating_point() or given.is_complex():
        raise ValueError(f"Labels must be integers (N,), N > 0; they are {given.dtype} {tuple(given.shape)}.")
    return given.long().cpu()


class Episodes(Dataset, Batched):
    """``count`` episodes to train on; a batch is ``(support, support_labels, queries, query_labels)``.

    Give ``fit`` a batch size of 1: one step, one episode.

    Args:
        data: items ``(input, label)``: a ``Labelled`` data set with a transform, or a ``TensorDataset``.
        ways, shots, queries, seed: as in :class:`EpisodeSampler`, which raises ``ValueError``.
    """

    def __init__(self, data: Dataset, ways: int, shots: int, queries: int, count: int, seed: int = 0):
        labels = data.tensors[-1] if isinstance(data, TensorDataset) else data.labels
        self.data, self.count = data, count
        self.sampler = EpisodeSampler(labels, ways, shots, queries, seed)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, number: int) -> tuple[torch.Tensor, ...]:
        episode = self.sampler(number)
        support, _ = collect(self.data, episode.support.tolist())
        queries, _ = collect(self.data, episode.queries.tolist())
        return support, episode.support_labels, queries, episode.query_labels

    def fingerprint(self) -> str:
        """Return a text that changes with the data, the seed and the shape of an episode."""
        s = self.sampler
        return f"{fingerprint(self.data)} {s.ways} {s.shots} {s.queries} {s.seed}"

    def collect(self, numbers: list[int]) -> tuple[torch.Tensor, ...]:
        """Return the one episode of a batch."""
        if len(numbers) != 1:
            raise ValueError(f"A step learns from one episode, not {len(numbers)}: call fit(..., batch_size=1).")
        return self[numbers[0]]


@dataclass(frozen=True)
class EpisodeStep:
    """A step for ``fit``: embed support and queries in one pass, classify the queries, cross-entropy.

    Attributes:
        classify: for example ``prototypes.by_prototype``, which gives the loss of Snell et al. 2017, algorithm 1.
    """

    classify: Classifier

    def __call__(self, model: nn.Module, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        """Return the mean loss over the queries of an episode, and their accuracy."""
        support, support_labels, queries, query_labels = batch
        embedded = model(torch.cat([support, queries]))
        scores = self.classify(embedded[: len(support)], support_labels, embedded[len(support) :])
        loss = F.cross_entropy(scores, query_labels)
        return loss, {"accuracy": float((scores.argmax(1) == query_labels).float().mean())}
