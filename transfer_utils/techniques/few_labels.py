"""A handful of labelled items of each class, drawn many times, and what classifiers make of the same draws.

One draw of few labels is luck. So each classifier sees the same draws, and what is compared are the means over them.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ..data.images import ImageSplits
from ..evaluation.intervals import Interval, percentile_interval
from ..evaluation.metrics import balanced_accuracy
from ..models.backbones import load_backbone
from ..runtime.seeding import generator
from .episodes import Classifier, EpisodeSampler
from .features import FeatureSplits, extract_features
from .prototypes import prototypes


def frozen_features(images: ImageSplits, image_size: int) -> FeatureSplits:
    """Return the features of all splits from the frozen backbone of the profile, mean 0 and deviation 1 in training."""
    body = load_backbone()
    return extract_features(body, images.with_transform(body.card.preprocess(image_size))).standardised()


def logistic_regression(strength: float) -> Classifier:
    """Return a classifier ``(support, labels, queries) -> log-probabilities``: logistic regression of the support.

    Args:
        strength: of the regularisation, ``1 / C`` of scikit-learn.
    """

    def classify(support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
        from sklearn.linear_model import LogisticRegression

        model = LogisticRegression(C=1 / strength, max_iter=1000).fit(support.numpy(), labels.numpy())
        return torch.from_numpy(model.predict_log_proba(queries.numpy())).double()

    return classify


def scores_over_draws(
    classify: Classifier, vectors: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor, shots: int, draws: int
) -> torch.Tensor:
    """Return the scores of all queries for each draw of ``shots`` labelled items of each class: (draws, Q, C).

    The same ``labels`` give the same draws, whatever the classifier and the vectors.

    Args:
        vectors, labels: (N, D) and (N,), what may be drawn as support.
        queries: (Q, D).
    """
    sampler = EpisodeSampler(labels, ways=len(labels.unique()), shots=shots, queries=1)
    supports = (sampler(number).support for number in range(draws))
    return torch.stack([classify(vectors[drawn], labels[drawn], queries).double() for drawn in supports])


def chosen_regression(features: FeatureSplits, shots: int, draws: int, strengths: Sequence[float]) -> Classifier:
    """Return the logistic regression whose strength has the best mean balanced accuracy on validation, over draws."""
    train, validation = features.train, features.validation

    def judged(strength: float) -> float:
        by_draw = scores_over_draws(
            logistic_regression(strength), train.values, train.labels, validation.values, shots, draws
        )
        return float(torch.as_tensor(balanced_accuracy(by_draw, validation.labels)).mean())

    return logistic_regression(max(strengths, key=judged))


def spread_within_class(vectors: torch.Tensor, labels: torch.Tensor, label: int) -> torch.Tensor:
    """Return the squared distance of each item of class ``label`` to the mean of its class, (n,)."""
    mine = vectors[labels == label]
    return (mine - mine.mean(0)).pow(2).sum(1)


def spread_of_classes(vectors: torch.Tensor, labels: torch.Tensor, samples: int = 2000) -> tuple[Interval, float]:
    """Return how much wider class 1 is than class 0, and how far apart their means are; medians of squared distances.

    Args:
        vectors, labels: (N, D), and (N,) with the classes 0 and 1.
        samples: resamples of the items of each class, the means held, for the 95 % interval of the ratio.

    Returns:
        The ratio of the median distance to the own mean, class 1 over class 0; and the squared distance between the
        two means as a share of the median of class 0.
    """
    narrow, wide = (spread_within_class(vectors, labels, label) for label in (0, 1))
    random = generator("spread of classes", samples)
    drawn = [v[torch.randint(len(v), (samples, len(v)), generator=random)].median(1).values for v in (wide, narrow)]
    ratio = percentile_interval(float(wide.median() / narrow.median()), (drawn[0] / drawn[1]).double())
    between = prototypes(vectors, labels)[0].diff(dim=0).pow(2).sum()
    return ratio, float(between / narrow.median())
