"""Are two samples from one distribution? A permutation test, and the A-distance."""

from __future__ import annotations

import torch

from .mmd import SCALES, check_samples, gaussian_kernel, mean_off_diagonal, median_bandwidth


def permutation_test(x: torch.Tensor, y: torch.Tensor, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Return the unbiased MMD of two samples, and how often a random division of all points has one as large.

    Were both samples from one distribution, each division would be as good as the real one (Gretton et al. 2012,
    section 8). The kernel matrix is computed once and its rows are shuffled.

    Returns:
        The estimate, and the p-value, at least ``1 / (permutations + 1)``.
    """
    check_samples(x, y)
    together, count = torch.cat([x, y]), len(x)
    kernel = gaussian_kernel(together, together, median_bandwidth(x, y), SCALES)
    random = torch.Generator().manual_seed(seed)
    shuffled = [torch.randperm(len(together), generator=random) for _ in range(permutations)]
    values = []
    for order in [torch.arange(len(together)), *shuffled]:
        a, b = order[:count], order[count:]
        across = kernel[a][:, b].mean()
        values.append(float(mean_off_diagonal(kernel[a][:, a]) + mean_off_diagonal(kernel[b][:, b]) - 2 * across))
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

    check_samples(x, y)
    points = torch.cat([x, y]).detach().cpu().numpy()
    domain = [0] * len(x) + [1] * len(y)
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=1000, class_weight="balanced"))
    splits = StratifiedKFold(min(folds, len(x), len(y)), shuffle=True, random_state=seed)
    found = cross_val_score(model, points, domain, cv=splits, scoring="balanced_accuracy").mean()
    return float(max(0.0, 2 * (1 - 2 * (1 - found))))
