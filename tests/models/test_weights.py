"""The digest of weights: equal for equal numbers, different for any difference."""

import pytest
import torch
from torch import nn

from transfer_utils.models.weights import weights_digest

START = {"weight": torch.arange(6.0).view(2, 3), "steps": torch.tensor(3), "empty": torch.empty(0)}


def changed(**tensors):
    return weights_digest((START | tensors).items())


@pytest.mark.parametrize(
    "other",
    [
        {"weight": torch.arange(6.0).view(3, 2)},
        {"weight": torch.arange(6).view(2, 3)},
        {"weight": torch.arange(6.0).view(2, 3) + torch.eye(2, 3) * 1e-6},
        {"steps": torch.tensor(4)},
        {"steps": torch.tensor([3])},
        {"more": torch.zeros(1)},
    ],
    ids=["shape", "type", "one number", "0-d", "0-d or (1,)", "one more"],
)
def test_any_difference_changes_the_digest(other):
    assert changed(**other) != changed()


def test_names_and_their_order_count():
    a, b = torch.zeros(2), torch.ones(2)
    digests = {weights_digest(pairs) for pairs in ([("a", a), ("b", b)], [("b", b), ("a", a)], [("a", b), ("b", a)])}
    assert len(digests) == 3


def test_memory_layout_and_gradient_do_not_count():
    transposed = torch.arange(6.0).view(2, 3).T.contiguous().T
    assert not transposed.is_contiguous()
    assert changed(weight=transposed) == changed(weight=nn.Parameter(START["weight"])) == changed()
    images = torch.randn(2, 3, 4, 4)
    assert changed(weight=images) == changed(weight=images.to(memory_format=torch.channels_last))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64, torch.bool, torch.complex64])
def test_every_type_can_be_hashed(dtype):
    tensor = torch.tensor([[0, 1], [1, 0]]).to(dtype)
    assert changed(weight=tensor) == changed(weight=tensor.clone()) != changed(weight=tensor.flip(0))
