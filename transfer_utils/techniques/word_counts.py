"""Baselines for text: what counting words can do, without knowing what any of them means."""

from __future__ import annotations

import torch

from ..data import LabelledTexts


def word_count_scores(train: LabelledTexts, validation: LabelledTexts, test: LabelledTexts) -> torch.Tensor:
    """Return log probabilities (N, C) of the test texts by TF-IDF and logistic regression.

    Words and pairs of neighbours are counted, the counts enter by their logarithm and are weighted by
    rarity; scikit-learn's ``C`` is the one of 1, 10 and 100 that does best on validation. The transforms
    of the texts are not used.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    inside, held_out = words.fit_transform(train.texts), words.transform(validation.texts)
    tried = [LogisticRegression(C=c, max_iter=1000).fit(inside, train.labels.numpy()) for c in (1, 10, 100)]
    best = max(tried, key=lambda model: model.score(held_out, validation.labels.numpy()))
    return torch.from_numpy(best.predict_log_proba(words.transform(test.texts)))
