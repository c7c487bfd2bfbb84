"""Encoders of the BERT family, each with what must come with it: tokenizer, head, layer groups.

    model = load_encoder()                          # MiniLM from an installed package, no network
    films = data.load("sentiment", domain="films").with_transform(model.card.preprocess(48))
    fit(model, films.train, films.validation, epochs=3)

A sentence becomes tokens, each token a vector that its neighbours have a say in, and the mean of
these vectors goes into a linear head. transformers does the encoding; what is here is what it leaves
to the reader: one vector a sentence, and errors that say what to do.
"""

from __future__ import annotations

import contextlib
import gc
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..runtime.profile import get_profile
from ..runtime.seeding import set_seed
from ..runtime.sources import package_files, sources
from .hub import hub_download
from .tokenizing import Tokenize, Tokens


@dataclass(frozen=True)
class EncoderCard:
    """What comes with a pretrained encoder.

    Attributes:
        name: as given to :func:`load_encoder`.
        weights: which weights these are; ``"random"`` for none.
        max_length: tokens that the encoder can read at most.
        tokenizer: of the pretraining.
        head, auxiliary_head: dotted names of the last layer and a second one, as on a ``BackboneCard``.
    """

    name: str
    weights: str
    max_length: int
    tokenizer: Any = field(repr=False)
    head: str = "head"
    auxiliary_head: str = ""

    def preprocess(self, max_length: int | None = None) -> Tokenize:
        """Return the tokenizer; texts are cut at ``max_length`` tokens where it is given, else long ones are refused.

        Raises:
            ValueError: ``max_length`` is more than the encoder can read, or leaves no room for a word.
        """
        if max_length is not None and not 3 <= max_length <= self.max_length:
            raise ValueError(f"{self.name} reads 3 to {self.max_length} tokens; max_length is {max_length}.")
        return Tokenize(self.name, max_length or self.max_length, max_length is not None, self.tokenizer)


def mean_pooling(hidden: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
    """Return the mean of the token vectors of each text, padding left out.

    Args:
        hidden: (N, T, D), one vector a token.
        attention_mask: (N, T), 1 for a token and 0 for padding.

    Returns:
        (N, D). Sentence-BERT (Reimers and Gurevych 2019, section 3) calls it the MEAN strategy.
    """
    weights = attention_mask.unsqueeze(-1).to(hidden.dtype)  # (N, T, 1)
    return (hidden * weights).sum(1) / weights.sum(1)


def attention(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, attention_mask: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return scaled dot-product attention (Vaswani et al. 2017, equation 1), and its weights.

    Args:
        query, key, value: (N, H, T, d), for H heads.
        attention_mask: (N, T), 1 for a token and 0 for padding, which then gets no weight.

    Returns:
        (N, H, T, d), and the weights (N, H, T, T), whose rows sum to 1.
    """
    scores = query @ key.transpose(-1, -2) / math.sqrt(query.shape[-1])  # (N, H, T, T)
    if attention_mask is not None:
        scores = scores.masked_fill(attention_mask[:, None, None, :] == 0, -math.inf)
    weights = scores.softmax(-1)
    return weights @ value, weights


class TextClassifier(nn.Module):
    """An encoder, the mean over its tokens (:func:`mean_pooling`), dropout, and a linear head.

    Args:
        encoder: of transformers; called with ``input_ids`` and ``attention_mask``.
        num_classes: outputs of the head.
    """

    def __init__(self, encoder: nn.Module, num_classes: int):
        super().__init__()
        self.encoder = encoder
        self.dropout = nn.Dropout(0.1)
        self.head = nn.Linear(encoder.config.hidden_size, num_classes)

    def forward(self, tokens: Tokens) -> torch.Tensor:
        """Return the scores (N, C) of N texts."""
        hidden = self.encoder(**tokens).last_hidden_state
        return self.head(self.dropout(mean_pooling(hidden, tokens["attention_mask"])))

    def group_matcher(self, coarse: bool = False) -> dict[str, str]:
        """Say which parameters are the stem and which a layer, as timm's models do, for ``layer_groups``."""
        return {"stem": r"^encoder\.embeddings", "blocks": r"^encoder\.(?:\w+\.)?layer\.(\d+)"}


def load_encoder(
    name: str | None = None, num_classes: int = 2, *, pretrained: bool = True, seed: int = 0
) -> TextClassifier:
    """Return an encoder with a new head and its card.

    Args:
        name: ``"minilm"`` (bundled), or a BERT-like model of the hub such as
            ``"google-bert/bert-base-uncased"``. ``None`` takes the profile's.
        num_classes: outputs of the new head.
        pretrained: with the published weights; ``False`` draws random ones, with the same tokenizer.
        seed: for the head, and for random weights.

    Returns:
        The model, on the CPU, in ``eval()`` mode, its parameters trainable.

    Raises:
        ValueError: fewer than two classes.
        SourceMissing: the weights are not here and cannot be downloaded.
        WrongHash: the bundled weights are not the expected file.
    """
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    if num_classes < 2:
        raise ValueError(f"A classifier needs two classes or more, not {num_classes}.")
    gc.collect()  # a frozen model is a reference cycle: those that are needed no more are freed here
    name = name or get_profile().encoder
    source, options = _source(name)
    with _quiet_transformers(), contextlib.nullcontext() if name == "minilm" else hub_download(name, "'minilm'"):
        tokenizer = AutoTokenizer.from_pretrained(source, **options)
        config = AutoConfig.from_pretrained(source, **options)
        set_seed(seed)
        if pretrained:
            options |= {"use_safetensors": True, "dtype": torch.float32, **_without_pooler(config)}
            encoder = AutoModel.from_pretrained(source, **options)
        else:
            encoder = AutoModel.from_config(config, **_without_pooler(config))
    set_seed(seed)
    model = TextClassifier(encoder, num_classes)
    model.card = EncoderCard(name, "pretrained" if pretrained else "random", _longest(encoder), tokenizer)
    return model.eval()


def _source(name: str) -> tuple[str, dict[str, Any]]:
    """Return where an encoder comes from: a folder of the bundled package, or a hub name with its pinned revision."""
    if name == "minilm":
        (path,) = package_files("minilm")
        return str(Path(path).parent), {}
    pinned = next((source for source in sources().values() if source.kind == "hub" and source.url == name), None)
    return name, {"revision": pinned.revision} if pinned else {}


def _longest(encoder: nn.Module) -> int:
    """Return how many tokens are read: RoBERTa and its kin keep positions 0 to ``padding_idx`` for padding."""
    positions = getattr(getattr(encoder, "embeddings", None), "position_embeddings", None)
    padding = getattr(positions, "padding_idx", None)
    return encoder.config.max_position_embeddings - (0 if padding is None else padding + 1)


def _without_pooler(config: Any) -> dict[str, bool]:
    """BERT's pooler reads the first token only and belongs to its pretraining; the mean needs none."""
    return {"add_pooling_layer": False} if config.model_type in ("bert", "roberta", "xlm-roberta") else {}


@contextlib.contextmanager
def _quiet_transformers():
    """Keep the notes and bars of transformers out of notebooks; errors still come."""
    from transformers.utils import logging

    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


@torch.no_grad()
def token_scores(model: TextClassifier, text: str, max_length: int | None = None) -> tuple[list[str], torch.Tensor]:
    """Return the tokens of a text and what the head says of each token's vector, (T, C).

    The head is linear and reads the mean over tokens, so the mean of these rows *is* the score of the text:
    the parts are exact, not an estimate. A token's vector has seen its neighbours, though.
    """
    tokenize = model.card.preprocess(max_length)
    model.eval()
    tokens = {name: tensor.to(model.head.weight.device) for name, tensor in tokenize([text]).items()}
    return tokenize.tokens(text), model.head(model.encoder(**tokens).last_hidden_state[0]).cpu()


class layer_means:
    """While open, keep the mean-pooled output of every layer of a :class:`TextClassifier` in ``value``, (N, L+1, D).

    For ``predict(model, data, output_of=layer_means)`` and ``stored_outputs``; row 0 is the embedding layer.
    """

    def __init__(self, model: TextClassifier):
        self.model = model

    def __enter__(self) -> layer_means:
        self.hook = self.model.encoder.register_forward_hook(self._keep, with_kwargs=True)
        self.before = self.model.encoder.config.output_hidden_states
        self.model.encoder.config.output_hidden_states = True
        return self

    def _keep(self, encoder: nn.Module, inputs: tuple, named: dict[str, Any], output: Any) -> None:
        means = [mean_pooling(hidden, named["attention_mask"]) for hidden in output.hidden_states]
        self.value = torch.stack(means, 1)

    def __exit__(self, *error: object) -> None:
        self.hook.remove()
        self.model.encoder.config.output_hidden_states = self.before
