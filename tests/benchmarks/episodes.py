"""How long an episode takes, drawn and scored: ours, and that of easyfsl where it is installed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn
from torch.utils.data import DataLoader

from .fewshot import by_prototype, episode_accuracies

WAYS, SHOTS, QUERIES = 5, 5, 10


@contextmanager
def one_thread() -> Iterator[None]:
    """Let PyTorch use one thread: with tensors this small, waking a second one costs more than the work itself."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@one_thread()
def our_milliseconds(embeddings: torch.Tensor, labels: torch.Tensor, episodes: int) -> float:
    """Return the mean time of an episode of stored embeddings (N, D): draw, look up, prototypes, scores."""
    began = time.perf_counter()
    episode_accuracies(by_prototype, embeddings, labels, ways=WAYS, shots=SHOTS, queries=QUERIES, episodes=episodes)
    return 1000 * (time.perf_counter() - began) / episodes


@one_thread()
@torch.no_grad()
def easyfsl_milliseconds(embeddings: torch.Tensor, labels: torch.Tensor, episodes: int) -> float:
    """Return the same for easyfsl's ``TaskSampler`` and ``PrototypicalNetworks``, used as its notebooks do.

    Raises:
        ModuleNotFoundError: easyfsl is not installed.
    """
    from easyfsl.datasets import FeaturesDataset
    from easyfsl.methods import PrototypicalNetworks
    from easyfsl.samplers import TaskSampler

    class Tasks(TaskSampler):
        """Built without ``__init__``, which hands PyTorch's sampler an argument that it has no more."""

        def __init__(self):
            self.n_way, self.n_shot, self.n_query, self.n_tasks = WAYS, SHOTS, QUERIES, episodes
            self.items_per_label = {}
            for item, label in enumerate(labels.tolist()):
                self.items_per_label.setdefault(label, []).append(item)

    began = time.perf_counter()
    tasks, model = Tasks(), PrototypicalNetworks(nn.Identity())
    stored = FeaturesDataset(labels.tolist(), embeddings, [str(k) for k in range(int(labels.max()) + 1)])
    for support, targets, queries, truth, _ in DataLoader(
        stored, batch_sampler=tasks, collate_fn=tasks.episodic_collate_fn
    ):
        model.process_support_set(support, targets)
        (model(queries).argmax(1) == truth).double().mean()
    return 1000 * (time.perf_counter() - began) / episodes
