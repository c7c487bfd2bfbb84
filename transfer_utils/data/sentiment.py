"""Sentiment in four domains: sentences about films, products, news and from tweets, rated by people.

Each sentence has the mean rating of 20 people, from -4 (very negative) to 4 (very positive).
The course keeps those that at least half a point separates from neutral, and calls the sign the class.

Source: Hutto and Gilbert 2014, "VADER: A Parsimonious Rule-based Model for Sentiment Analysis of
Social Media Text", ICWSM; the film sentences go back to Pang and Lee 2004. The files come with the source
distribution of vaderSentiment 3.3.2 (MIT), fetched at set-up, its hash checked.
"""

from __future__ import annotations

import tarfile
from functools import cache

import numpy as np
import torch

from ..runtime.sources import downloaded_folder, sources
from .labelled import three_way_split
from .texts import LabelledTexts, TextSplits

CLASS_NAMES = ("negative", "positive")
DOMAINS = {
    "films": "movieReviewSnippets_GroundTruth.txt",
    "products": "amazonReviewSnippets_GroundTruth.txt",
    "news": "nytEditorialSnippets_GroundTruth.txt",
    "tweets": "tweets_GroundTruth.txt",
}
NEUTRAL = 0.5  # a mean rating closer to 0 than this is neither positive nor negative


def load(domain: str = "films") -> TextSplits:
    """Load one domain: 60 % train, 15 % validation, 25 % test, the two classes equally frequent in each.

    Args:
        domain: ``"films"``, ``"products"``, ``"news"`` or ``"tweets"``.

    Returns:
        Splits whose ``extra`` holds ``rating``, the mean over people, -4 to 4.

    Raises:
        ValueError: there is no such domain.
        SourceMissing, WrongHash: see :func:`transfer_utils.runtime.sources.downloaded_folder`.
    """
    if domain not in DOMAINS:
        raise ValueError(f"There is no domain {domain!r}; there are {', '.join(DOMAINS)}.")
    texts, ratings = _rated(domain)
    positive, negative = np.flatnonzero(ratings >= NEUTRAL), np.flatnonzero(ratings <= -NEUTRAL)
    size = min(len(positive), len(negative))
    random = np.random.default_rng(0)
    kept = np.sort(np.concatenate([random.choice(group, size, replace=False) for group in (positive, negative)]))
    labels = (ratings[kept] > 0).astype(np.int64)
    everything = LabelledTexts(
        tuple(texts[i] for i in kept), torch.from_numpy(labels), CLASS_NAMES, extra={"rating": ratings[kept]}
    )
    parts = three_way_split(labels)
    source = sources()["sentiment"]
    return TextSplits(f"sentiment {domain}", *(everything.subset(p) for p in parts), source.licence, source.attribution)


@cache
def _rated(domain: str) -> tuple[list[str], np.ndarray]:
    """Return all sentences of a domain and their mean ratings, a sentence that occurs twice only once."""
    (archive,) = downloaded_folder("sentiment").glob("*/additional_resources/hutto_ICWSM_2014.tar.gz")
    with tarfile.open(archive) as opened:
        content = opened.extractfile(f"hutto_ICWSM_2014/{DOMAINS[domain]}").read().decode("utf-8")
    rows = [line.split("\t", 2) for line in content.splitlines() if line.strip()]
    rated = {text.strip(): float(rating) for _, rating, text in rows if text.strip()}
    return list(rated), np.array(list(rated.values()))
