"""How far two samples are from each other: MMD and CORAL, and the step that aligns two domains by them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from ..training.steps import Metrics, TrainState
from .distances import squared_distances
from .domains import DomainModel, both_features, class_loss

Distance = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def median_bandwidth(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the median of the squared distances between different points of both samples, without gradient.

    A width that fits the data, whatever its dimension. It is h in ``exp(-|x - y|**2 / h)``. Gretton et al. 2012,
    section 8, take the median distance for sigma in ``exp(-|x - y|**2 / (2 sigma**2))``: twice as large an h.
    """
    together = torch.cat([x, y]).detach()
    distances = squared_distances(together, together)
    above = torch.triu(torch.ones_like(distances, dtype=torch.bool), diagonal=1)
    return float(distances[above].median())


SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def mmd(
    x: torch.Tensor,
    y: torch.Tensor,
    bandwidth: float | None = None,
    scales: Sequence[float] = SCALES,
    unbiased: bool = False,
) -> torch.Tensor:
    """Return the squared maximum mean discrepancy of two samples: how far apart their distributions are.

    The kernel is the mean of Gaussians ``exp(-|x - y|**2 / (s * bandwidth))`` over ``scales`` s. The distance of a
    point to itself is exactly 0, so a kernel that is too narrow gives exactly ``1 / N + 1 / M``, or 0 if unbiased.

    Args:
        x, y: (N, D) and (M, D); they need not be equally large.
        bandwidth: ``None`` takes :func:`median_bandwidth` of these two samples.
        unbiased: leave out the distance of each point to itself (Gretton et al. 2012, equation 3); the estimate
            then may be negative. Otherwise the biased one (equation 5), which may not, and is used as a loss.

    Raises:
        ValueError: fewer than two points, other dimensions, values that are not numbers, or all points equal.
    """
    check_samples(x, y)
    bandwidth = median_bandwidth(x, y) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise ValueError(
            "The bandwidth must be larger than 0. Are all features the same? Then there is nothing to align."
        )
    within_x, within_y, across = (gaussian_kernel(a, b, bandwidth, scales) for a, b in ((x, x), (y, y), (x, y)))
    if unbiased:
        return mean_off_diagonal(within_x) + mean_off_diagonal(within_y) - 2 * across.mean()
    return within_x.mean() + within_y.mean() - 2 * across.mean()


def gaussian_kernel(x: torch.Tensor, y: torch.Tensor, bandwidth: float, scales: Sequence[float]) -> torch.Tensor:
    """Return the mean of Gaussian kernels between all points of ``x`` (N, D) and ``y`` (M, D), (N, M)."""
    distances = squared_distances(x, y)
    return sum(torch.exp(-distances / (scale * bandwidth)) for scale in scales) / len(scales)


def mean_kernel(
    points: torch.Tensor, sample: torch.Tensor, bandwidth: float, scales: Sequence[float] = SCALES
) -> torch.Tensor:
    """Return for each of ``points`` (N, D) its mean kernel with ``sample`` (M, D), (N,): how dense the sample is there.

    The difference of two of these is the *witness function*; MMD is its length (Gretton et al. 2012, section 2.3).
    """
    return gaussian_kernel(points, sample, bandwidth, scales).mean(1)


def mean_off_diagonal(kernel: torch.Tensor) -> torch.Tensor:
    """Return the mean of a square kernel matrix (N, N) without its diagonal."""
    count = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def coral(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of the two covariance matrices, divided by ``4 D**2``.

    Args:
        x, y: (N, D) and (M, D).

    Sun and Saenko 2016, "Deep CORAL", equations 1 to 3. Covariances are centred: what differs in the means alone is not
    seen (:func:`polynomial_mmd` sees it).

    Raises:
        ValueError: as :func:`mmd`; a batch of one has no covariance.
    """
    check_samples(x, y)
    return (torch.cov(x.T) - torch.cov(y.T)).pow(2).sum() / (4 * x.shape[1] ** 2)


def polynomial_mmd(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared MMD, biased, with the kernel ``(1 + x.y / D)**2``: means and second moments, nothing else.

    The kernel is an inner product of the features ``sqrt(2 / D) x_i`` and ``x_i x_j / D``, so no kernel matrix is
    needed: ``2 |m_x - m_y|**2 / D + |M_x - M_y|**2 / D**2`` with means m and uncentred second moments M. It is "CORAL
    with means" up to what the means add to M.

    Args:
        x, y: (N, D) and (M, D).

    Raises:
        ValueError: as :func:`mmd`.
    """
    check_samples(x, y)
    means = (x.mean(0) - y.mean(0)).pow(2).sum()
    moments = (x.T @ x / len(x) - y.T @ y / len(y)).pow(2).sum()
    return 2 * means / x.shape[1] + moments / x.shape[1] ** 2


def check_samples(x: torch.Tensor, y: torch.Tensor) -> None:
    """Raise ``ValueError`` unless both are samples of two finite points or more, of one dimension."""
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"Features must be (N, D) and (M, D) with one D; they are {tuple(x.shape)}, {tuple(y.shape)}.")
    if min(len(x), len(y)) < 2:
        raise ValueError("A domain has one example in this batch: one point has no spread. Use larger batches.")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise ValueError("Some features are NaN or infinite: training diverged. Lower the learning rate.")


@dataclass(frozen=True)
class Alignment:
    """A step for ``fit``: classes on the source, plus ``weight`` times a distance of the two feature clouds.

    Attributes:
        distance: ``(source features, target features) -> number``, e.g. :func:`mmd` or :func:`coral`.
        joint: as in :class:`Dann`.
    """

    distance: Distance
    weight: float = 1.0
    joint: bool = True

    def __call__(self, model: DomainModel, batch: Any, state: TrainState) -> tuple[torch.Tensor, Metrics]:
        """Return the loss, and the distance."""
        (inputs, labels), target = batch
        source_features, target_features = both_features(model.body, inputs, target, self.joint)
        loss, metrics = class_loss(model.head, source_features, labels)
        distance = self.distance(source_features, target_features)
        return loss + self.weight * distance, {**metrics, "distance": distance.item()}
