"""Heads on stored features: logistic regression and heads trained by ``fit``."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import nn

from ..runtime.profile import get_profile
from ..runtime.seeding import set_seed
from ..training.loop import FitResult, fit
from .features import Features, FeatureSplits


def logistic_head(
    features: FeatureSplits, strengths: Sequence[float] = (0.001, 0.01, 0.1, 1.0)
) -> tuple[nn.Linear, dict[float, float]]:
    """Return the linear head that logistic regression finds, its regularisation strength chosen on validation.

    What scikit-learn trains to the end is put into a linear layer, so that it is used like any other
    head. With two classes the layer scores them -z/2 and z/2, whose softmax is the sigmoid of z.

    Args:
        features: best standardised, so that the regularisation is as strong for every feature.
        strengths: values of scikit-learn's ``C`` to try; a small one holds the weights back more.

    Returns:
        The head, one output a class name, and the validation accuracy of each strength; ties go to the smaller one.

    Raises:
        ValueError: a class has no training item; scikit-learn would leave it out and renumber the others.
    """
    from sklearn.linear_model import LogisticRegression

    present = set(features.train.labels.tolist())
    missing = [name for number, name in enumerate(features.train.class_names) if number not in present]
    if missing:
        raise ValueError(
            f"No training item is of class {', '.join(missing)}: draw items of every class, as sample(...) does, "
            "or leave the class out of class_names and renumber the labels."
        )
    tried = {}
    for strength in sorted(strengths):
        model = LogisticRegression(C=strength, max_iter=3000)
        model.fit(features.train.values.numpy(), features.train.labels.numpy())
        score = model.score(features.validation.values.numpy(), features.validation.labels.numpy())
        tried[strength] = (model, float(score))
    chosen = tried[max(tried, key=lambda strength: tried[strength][1])][0]
    weight, bias = torch.from_numpy(chosen.coef_).float(), torch.from_numpy(chosen.intercept_).float()
    if len(weight) == 1:
        weight, bias = torch.cat([-weight, weight]) / 2, torch.cat([-bias, bias]) / 2
    head = nn.Linear(weight.shape[1], len(weight))
    head.load_state_dict({"weight": weight, "bias": bias})
    return head, {strength: score for strength, (_, score) in tried.items()}


def head_on_raw_features(head: nn.Linear, reference: Features) -> nn.Linear:
    """Return the head that says of raw features what ``head`` says of features standardised by ``reference``.

    So a head that was found on stored features becomes the last layer of a network:
    ``replace_head(backbone, 2, lambda *_: head_on_raw_features(head, features.train))``.
    """
    mean, deviation = reference.scale()
    raw = nn.Linear(head.in_features, head.out_features)
    with torch.no_grad():
        raw.weight.copy_(head.weight / deviation)
        raw.bias.copy_(head.bias - raw.weight @ mean)
    return raw


def train_head(
    features: FeatureSplits,
    make_head: Callable[[int, int], nn.Module],
    *,
    epochs: int,
    lr: float = 1e-3,
    batch_size: int | None = None,
    seed: int = 0,
) -> tuple[nn.Module, FitResult]:
    """Train a new head on stored features and return it with its training; the best epoch by validation is kept.

    Args:
        make_head: ``(in_features, num_classes) -> module``, e.g. :func:`transfer_utils.mlp_head`.
        batch_size: ``None`` for the profile's ``head_batch_size``.
    """
    set_seed(seed)
    head = make_head(features.train.values.shape[1], len(features.train.class_names))
    result = fit(
        head, features.train.dataset(), features.validation.dataset(), epochs=epochs, lr=lr,
        batch_size=batch_size or get_profile().head_batch_size, seed=seed, progress="training a head",
    )  # fmt: skip
    return head, result
