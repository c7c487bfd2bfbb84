"""Squared distances between points, without building their differences."""

from __future__ import annotations

import torch


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return ``|x_i - y_j|**2``, (N, M), from (N, D) and (M, D), through one matrix product.

    ``|x|**2 + |y|**2 - 2 x y`` never builds the (N, M, D) differences, which for 512 features of 1,280
    dimensions are 1.3 GB.
    """
    apart = x.pow(2).sum(1)[:, None] + y.pow(2).sum(1)[None, :] - 2 * x @ y.T
    return apart.clamp_min(0)
