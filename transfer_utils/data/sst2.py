"""SST-2: 67,000 phrases from film reviews, positive or negative, for the profile ``full``.

The data of the GLUE benchmark. Its test labels are not public, so the course tests on GLUE's ``dev``
file and holds a validation split out of ``train``.

Sources: Socher et al. 2013, "Recursive Deep Models for Semantic Compositionality Over a Sentiment
Treebank"; Wang et al. 2019, "GLUE".
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import torch

from ..runtime.sources import downloaded_folder, sources
from .labelled import stratified_draw
from .texts import LabelledTexts, TextSplits

CLASS_NAMES = ("negative", "positive")
VALIDATION_TEXTS = 1000


def load() -> TextSplits:
    """Load SST-2, fetched on first use, its hash checked.

    Raises:
        SourceMissing, WrongHash: see :func:`transfer_utils.runtime.sources.downloaded_folder`.
    """
    source, folder = sources()["sst2"], downloaded_folder("sst2") / "SST-2"
    train, test = _read(folder / "train.tsv"), _read(folder / "dev.tsv")
    chosen = stratified_draw(train.labels.numpy(), min(VALIDATION_TEXTS, len(train) // 5), seed=0)
    rest = np.setdiff1d(np.arange(len(train)), chosen)
    return TextSplits(
        "SST-2", train.subset(rest), train.subset(np.sort(chosen)), test, source.licence, source.attribution
    )


def _read(path: Path) -> LabelledTexts:
    with open(path, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE) if row["sentence"].strip()]
    labels = torch.tensor([int(row["label"]) for row in rows])
    return LabelledTexts(tuple(row["sentence"].strip() for row in rows), labels, CLASS_NAMES)
