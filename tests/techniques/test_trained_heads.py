"""Heads trained on stored features: as many epochs and steps as they are told, the same again by the seed."""

import torch
from tiny import tiny_table

from transfer_utils import linear_head
from transfer_utils.runtime.profile import get_profile
from transfer_utils.techniques.features import Features, FeatureSplits
from transfer_utils.techniques.linear_probe import train_head


def stored():
    """Return three splits of features (40, 4) that a linear layer can learn."""
    return FeatureSplits(*(Features(*tiny_table(40, seed=seed).tensors, ("one", "two")) for seed in range(3)))


def test_a_head_trains_for_the_epochs_and_batches_it_is_told():
    head, result = train_head(stored(), linear_head, epochs=3, batch_size=8, lr=0.05)
    assert (len(result.history), result.steps) == (3, 3 * 5)
    assert result.best["validation_accuracy"] > 0.8
    assert (head.in_features, head.out_features) == (4, 2)


def test_the_batch_of_a_head_is_the_profiles_where_nothing_is_said():
    _, result = train_head(stored(), linear_head, epochs=1)
    assert result.steps == -(-40 // get_profile().head_batch_size)


def test_a_head_is_repeated_by_its_seed():
    first, again, other = (train_head(stored(), linear_head, epochs=1, seed=seed)[0].weight for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
