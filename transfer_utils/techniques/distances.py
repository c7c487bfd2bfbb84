"""Squared distances between points, without building their differences."""

from __future__ import annotations

import torch


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return ``|x_i - y_j|**2``, (N, M), from (N, D) and (M, D), through one matrix product.

    ``|x|**2 + |y|**2 - 2 x y`` never builds the (N, M, D) differences, which for 512 features of 1,280
    dimensions are 1.3 GB. It is a small difference of large numbers, which half precision would round away: so it is
    computed, and returned, in float32 at least, under autocast too. Where ``y`` is the very tensor ``x``, the diagonal
    is exactly 0, and has no gradient: rounding would leave a little distance of a point to itself.

    Example:
        >>> squared_distances(torch.tensor([[0.0, 0.0]]), torch.tensor([[3.0, 4.0]]))
        tensor([[25.]])
    """
    dtype = torch.promote_types(torch.promote_types(x.dtype, y.dtype), torch.float32)
    same = x is y
    with torch.autocast(x.device.type, enabled=False):
        x, y = x.to(dtype), y.to(dtype)
        distances = (x.pow(2).sum(1)[:, None] + y.pow(2).sum(1)[None, :] - 2 * x @ y.T).clamp_min(0)
    if not same:
        return distances
    return distances.masked_fill(torch.eye(len(x), dtype=torch.bool, device=x.device), 0)
