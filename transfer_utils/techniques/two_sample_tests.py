"""Are two samples from one distribution? A permutation test, and the A-distance."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from .mmd import SCALES, Distance, check_samples, gaussian_kernel, mean_off_diagonal, median_bandwidth


def permutation_test(x: torch.Tensor, y: torch.Tensor, permutations: int = 200, seed: int = 0) -> tuple[float, float]:
    """Return the unbiased MMD² of two samples, and how often a random division of all points has one as large.

    Were both samples from one distribution, each division would be as good as the real one (Gretton et al. 2012,
    section 8). The kernel matrix is computed once and its rows are shuffled.

    Returns:
        The estimate, and the p-value, at least ``1 / (permutations + 1)``.
    """
    check_samples(x, y)
    together, count = torch.cat([x, y]).double(), len(x)
    kernel = gaussian_kernel(together, together, median_bandwidth(x, y), SCALES)

    def estimate(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        within = mean_off_diagonal(kernel[a][:, a]) + mean_off_diagonal(kernel[b][:, b])
        return within - 2 * kernel[a][:, b].mean()

    places = torch.arange(len(together))
    values = divided(estimate, places[:count], places[count:], permutations, seed)
    return values[0], p_value(values)


def divided(statistic: Distance, x: torch.Tensor, y: torch.Tensor, divisions: int, seed: int = 0) -> list[float]:
    """Return ``statistic(x, y)``, and after it the statistic of random divisions of all points into two such samples.

    Example:
        >>> x, y = torch.zeros(5, 2), torch.ones(5, 2)
        >>> len(divided(lambda a, b: (a.mean(0) - b.mean(0)).norm(), x, y, divisions=20))
        21
    """
    together, random = torch.cat([x, y]), torch.Generator().manual_seed(seed)
    orders = [torch.randperm(len(together), generator=random) for _ in range(divisions)]
    pairs = [(x, y), *((together[order[: len(x)]], together[order[len(x) :]]) for order in orders)]
    return [float(statistic(a, b)) for a, b in pairs]


def p_value(values: Sequence[float]) -> float:
    """Return the share of ``values`` at least as large as the first, which counts as one of them.

    A division that swaps the samples, or only their points, has the same statistic up to rounding: it is a tie, and
    counts. So three points against three have ten different divisions, and no p-value is below a tenth.

    Example:
        >>> p_value([3.0, 1.0, 2.0, 0.0])
        0.25
    """
    tie = values[0] - 1e-6 * max(abs(value) for value in values)
    return sum(value >= tie for value in values) / len(values)


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
