"""Labelled texts: the one kind of data set that every language lesson works with."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch

from .labelled import TEST_SHARE, VALIDATION_SHARE, Labelled, Splits, three_way_split


@dataclass(frozen=True, eq=False)
class LabelledTexts(Labelled):
    """Texts with integer labels, and a transform from a list of texts to what the model reads.

    Attributes:
        texts: N strings, none of them blank.
        labels: int64 tensor of shape (N,), values 0 to number of classes - 1.
        class_names: one name a class.
        transform: list of texts -> dict of tensors, e.g. ``model.card.preprocess(48)``.
            It sees a whole batch, because a batch is padded to its longest text. ``None`` gives the strings.
        extra: more about each text, name -> array of length N (sentiment: ``rating``).

    Raises:
        ValueError: a text is blank, or labels do not fit.
    """

    texts: tuple[str, ...]
    labels: torch.Tensor
    class_names: tuple[str, ...]
    transform: Callable[[list[str]], dict[str, torch.Tensor]] | None = None
    extra: dict[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.check_labels(len(self.texts), "texts")
        _require_words(self.texts)

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return self.collect([index])[0] if self.transform else self.texts[index], int(self.labels[index])

    def collect(self, indices: Sequence[int]) -> tuple[Any, torch.Tensor]:
        """Return one batch: the texts at ``indices``, transformed together, and their labels."""
        texts = [self.texts[i] for i in indices]
        return (self.transform(texts) if self.transform else texts), self.labels[list(indices)]

    def item_lengths(self) -> list[int]:
        """Return how long each text is for the model, in tokens; in characters without a transform.

        Batches of similar length waste little on padding: see ``training/batches.py``.
        """
        return self._lengths

    @cached_property
    def _lengths(self) -> list[int]:
        count = getattr(self.transform, "lengths", None)
        return count(list(self.texts)) if count else [len(text) for text in self.texts]

    def subset(self, indices: Sequence[int] | np.ndarray | torch.Tensor) -> LabelledTexts:
        """Return the texts at ``indices``, in that order."""
        chosen = torch.as_tensor(np.asarray(indices), dtype=torch.long)
        return replace(
            self,
            texts=tuple(self.texts[i] for i in chosen.tolist()),
            labels=self.labels[chosen],
            extra={name: values[chosen.numpy()] for name, values in self.extra.items()},
        )

    def fingerprint(self) -> str:
        """Return a hash that changes when any text, label or the order changes."""
        digest = hashlib.sha256(self.labels.numpy().tobytes())
        for text in self.texts:
            digest.update(f"{len(text)} {text}".encode())
        return digest.hexdigest()


@dataclass(frozen=True, eq=False)
class TextSplits(Splits[LabelledTexts]):
    """Texts divided once: learn on ``train``, choose on ``validation``, report ``test`` once."""

    def of_length(self, longest: int) -> TextSplits:
        """Return the same splits with the texts of at most ``longest`` tokens only, none of them cut."""

        def short(part: LabelledTexts) -> LabelledTexts:
            return part.subset([i for i, length in enumerate(part.item_lengths()) if length <= longest])

        return replace(self, train=short(self.train), validation=short(self.validation), test=short(self.test))


def labelled_texts(texts: Sequence[str], labels: Sequence[Hashable]) -> LabelledTexts:
    """Return your own texts with labels of any kind, numbered in sorted order of their names.

    Raises:
        ValueError: a text is blank, a label is missing (``None``, NaN or pandas' NA), there is only one class,
            or the numbers of texts and labels differ.

    Example:
        >>> labelled_texts(["good film", "bad film"], ["positive", "negative"]).class_names
        ('negative', 'positive')
    """
    missing = [i for i, label in enumerate(labels) if _is_missing(label)]
    if missing:
        raise ValueError(f"{len(missing)} labels are missing, the first at row {missing[0]}. Label or drop these rows.")
    names = tuple(sorted({str(label) for label in labels}))
    if len(names) < 2:
        raise ValueError(f"A classifier needs two classes or more; every label is {', '.join(names) or 'absent'}.")
    numbers = torch.tensor([names.index(str(label)) for label in labels])
    return LabelledTexts(tuple(texts), numbers, names)


def text_splits(
    texts: Sequence[str],
    labels: Sequence[Hashable],
    *,
    name: str = "your texts",
    validation_share: float = VALIDATION_SHARE,
    test_share: float = TEST_SHARE,
    seed: int = 0,
) -> TextSplits:
    """Return your own texts as train, validation and test splits, every class in its own proportion.

    Raises:
        ValueError: as :func:`labelled_texts`, or a class has too few texts to be in each split.
    """
    everything = labelled_texts(texts, labels)
    parts = [
        everything.subset(part)
        for part in three_way_split(everything.labels.numpy(), test_share, validation_share, seed)
    ]
    for part in parts:
        absent = [class_name for class_name, count in part.class_counts().items() if not count]
        if absent:
            raise ValueError(f"The class {absent[0]!r} has too few texts to be in every split. Add some (about ten).")
    return TextSplits(name, *parts, licence="your own", attribution="")


def _is_missing(label: Hashable) -> bool:
    return label is None or type(label).__name__ == "NAType" or label != label  # pandas' NA equals nothing, nor differs


def _require_words(texts: Sequence[str]) -> None:
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise ValueError(f"Text {number} is {text!r}, not a string. Drop the row or fill it in.")
        if not text.strip():
            raise ValueError(f"Text {number} is empty. Drop the row: there is nothing to read.")
