"""How far apart two samples are: MMD, CORAL, a test, and the A-distance.

Each compares two clouds of points without knowing which distribution they came from. As losses they pull
clouds together (lesson 09), as tests they say whether there is anything to pull.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch


def squared_distances(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return ``|x_i - y_j|**2``, (N, M), from (N, D) and (M, D), through one matrix product.

    ``|x|**2 + |y|**2 - 2 x y`` never builds the (N, M, D) differences, which for 512 features of 1,280
    dimensions are 1.3 GB.
    """
    apart = x.pow(2).sum(1)[:, None] + y.pow(2).sum(1)[None, :] - 2 * x @ y.T
    return apart.clamp_min(0)


def median_bandwidth(x: torch.Tensor, y: torch.Tensor) -> float:
    """Return the median of the squared distances between different points of both samples, without gradient.

    Gretton et al. 2012, section 8: a width that fits the data, whatever its dimension.
    """
    together = torch.cat([x, y]).detach()
    apart = squared_distances(together, together)
    above = torch.triu(torch.ones_like(apart, dtype=torch.bool), diagonal=1)
    return float(apart[above].median())


SCALES = (0.25, 0.5, 1.0, 2.0, 4.0)


def mmd(
    x: torch.Tensor,
    y: torch.Tensor,
    bandwidth: float | None = None,
    scales: Sequence[float] = SCALES,
    unbiased: bool = False,
) -> torch.Tensor:
    """Return the squared maximum mean discrepancy of two samples: how far apart their distributions are.

    The kernel is the mean of Gaussians ``exp(-|x - y|**2 / (s * bandwidth))`` over ``scales`` s.

    Args:
        x, y: (N, D) and (M, D); they need not be equally large.
        bandwidth: ``None`` takes :func:`median_bandwidth` of these two samples.
        unbiased: leave out the distance of each point to itself (Gretton et al. 2012, equation 3); the estimate
            then may be negative. Otherwise the biased one (equation 5), which may not, and is used as a loss.

    Raises:
        ValueError: fewer than two points, other dimensions, values that are not numbers, or all points alike.
    """
    _check_samples(x, y)
    bandwidth = median_bandwidth(x, y) if bandwidth is None else bandwidth
    if not bandwidth > 0:
        raise ValueError(
            "The bandwidth must be larger than 0. Are all features the same? Then there is nothing to align."
        )
    within_x, within_y, across = (_kernel(a, b, bandwidth, scales) for a, b in ((x, x), (y, y), (x, y)))
    if unbiased:
        return _mean_off_diagonal(within_x) + _mean_off_diagonal(within_y) - 2 * across.mean()
    return within_x.mean() + within_y.mean() - 2 * across.mean()


def _kernel(x: torch.Tensor, y: torch.Tensor, bandwidth: float, scales: Sequence[float]) -> torch.Tensor:
    apart = squared_distances(x, y)
    return sum(torch.exp(-apart / (scale * bandwidth)) for scale in scales) / len(scales)


def mean_kernel(points: torch.Tensor, sample: torch.Tensor, bandwidth: float, scales: Sequence[float] = SCALES):
    """Return for each of ``points`` (N, D) its mean kernel with ``sample`` (M, D), (N,): how dense the sample is there.

    The difference of two of these is the *witness function*; MMD is its length (Gretton et al. 2012, section 2.3).
    """
    return _kernel(points, sample, bandwidth, scales).mean(1)


def _mean_off_diagonal(kernel: torch.Tensor) -> torch.Tensor:
    count = len(kernel)
    return (kernel.sum() - kernel.diagonal().sum()) / (count * (count - 1))


def coral(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the squared distance of the two covariance matrices, divided by ``4 D**2``.

    Args:
        x, y: (N, D) and (M, D).

    Sun and Saenko 2016, "Deep CORAL", equations 1 to 3. It is an MMD whose kernel looks at second moments only.

    Raises:
        ValueError: as :func:`mmd`; a batch of one has no covariance.
    """
    _check_samples(x, y)
    return (torch.cov(x.T) - torch.cov(y.T)).pow(2).sum() / (4 * x.shape[1] ** 2)


def _check_samples(x: torch.Tensor, y: torch.Tensor) -> None:
    if x.ndim != 2 or y.ndim != 2 or x.shape[1] != y.shape[1]:
        raise ValueError(f"Features must be (N, D) and (M, D) with one D; they are {tuple(x.shape)}, {tuple(y.shape)}.")
    if min(len(x), len(y)) < 2:
        raise ValueError("A domain has one example in this batch: one point has no spread. Use larger batches.")
    if not (torch.isfinite(x).all() and torch.isfinite(y).all()):
        raise ValueError("Some features are NaN or infinite: training diverged. Lower the learning rate.")


def permutation_test(x: torch.Tensor, y: torch.Tensor, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Return the unbiased MMD of two samples, and how often a random division of all points has one as large.

    Were both samples from one distribution, each division would be as good as the real one (Gretton et al. 2012,
    section 8). The kernel matrix is computed once and its rows are shuffled.

    Returns:
        The estimate, and the p-value, at least ``1 / (permutations + 1)``.
    """
    _check_samples(x, y)
    together, count = torch.cat([x, y]), len(x)
    kernel = _kernel(together, together, median_bandwidth(x, y), SCALES)
    random = torch.Generator().manual_seed(seed)
    shuffled = [torch.randperm(len(together), generator=random) for _ in range(permutations)]
    values = []
    for order in [torch.arange(len(together)), *shuffled]:
        a, b = order[:count], order[count:]
        across = kernel[a][:, b].mean()
        values.append(float(_mean_off_diagonal(kernel[a][:, a]) + _mean_off_diagonal(kernel[b][:, b]) - 2 * across))
    larger = sum(value >= values[0] for value in values[1:])
    return values[0], (larger + 1) / (permutations + 1)


def a_distance(x: torch.Tensor, y: torch.Tensor, *, folds: int = 5, seed: int = 0) -> float:
    """Return the proxy A-distance ``2 (1 - 2 error)`` of two samples: 0 cannot be told apart, 2 always can.

    The error is that of a logistic regression that tells the two apart, cross-validated, on standardised features,
    both classes weighted equally. Ben-David et al. 2010, section 3; Ganin et al. 2016, section 5.1.5.

    Raises:
        ValueError: as :func:`mmd`.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    _check_samples(x, y)
    points = torch.cat([x, y]).detach().cpu().numpy()
    domain = [0] * len(x) + [1] * len(y)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced"))
    splits = StratifiedKFold(min(folds, len(x), len(y)), shuffle=True, random_state=seed)
    told_apart = cross_val_score(model, points, domain, cv=splits, scoring="balanced_accuracy").mean()
    return float(max(0.0, 2 * (1 - 2 * (1 - told_apart))))
