"""How long a few-shot episode takes, drawn and scored on stored embeddings: ours against easyfsl's, in turns.

.venv/bin/python tests/benchmarks/episodes.py
"""

import statistics
import time

import torch
from easyfsl.datasets import FeaturesDataset
from easyfsl.methods import PrototypicalNetworks
from easyfsl.samplers import TaskSampler
from torch import nn
from torch.utils.data import DataLoader

from transfer_utils.techniques.prototypes import by_prototype, episode_accuracies

WAYS, SHOTS, QUERIES, EPISODES, ROUNDS = 5, 5, 10, 60, 7


class Tasks(TaskSampler):
    """Built without ``__init__``, which hands PyTorch's sampler an argument that it has no more."""

    def __init__(self, labels: torch.Tensor):
        self.n_way, self.n_shot, self.n_query, self.n_tasks = WAYS, SHOTS, QUERIES, EPISODES
        self.items_per_label = {}
        for item, label in enumerate(labels.tolist()):
            self.items_per_label.setdefault(label, []).append(item)


def ours(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the mean accuracy over the episodes."""
    options = {"ways": WAYS, "shots": SHOTS, "queries": QUERIES, "episodes": EPISODES}
    return episode_accuracies(by_prototype, embeddings, labels, **options).mean()


@torch.no_grad()
def theirs(embeddings: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Return the same with easyfsl's ``TaskSampler`` and ``PrototypicalNetworks``, used as in its notebooks."""
    tasks, model, found = Tasks(labels), PrototypicalNetworks(nn.Identity()), []
    stored = FeaturesDataset(labels.tolist(), embeddings, [str(k) for k in range(int(labels.max()) + 1)])
    loader = DataLoader(stored, batch_sampler=tasks, collate_fn=tasks.episodic_collate_fn)
    for support, targets, queries, truth, _ in loader:
        model.process_support_set(support, targets)
        found.append((model(queries).argmax(1) == truth).double().mean())
    return torch.stack(found).mean()


def milliseconds(run, *stored: torch.Tensor) -> float:
    """Return the time of an episode."""
    began = time.perf_counter()
    run(*stored)
    return 1000 * (time.perf_counter() - began) / EPISODES


def main() -> None:
    """Print the median time of each, and the median and range of the ratio over the rounds."""
    torch.set_num_threads(1)  # with tensors this small, waking a second thread costs more than the work
    labels = torch.arange(20).repeat_interleave(20)
    stored = (
        torch.randn(400, 32, generator=torch.Generator().manual_seed(0)) + nn.functional.one_hot(labels, 32),
        labels,
    )
    print(f"accuracy: ours {ours(*stored):.3f}, easyfsl {theirs(*stored):.3f} (other episodes); both warmed up")
    rounds = [(milliseconds(ours, *stored), milliseconds(theirs, *stored)) for _ in range(ROUNDS)]
    ratios = [theirs / ours for ours, theirs in rounds]
    ours_ms, theirs_ms = (statistics.median(column) for column in zip(*rounds, strict=True))
    print(f"an episode: ours {ours_ms:.2f} ms, easyfsl {theirs_ms:.2f} ms")
    print(f"easyfsl takes {statistics.median(ratios):.2f} times as long ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
