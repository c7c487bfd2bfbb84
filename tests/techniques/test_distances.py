"""Squared distances: equal to the broadcast form, in full precision even where the network computes in half."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from transfer_utils.techniques.distances import squared_distances


def points(count, width, seed=0, dtype=torch.float64):
    return torch.randn(count, width, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def broadcast(x, y):
    """Return the differences squared and added up, which needs (N, M, D) numbers."""
    return (x[:, None].double() - y[None].double()).pow(2).sum(2)


@settings(max_examples=20)
@given(count=st.integers(2, 10), other=st.integers(2, 10), width=st.integers(1, 6), seed=st.integers(0, 99))
def test_they_equal_the_broadcast_form(count, other, width, seed):
    x, y = points(count, width, seed), points(other, width, seed + 100)
    torch.testing.assert_close(squared_distances(x, y), broadcast(x, y))


def test_mixed_precision_does_not_round_them():
    """Points far from 0 and near each other: the difference of large numbers, of which bfloat16 keeps three digits."""
    x = points(30, 64, dtype=torch.float32) + 3
    exact = broadcast(x, x)
    with torch.autocast("cpu", torch.bfloat16):
        found = squared_distances(x, x)
    assert found.dtype == torch.float32
    assert (found - exact).abs().max() < 1e-4 * exact.median()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_features_are_compared_in_float32(dtype):
    x = (points(30, 64) + 3).to(dtype).requires_grad_()
    found = squared_distances(x, x.detach())
    assert found.dtype == torch.float32
    assert (found - broadcast(x, x)).abs().max() < 1e-4 * found.median()
    found.sum().backward()
    assert x.grad.dtype == dtype


def test_a_point_is_not_a_negative_distance_from_itself():
    x = points(50, 300, dtype=torch.float32) + 100
    assert squared_distances(x, x).min() >= 0
