"""Few-shot learning: recognise classes that no training image showed, from a handful of examples each.

    train = Episodes(images, ways=20, shots=1, queries=4, count=500)
    fit(network, train, epochs=1, batch_size=1, step=EpisodeStep(by_prototype))
    vectors = predict(network, new_images)[0]
    mean_and_interval(episode_accuracies(by_prototype, vectors, labels, ways=5, shots=1))

A *classifier* is a function ``(support, support_labels, queries) -> scores (Q, N)`` of embeddings; its columns are
the classes in rising order. Episodes are drawn in :mod:`transfer_utils.techniques.episodes`.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from .distances import squared_distances
from .episodes import Classifier, EpisodeSampler


def prototypes(embeddings: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the mean embedding of each class, (C, D), and the classes, (C,), in rising order.

    Args:
        embeddings: (N, D).
        labels: (N,), any integers in any order.

    Snell et al. 2017, "Prototypical Networks for Few-shot Learning", equation 1.

    Raises:
        ValueError: NaN among the embeddings, one class only, or shapes that do not fit.
    """
    check_embeddings(embeddings)
    if labels.shape != embeddings.shape[:1]:
        raise ValueError(f"{len(embeddings)} embeddings came with labels of shape {tuple(labels.shape)}.")
    classes, class_index, counts = labels.unique(return_inverse=True, return_counts=True)
    if len(classes) < 2:
        raise ValueError("The support has one class: there is nothing to tell apart.")
    sums = embeddings.new_zeros(len(classes), embeddings.shape[1]).index_add(0, class_index, embeddings)
    return sums / counts[:, None], classes


def check_embeddings(embeddings: torch.Tensor) -> None:
    """Raise ``ValueError`` unless they are (N, D), N > 0, and all numbers."""
    if embeddings.ndim != 2 or len(embeddings) == 0:
        raise ValueError(f"Embeddings must be (N, D), N > 0; they are {tuple(embeddings.shape)}. flatten(1) images.")
    if not torch.isfinite(embeddings).all():
        raise ValueError("Some embeddings are NaN or infinite. Look at the images, and whether training diverged.")


def by_prototype(support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Return minus the *squared* Euclidean distance to each prototype, (Q, C): Snell et al. 2017, equation 2.

    Args:
        support: (N, D) embeddings, with ``labels`` (N,).
        queries: (Q, D).
    """
    check_embeddings(queries)
    return -squared_distances(queries, prototypes(support, labels)[0])


def by_cosine(support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor) -> torch.Tensor:
    """Return the cosine of the angle to the mean of each class, (Q, C); shapes as in :func:`by_prototype`.

    Each embedding is brought to length 1 before the mean is taken. A cosine is between -1 and 1: good for naming,
    too flat for a softmax (see :func:`by_matching`).
    """
    check_embeddings(queries)
    centres, _ = prototypes(F.normalize(support, dim=1), labels)
    return F.normalize(queries, dim=1) @ F.normalize(centres, dim=1).T


def by_matching(
    support: torch.Tensor, labels: torch.Tensor, queries: torch.Tensor, sharpness: float = 10.0
) -> torch.Tensor:
    """Return log-probabilities (Q, C) of matching networks: attention over the support adds up the labels.

    ``a(q, s) = softmax over s of sharpness * cosine(q, s)``, and a class gets the attention of its examples.
    Vinyals et al. 2016, "Matching Networks for One Shot Learning", equation 1 and section 2.1.1, without full
    context embeddings. The paper has sharpness 1, with which attention on few examples is nearly even.

    Args:
        support, labels, queries: as in :func:`by_prototype`.
    """
    check_embeddings(support)
    check_embeddings(queries)
    classes, class_index = labels.unique(return_inverse=True)
    if len(classes) < 2:
        raise ValueError("The support has one class: there is nothing to tell apart.")
    similarity = F.normalize(queries, dim=1) @ F.normalize(support, dim=1).T  # (Q, N)
    attention = (sharpness * similarity).softmax(1)
    return (attention @ F.one_hot(class_index, len(classes)).to(attention)).clamp_min(1e-12).log()


@torch.no_grad()
def episode_accuracies(
    classify: Classifier,
    embeddings: torch.Tensor,
    labels: torch.Tensor,
    *,
    ways: int,
    shots: int,
    queries: int = 15,
    episodes: int = 600,
    seed: int = 0,
) -> torch.Tensor:
    """Return the accuracy on each of ``episodes`` episodes, (episodes,), over embeddings computed once.

    The same seed gives the same episodes whatever the classifier, so differences can be taken episode by episode:
    ``mean_and_interval(a - b)``. The interval is over episodes, of one trained network.

    Args:
        embeddings: (N, D) with ``labels`` (N,), any integers.
    """
    check_embeddings(embeddings)
    sampler = EpisodeSampler(labels, ways, shots, queries, seed)
    values = []
    for number in range(episodes):
        episode = sampler(number)
        scores = classify(embeddings[episode.support], episode.support_labels, embeddings[episode.queries])
        values.append((scores.argmax(1) == episode.query_labels).double().mean())
    return torch.stack(values)
