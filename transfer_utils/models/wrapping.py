"""Wrapping layers of a pretrained network: find them by name, put a module around each, once.

Adapters and LoRA both add parameters to layers that stay as they are. What they share is here: a layer is found
by a pattern of its name, a layer that sits in two places is wrapped once, and nothing is wrapped twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase

from torch import nn


class Wrapper(nn.Module):
    """A module that holds the layer it was put around as ``base``, and adapter parameters, which can learn."""

    base: nn.Module

    def small(self) -> Iterator[nn.Parameter]:
        """Yield the adapter parameters: all that are not of ``base``."""
        inside = {id(parameter) for parameter in self.base.parameters()}
        yield from (parameter for parameter in self.parameters() if id(parameter) not in inside)


def wrappers(model: nn.Module, kind: type[Wrapper] = Wrapper) -> dict[str, Wrapper]:
    """Return the wrappers of one kind in ``model``, by dotted name, each once."""
    return {name: module for name, module in model.named_modules() if isinstance(module, kind)}


def find_layers(
    model: nn.Module, patterns: Sequence[str], kinds: tuple[type[nn.Module], ...] | None = None
) -> dict[str, nn.Module]:
    """Return the modules whose dotted name fits one of ``patterns``, a module under two names once.

    Args:
        patterns: shell patterns of a whole dotted name, or of its end after a dot: ``"query"`` fits
            ``encoder.layer.0.attention.self.query``, and ``"layer.[45].*.dense"`` the last two layers.
            Any of its names will do for a module that has several.
        kinds: only modules of these classes.

    Raises:
        TypeError: ``patterns`` is one string, which would be read letter by letter.
        ValueError: a pattern fits no module of these kinds; or layers of ``model`` are wrapped already.
    """
    if isinstance(patterns, str):
        raise TypeError(f"Give a list of patterns: [{patterns!r}].")
    if wrappers(model):
        raise ValueError(
            f"{next(iter(wrappers(model)))} is wrapped already, and wrapping the wrapper would train both. "
            "Load the model anew, or change the one that is there."
        )
    every_name = model.named_modules(remove_duplicate=False)
    possible = {name: m for name, m in every_name if name and (kinds is None or isinstance(m, kinds))}
    found: set[nn.Module] = set()
    for pattern in patterns:
        fitting = [name for name in possible if fnmatchcase(name, pattern) or fnmatchcase(name, f"*.{pattern}")]
        if not fitting:
            ends = sorted({name.rpartition(".")[2] for name in possible})
            raise ValueError(f"The pattern {pattern!r} fits no layer. Names of layers here end in {', '.join(ends)}.")
        found |= {possible[name] for name in fitting}
    return {name: module for name, module in model.named_modules() if module in found}


def replace_everywhere(model: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put ``new`` wherever ``model`` holds the very module ``old``: shared layers stay shared."""
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):  # named_children would give a shared child only once
            if child is old and parent is not new:
                setattr(parent, name, new)


def wrap_layers(model: nn.Module, found: dict[str, nn.Module], wrap: Callable[[str, nn.Module], Wrapper]) -> None:
    """Replace each module of ``found`` by ``wrap(name, module)``, on its device and with its type.

    All wrappers are made first: when one cannot be made, the model is as it was.
    """
    made = [(layer, wrap(name, layer)) for name, layer in found.items()]
    for layer, wrapper in made:
        weight = next(layer.parameters())
        replace_everywhere(model, layer, wrapper.to(weight.device, weight.dtype))
