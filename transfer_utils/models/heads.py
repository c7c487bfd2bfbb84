"""Heads: the new last layers that turn a backbone's features into your classes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from torch import nn

from ..runtime.seeding import set_seed

if TYPE_CHECKING:
    from .backbones import BackboneCard
    from .encoders import EncoderCard


def linear_head(in_features: int, num_classes: int) -> nn.Linear:
    """One linear layer, (N, in_features) -> (N, num_classes): logistic regression on features."""
    return nn.Linear(in_features, num_classes)


def mlp_head(in_features: int, num_classes: int, hidden: int = 256, dropout: float = 0.5) -> nn.Sequential:
    """Two linear layers with ReLU and dropout between, (N, in_features) -> (N, num_classes)."""
    return nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))


def head_names(model: nn.Module) -> list[str]:
    """Return the dotted names of the head and, where there is one, of the second head beside it."""
    card = card_of(model)
    return [name for name in (card.head, card.auxiliary_head) if name]


def get_head(model: nn.Module) -> nn.Module:
    """Return the head of a backbone from :func:`transfer_utils.load_backbone`."""
    return model.get_submodule(card_of(model).head)


def get_heads(model: nn.Module) -> list[nn.Module]:
    """Return the head and, where there is one, the second head: all that :func:`replace_head` replaces."""
    return [model.get_submodule(name) for name in head_names(model)]


def head_width(model: nn.Module, name: str | None = None) -> int:
    """Return the number of features that the head takes in, e.g. 1280 for EfficientNet-Lite0.

    Args:
        name: of one of :func:`head_names`; ``None`` for the first.

    Raises:
        ValueError: the head has no linear layer, and timm does not tell the width.
    """
    head = model.get_submodule(name or card_of(model).head)
    first = next((module for module in head.modules() if isinstance(module, nn.Linear)), None)
    if first is not None:
        return first.in_features
    if not hasattr(model, "head_hidden_size"):  # timm's, for networks that come without a classifier
        raise ValueError(f"The head of {card_of(model).name} has no linear layer, so its width is unknown.")
    return model.head_hidden_size


def replace_head(
    model: nn.Module,
    num_classes: int,
    make_head: Callable[[int, int], nn.Module] = linear_head,
    *,
    seed: int = 0,
) -> nn.Module:
    """Put a new head for ``num_classes`` classes on a backbone, in place, and return the backbone.

    It can learn, whatever was frozen before, and has the device, the type and the mode (``train()`` or ``eval()``) of
    the old one. A second head (see :class:`BackboneCard`) is replaced too.

    Args:
        make_head: ``(in_features, num_classes) -> module``, e.g. :func:`linear_head`,
            :func:`mlp_head`, or a ``functools.partial`` of it.
        seed: for the random weights of the new head.

    Raises:
        ValueError: fewer than two classes.
        TypeError: the model has no card.
    """
    if num_classes < 2:
        raise ValueError(f"A classifier needs two classes or more, not {num_classes}.")
    widths = [head_width(model, name) for name in head_names(model)]
    set_seed(seed)
    for name, width in zip(head_names(model), widths, strict=True):
        make = make_head if width == widths[0] else linear_head  # Inception's second head reads other features
        set_submodule(model, name, make(width, num_classes))
    return model


def card_of(model: nn.Module) -> BackboneCard | EncoderCard:
    """Return the card of a model: its name, where its head sits, its preprocessing.

    Raises:
        TypeError: it has none.
    """
    if not hasattr(model, "card"):
        raise TypeError(
            f"{type(model).__name__} has no card, so where its head sits is unknown. Load it with "
            "load_backbone(name), or set model.card = BackboneCard(...) yourself."
        )
    return model.card


def set_submodule(model: nn.Module, name: str, new: nn.Module) -> None:
    """Put ``new`` at the dotted ``name``, with the device, the type and the mode of what stood there."""
    old = model.get_submodule(name)
    like = next(old.parameters(), next(model.parameters()))
    model.set_submodule(name, new.to(like.device, like.dtype).train(old.training))
