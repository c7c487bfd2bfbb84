"""Small networks: shapes and sizes counted by hand, and a start that the seed decides."""

import pytest
import torch

from transfer_utils import layer_groups
from transfer_utils.models.small_networks import conv4, photo_cnn, small_cnn


@pytest.mark.parametrize(
    ("network", "image", "outputs", "parameters"),
    [
        (lambda: small_cnn(2), (3, 64, 64), 2, 97_938),
        (lambda: small_cnn(5, width=4), (3, 64, 64), 5, 6_441),
        (lambda: photo_cnn(), (3, 28, 28), 512, 14_144),
        (lambda: conv4(), (1, 28, 28), 32, 28_192),
        (lambda: conv4(channels=3, width=64), (3, 28, 28), 64, 112_832),
    ],
)
def test_shapes_and_parameters_are_those_counted_by_hand(network, image, outputs, parameters):
    model = network()
    assert model(torch.randn(2, *image)).shape == (2, outputs)
    assert sum(p.numel() for p in model.parameters()) == parameters


@pytest.mark.parametrize(
    "make",
    [lambda seed: small_cnn(2, 4, seed=seed), lambda seed: conv4(seed=seed), lambda seed: photo_cnn(seed=seed)],
)
def test_the_seed_decides_the_start(make):
    first, again, other = (torch.cat([p.flatten() for p in make(seed).parameters()]) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_student_has_groups_from_the_stem_to_the_head():
    assert [group.name for group in layer_groups(small_cnn(2))] == ["stem", "stage 1", "stage 2", "stage 3", "head"]
