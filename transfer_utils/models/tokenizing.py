"""Texts to tokens, with errors that say what to do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch

Tokens = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Tokenize:
    """Turn texts into the tokens that an encoder was trained on.

    Calling it with a list of N texts gives ``input_ids`` and ``attention_mask``, both int64 (N, T), where T
    is the length of the longest of them; the mask is 0 where a shorter one was padded.

    Attributes:
        name: of the encoder.
        max_length: tokens a text may have, the two special ones included.
        cut: cut longer texts off at ``max_length``, instead of refusing them.

    Raises:
        ValueError: a text is longer than allowed, or has no token that the tokenizer knows.
    """

    name: str
    max_length: int
    cut: bool
    tokenizer: Any = field(repr=False, compare=False)

    def __call__(self, texts: list[str]) -> Tokens:
        """Return ``input_ids`` and ``attention_mask`` of N texts, (N, T) each."""
        encoded = self.tokenizer(
            texts, padding=True, truncation=self.cut, max_length=self.max_length, return_tensors="pt", verbose=False
        )
        ids, mask = encoded["input_ids"], encoded["attention_mask"]
        self._require_short(texts, mask)
        self._require_known(texts, ids)
        return {"input_ids": ids, "attention_mask": mask}

    def lengths(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text, after cutting, without padding."""
        encoded = self.tokenizer(texts, truncation=self.cut, max_length=self.max_length, verbose=False)
        return [len(ids) for ids in encoded["input_ids"]]

    def tokens(self, text: str) -> list[str]:
        """Return the tokens of one text as a reader can see them, e.g. ``["[CLS]", "film", "##s", "[SEP]"]``."""
        return self.tokenizer.convert_ids_to_tokens(self([text])["input_ids"][0].tolist())

    def _require_short(self, texts: list[str], mask: torch.Tensor) -> None:
        counts = mask.sum(1)
        if int(counts.max()) > self.max_length:
            longest = int(counts.argmax())
            raise ValueError(
                f"A text has {int(counts[longest])} tokens, and {self.name} reads at most {self.max_length}: "
                f"{texts[longest][:40]!r}... Split it, or cut it off with card.preprocess({self.max_length})."
            )

    def _require_known(self, texts: list[str], ids: torch.Tensor) -> None:
        known = ~torch.isin(ids, torch.tensor(self.tokenizer.all_special_ids))  # [UNK] is a special token too
        unknown = (~known.any(1)).nonzero().flatten().tolist()
        if unknown:
            raise ValueError(
                f"The tokenizer of {self.name} knows no token of {texts[unknown[0]][:40]!r}: its script or symbols are "
                "not in the vocabulary. Drop such texts, or load an encoder that was trained on them."
            )
