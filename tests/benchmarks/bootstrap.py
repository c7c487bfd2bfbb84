"""How long it takes to bootstrap a metric of several runs: scikit-learn in a loop against ours by weights, in turns.

.venv/bin/python tests/benchmarks/bootstrap.py
"""

import statistics
import time

import torch
from sklearn import metrics as sk

from transfer_utils.evaluation.metrics import Metric, accuracy, auc, average_precision, balanced_accuracy, recall
from transfer_utils.evaluation.resampling import bootstrap_weights

ITEMS, RUNS, SAMPLES, ROUNDS = 525, 10, 40, 5  # ours is timed on the same few resamples as the loop
THEIRS = {
    accuracy: lambda truth, guess, gap, weights: sk.accuracy_score(truth, guess, sample_weight=weights),
    balanced_accuracy: lambda truth, guess, gap, weights: sk.balanced_accuracy_score(
        truth, guess, sample_weight=weights
    ),
    recall: lambda truth, guess, gap, weights: sk.recall_score(truth, guess, sample_weight=weights),
    auc: lambda truth, guess, gap, weights: sk.roc_auc_score(truth, gap, sample_weight=weights),
    average_precision: lambda truth, guess, gap, weights: sk.average_precision_score(truth, gap, sample_weight=weights),
}


def problem() -> tuple[torch.Tensor, torch.Tensor]:
    """Return scores (S, N, 2) and labels (N,)."""
    generator = torch.Generator().manual_seed(0)
    labels = (torch.rand(ITEMS, generator=generator) < 0.4).long()
    return torch.randn(RUNS, ITEMS, 2, generator=generator) + torch.nn.functional.one_hot(labels, 2), labels


def ours(metric: Metric, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the metric of each resample and run, (B, S)."""
    return metric(scores, labels, weights)


def theirs(metric: Metric, scores: torch.Tensor, labels: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Return the same, one call of scikit-learn for each."""
    gaps, guesses, truth = (scores[..., 1] - scores[..., 0]).numpy(), scores.argmax(-1).numpy(), labels.numpy()
    pairs = list(zip(guesses, gaps, strict=True))
    return torch.tensor([[THEIRS[metric](truth, *pair, row) for pair in pairs] for row in weights.numpy()])


def timed(run, *given: object) -> tuple[float, torch.Tensor]:
    """Return seconds, and what came out."""
    began = time.perf_counter()
    found = run(*given)
    return time.perf_counter() - began, found


def main() -> None:
    """Print for each metric the median time of a resample of all runs, and the median and range of the ratio."""
    torch.set_num_threads(1)
    scores, labels = problem()
    print(f"{ITEMS} items, {RUNS} runs, {SAMPLES} resamples, one thread; median of {ROUNDS} rounds (range)")
    for metric in THEIRS:
        weights = torch.cat(list(bootstrap_weights(labels, SAMPLES, within_classes=metric.within_classes)))
        given, rounds = (metric, scores, labels, weights), []
        for _ in range(ROUNDS):
            (quick, found), (slow, expected) = timed(ours, *given), timed(theirs, *given)
            torch.testing.assert_close(found, expected.to(found.dtype))
            rounds.append((quick, slow))
        quick, slow = (1000 * statistics.median(column) / SAMPLES for column in zip(*rounds, strict=True))
        ratios = [slow / quick for quick, slow in rounds]
        print(
            f"{metric.name:18} ours {quick:7.3f} ms, scikit-learn {slow:7.2f} ms a resample: "
            f"{statistics.median(ratios):5.0f} times as long ({min(ratios):.0f} to {max(ratios):.0f})"
        )


if __name__ == "__main__":
    main()
