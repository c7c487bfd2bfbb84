"""Heads: the new last layers that turn a backbone's features into your classes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from ..runtime.seeding import set_seed


def linear_head(in_features: int, num_classes: int) -> nn.Linear:
    """One linear layer, (N, in_features) -> (N, num_classes): logistic regression on features."""
    return nn.Linear(in_features, num_classes)


def mlp_head(in_features: int, num_classes: int, hidden: int = 256, dropout: float = 0.5) -> nn.Sequential:
    """Two linear layers with ReLU and dropout between, (N, in_features) -> (N, num_classes)."""
    return nn.Sequential(nn.Linear(in_features, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, num_classes))


def get_head(model: nn.Module) -> nn.Module:
    """Return the head of a backbone from :func:`transfer_utils.load_backbone`."""
    return model.get_submodule(card_of(model).head)


def head_width(model: nn.Module) -> int:
    """Return the number of features the head takes in, e.g. 1280 for EfficientNet-Lite0."""
    first = next((m for m in get_head(model).modules() if isinstance(m, nn.Linear)), None)
    if first is None:
        raise ValueError(f"The head of {card_of(model).name} has no linear layer, so its width is unknown.")
    return first.in_features


def replace_head(
    model: nn.Module,
    num_classes: int,
    make_head: Callable[[int, int], nn.Module] = linear_head,
    *,
    seed: int = 0,
) -> nn.Module:
    """Put a new head for ``num_classes`` classes on a backbone, in place, and return the backbone.

    The new head is trainable whatever was frozen before: it is put in *after* freezing
    or before, in any order. (Unfreezing the old head and then replacing it would leave
    the new one as it comes, and the old one, unfrozen, orphaned.)

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
    in_features = head_width(model)
    set_seed(seed)
    set_submodule(model, card_of(model).head, make_head(in_features, num_classes))
    if card_of(model).auxiliary_head:
        old = model.get_submodule(card_of(model).auxiliary_head)
        set_submodule(model, card_of(model).auxiliary_head, linear_head(old.in_features, num_classes))
    return model


def card_of(model: nn.Module):
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
    """Put ``new`` at the dotted ``name``, on the device of what stood there."""
    parent_name, _, child_name = name.rpartition(".")
    old = model.get_submodule(name)
    setattr(model.get_submodule(parent_name), child_name, new.to(next(old.parameters(), torch.empty(0)).device))
