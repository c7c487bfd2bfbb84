"""Triplets: an anchor, another image of the same class, and one of another class.

The neighbour idea of prototypes, from face recognition: no classes in the loss, only *nearer* and *farther*.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .distances import squared_distances


def triplet_loss(embeddings: torch.Tensor, labels: torch.Tensor, margin: float = 0.2) -> torch.Tensor:
    """Return the mean of ``|a - p|**2 - |a - n|**2 + margin`` over the triplets of a batch where it is above 0.

    Every triplet of the batch counts: anchor a and positive p of one class, negative n of another. Embeddings are
    brought to length 1 first. Schroff et al. 2015, "FaceNet", equations 1 and 3.

    Args:
        embeddings: (N, D).
        labels: (N,), any integers.

    Returns:
        A scalar; 0, with a gradient of 0, where every triplet keeps the margin.

    Raises:
        ValueError: the batch has no triplet: one class only, or no class twice.
    """
    same = labels[:, None] == labels[None, :]
    positive = same & ~torch.eye(len(labels), dtype=torch.bool, device=labels.device)
    if not positive.any() or same.all():
        raise ValueError("A triplet needs two items of one class and one of another; this batch has none.")
    unit = F.normalize(embeddings, dim=1)
    distances = squared_distances(unit, unit)
    excess = distances[:, :, None] - distances[:, None, :] + margin  # (anchor, positive, negative)
    counted = excess[positive[:, :, None] & ~same[:, None, :]].clamp_min(0)
    return counted.sum() / (counted > 0).sum().clamp_min(1)
