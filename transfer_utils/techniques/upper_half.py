"""A network cut in two between layer groups: a lower half to ask once, an upper half to train.

Both halves hold the very modules of the network, so what ``fit`` trains in the upper half is in the network
afterwards. The upper half is the network with its lower layers taken out; the lower half is the network up to the
first of its upper layers.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from ..models.heads import card_of
from ..models.layer_groups import layer_groups
from ..runtime.seeding import generator


def upper_half(model: nn.Module, at: str | int) -> nn.Module:
    """Return the layers above ``at`` as a network that takes the activations there and gives class scores.

    For training on what ``extract_features(model, data, at=at)`` has stored. Its parameters are those of ``model``,
    not copies; ``layer_groups``, ``layerwise_lr``, ``freeze`` and ``UnfreezingSchedule`` see the groups above alone.
    Put the new head on ``model`` first: a head that replaces another later is not seen here.

    Args:
        model: from :func:`transfer_utils.load_backbone`, or any network for images with a card.
        at: the last layer group below the cut, by name or as the number of groups below.
            ``layer_groups(model)`` lists them.

    Raises:
        ValueError: there is no such group; nothing is below or above; or the network cannot be cut there.

    Example:
        >>> model = replace_head(load_backbone(), 2)                                          # doctest: +SKIP
        >>> stored = extract_features(model, cells, at="stage 4", variants=FLIPS)             # doctest: +SKIP
        >>> fit(upper_half(model, "stage 4"), stored.train, stored.validation, epochs=5)      # doctest: +SKIP
    """
    return halves(model, at)[1]


def halves(model: nn.Module, at: str | int) -> tuple[LowerHalf, nn.Module]:
    """Return ``model`` up to ``at``, and above; ``upper(lower(images))`` is tried once and equals ``model(images)``.

    Raises:
        ValueError: as :func:`upper_half`.
    """
    groups, count = layer_groups(model), groups_below(model, at)
    below, above = ({module for group in part for module in group.modules} for part in (groups[:count], groups[count:]))
    lower, upper = LowerHalf(_replaced(model, above, _Stop), below), _replaced(model, below, nn.Identity)
    upper.groups_below = getattr(model, "groups_below", 0) + count  # so that layer_groups(upper) goes on counting
    try:
        _require_equal(model, lower, upper)
    except Exception as error:  # whatever it is, the remedy is the same
        raise ValueError(
            f"{model.card.name} cannot be cut above {groups[count - 1].name!r}: {error}. Cut it elsewhere "
            "(layer_groups(model) lists the places), or train the whole network, its lower layers frozen: "
            f"freeze(*layer_groups(model)[:{count}])."
        ) from error
    return lower, upper


def groups_below(model: nn.Module, at: str | int) -> int:
    """Return how many layer groups of ``model`` lie below the cut ``at``.

    Raises:
        ValueError: there is no such group, or nothing is below or above.
    """
    names = [group.name for group in layer_groups(model)]
    if not hasattr(card_of(model), "image_size"):
        raise ValueError(f"{model.card.name} does not read images; only networks for images can be cut.")
    count = names.index(at) + 1 if at in names else at
    if not isinstance(count, int) or not 0 < count < len(names):
        raise ValueError(
            f"{model.card.name} cannot be cut at {at!r}. Give the last layer group below the cut, one of "
            f"{', '.join(map(repr, names[:-1]))}, or how many groups are below, 1 to {len(names) - 1}."
        )
    return count


class LowerHalf(nn.Module):
    """The lower layers of a network: images -> what the last of them gives.

    Args:
        network: with a :class:`_Stop` in the place of every upper layer.
        layers: the lower ones.
    """

    def __init__(self, network: nn.Module, layers: set[nn.Module]):
        super().__init__()
        self.network, self._layers = network, tuple(layers)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Return the activations at the cut, (N, ...)."""

        def note(layer: nn.Module, inputs: tuple, output: torch.Tensor) -> None:
            self._last = output

        hooks = [layer.register_forward_hook(note) for layer in self._layers]
        try:
            self.network(images)
        except _UpperHalfReached:
            pass
        finally:
            for hook in hooks:
                hook.remove()
        if "_last" not in self.__dict__:
            raise ValueError("an upper layer comes before all lower ones")
        return self.__dict__.pop("_last")


class _UpperHalfReached(Exception):
    """The first upper layer was called: no error, the end of the lower half."""


class _Stop(nn.Module):
    """Stands for a layer of the upper half in the lower one."""

    def forward(self, *inputs: object, **named: object) -> None:
        raise _UpperHalfReached


def _replaced(network: nn.Module, layers: set[nn.Module], make: Callable[[], nn.Module]) -> nn.Module:
    """Return ``network`` with ``make()`` in the place of ``layers``; all other modules are shared, none is changed.

    Modules that hold some of the layers are made anew, with the same children otherwise.
    """
    if network in layers:
        return make()
    children = {name: child and _replaced(child, layers, make) for name, child in network._modules.items()}
    if children == network._modules:
        return network
    twin = copy.copy(network)
    twin.__dict__["_modules"] = children
    twin.__dict__.pop("train", None)  # of a frozen module, and bound to it; its children know whether they are frozen
    return twin


@torch.no_grad()
def _require_equal(model: nn.Module, lower: nn.Module, upper: nn.Module) -> None:
    size, parameter = model.card.image_size, next(model.parameters())
    images = torch.rand(2, len(model.card.mean), size, size, generator=generator("trial of a cut")).to(parameter)
    modes = {module: module.training for network in (model, lower, upper) for module in network.modules()}
    try:
        for network in (model, lower, upper):
            network.eval()
        expected, found = model(images), upper(lower(images))
    finally:
        for module, mode in modes.items():
            module.training = mode
    if not torch.allclose(expected, found, rtol=1e-4, atol=1e-4 * float(expected.abs().max())):
        raise ValueError("its halves, one after the other, do not give what the network gives")
