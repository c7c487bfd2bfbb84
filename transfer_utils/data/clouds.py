"""Clouds of points in a plane, to see what a two-sample test sees."""

from __future__ import annotations

import torch

from ..runtime.seeding import generator


def cloud_pairs(count: int = 300, seed: int = 0) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """Return three pairs of clouds (count, 2): the same distribution, one moved, and one of another shape.

    Both clouds of the last pair are shifted and stretched until their mean is 0 and their covariance the identity.
    """
    normal = {name: torch.randn(count, 2, generator=generator(seed, "cloud", name)) for name in "abcdef"}
    corners = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]]).repeat(count, 1)[:count]
    return {
        "the same": (normal["a"], normal["b"]),
        "moved": (normal["c"], normal["d"] + torch.tensor([0.5, 0.0])),
        "another shape": (_whitened(normal["e"]), _whitened(corners + 0.35 * normal["f"])),
    }


def _whitened(points: torch.Tensor) -> torch.Tensor:
    centred = points - points.mean(0)
    return centred @ torch.linalg.inv(torch.linalg.cholesky(torch.cov(centred.T))).T
