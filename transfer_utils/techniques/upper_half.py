"""A network cut in two between layer groups: a lower half to ask once, an upper half to train.

Both halves hold the very modules of the network, under their names there, so what ``fit`` trains in the upper half
is in the network afterwards. What happens between the modules is read off the network with ``torch.fx``, which
records the calls of one forward pass; the modules that lie wholly in one half are called as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import fx, nn

from ..models.heads import card_of
from ..models.layer_groups import LayerGroup, layer_groups
from ..runtime.seeding import generator


class HalfNetwork(nn.Module):
    """Some modules of a network, under their names there, and the order in which they are called.

    Attributes:
        card: of the network. With it ``layer_groups``, ``layerwise_lr``, ``freeze`` and ``UnfreezingSchedule`` work,
            and see the groups of this half alone.
    """

    def __init__(self, network: nn.Module, calls: fx.Graph):
        super().__init__()
        self.card, self._calls = card_of(network), calls
        for call in calls.nodes:
            if call.op in ("call_module", "get_attr"):
                self._share(network, call.target)
        if hasattr(network, "group_matcher"):
            groups = network.group_matcher(coarse=True)
            self.group_matcher = lambda coarse=True: groups  # timm's, from names of parameters to groups
        self.training = network.training

    def _share(self, network: nn.Module, name: str) -> None:
        """Put what ``network`` has under a dotted name in the same place here."""
        *above, last = name.split(".")
        here, there = self, network
        for part in above:
            there = getattr(there, part)
            if not hasattr(here, part):
                here.add_module(part, nn.Module())
            here = getattr(here, part)
        shared = getattr(there, last)
        if isinstance(shared, torch.Tensor) and not isinstance(shared, nn.Parameter):
            here.register_buffer(last, shared)
        else:
            setattr(here, last, shared)

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return what the half makes of images, or of activations of the half below."""
        return fx.Interpreter(self, graph=self._calls).run(inputs)


def upper_half(model: nn.Module, at: str | int) -> HalfNetwork:
    """Return the layers above ``at`` as a network that takes the activations there and gives class scores.

    For training on what ``extract_features(model, data, at=at)`` has stored. Its parameters are those of ``model``,
    not copies. Put the new head on ``model`` first: a head that replaces another later is not seen here.

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


def halves(model: nn.Module, at: str | int) -> tuple[HalfNetwork, HalfNetwork]:
    """Return ``model`` up to ``at``, and above; ``upper(lower(images))`` is tried once and equals ``model(images)``.

    Raises:
        ValueError: as :func:`upper_half`.
    """
    groups = layer_groups(model)
    count = groups_below(model, at)
    try:
        with _modes_kept(model):
            calls = _calls(model, groups[:count])
            lower_calls, upper_calls = _cut(model, calls, groups[:count], groups[count:])
        lower, upper = HalfNetwork(model, lower_calls), HalfNetwork(model, upper_calls)
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


# --------------------------------------------------------------- reading the calls


class _Reader(fx.Tracer):
    """Record the calls of a forward pass, without looking into modules that lie wholly in one half."""

    def __init__(self, across: set[nn.Module]):
        super().__init__()
        self.across = across

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return module not in self.across


def _calls(model: nn.Module, below: list[LayerGroup]) -> fx.Graph:
    """Return the calls of a forward pass, which must be the same in training and in evaluation."""
    lower = _parameters(below)
    across = {m for m in model.modules() if len({p in lower for p in m.parameters()}) == 2}
    read = []
    for mode in (True, False):
        for module in across:
            module.training = mode
        read.append(_Reader(across).trace(model))
    if str(read[0]) != str(read[1]):
        raise ValueError("its forward pass in training is another than in evaluation")
    return read[0]


def _parameters(groups: Iterable[LayerGroup]) -> set[nn.Parameter]:
    return {parameter for group in groups for parameter in group.parameters.values()}


def _cut(
    model: nn.Module, calls: fx.Graph, below: list[LayerGroup], above: list[LayerGroup]
) -> tuple[fx.Graph, fx.Graph]:
    """Divide the calls where one tensor alone goes from the layers ``below`` to those ``above``.

    Below is all that a layer below needs. Above is every other call of a layer above, and all that follows from it.
    What is left lies between, parameters it has none: it goes below, so that little is stored.
    """
    lower_parameters, upper_parameters = _parameters(below), _parameters(above)
    upper_modules = {module for group in above for module in group.modules}
    lower, upper = set(), set()
    for call in reversed(calls.nodes):
        if lower_parameters & _own(model, call) or any(user in lower for user in call.users):
            lower.add(call)
    for call in calls.nodes:
        in_a_layer_above = upper_parameters & _own(model, call) or _target(model, call) in upper_modules
        follows = call.op == "output" or any(source in upper for source in call.all_input_nodes)
        if follows or (in_a_layer_above and call not in lower):
            upper.add(call)
    if upper & lower or any(upper_parameters & _own(model, call) for call in lower):
        raise ValueError("its layer groups do not run one after the other")
    crossing = {source for call in upper for source in call.all_input_nodes if source not in upper}
    if len(crossing) != 1:
        raise ValueError(f"{len(crossing)} values go from the lower half to the upper half, not one")
    needed = set(crossing)
    for call in reversed(calls.nodes):
        if any(user in needed for user in call.users) and call not in upper:
            needed.add(call)
    return _part(calls, needed, *crossing), _part(calls, upper, *crossing)


def _target(model: nn.Module, call: fx.Node) -> nn.Module | nn.Parameter | torch.Tensor | None:
    """Return the module or tensor of ``model`` that a call uses."""
    if call.op == "call_module":
        return model.get_submodule(call.target)
    if call.op == "get_attr":
        parent, _, last = call.target.rpartition(".")
        return getattr(model.get_submodule(parent), last)
    return None


def _own(model: nn.Module, call: fx.Node) -> set[nn.Parameter]:
    """Return the parameters that a call uses."""
    target = _target(model, call)
    return set(target.parameters()) if isinstance(target, nn.Module) else {target}


def _part(calls: fx.Graph, chosen: set[fx.Node], crossing: fx.Node) -> fx.Graph:
    """Return the ``chosen`` calls as a graph of their own, which ends or begins with the value that crosses."""
    part = fx.Graph()
    copies = {} if crossing in chosen else {crossing: part.placeholder("activations")}
    for call in calls.nodes:
        if call in chosen:
            copies[call] = part.node_copy(call, copies.__getitem__)
    if crossing in chosen:
        part.output(copies[crossing])
    return part


# ------------------------------------------------------------------- trying it out


@torch.no_grad()
def _require_equal(model: nn.Module, lower: nn.Module, upper: nn.Module) -> None:
    size, device = model.card.image_size, next(model.parameters()).device
    images = torch.rand(2, len(model.card.mean), size, size, generator=generator("trial of a cut")).to(device)
    with _modes_kept(model):
        model.eval()
        expected, found = model(images), upper(lower(images))
    if not torch.allclose(expected, found, rtol=1e-4, atol=1e-4 * float(expected.abs().max())):
        raise ValueError("its halves, one after the other, do not give what the network gives")


@contextmanager
def _modes_kept(model: nn.Module) -> Iterator[None]:
    """Give every module of ``model`` back the mode that it had, training or evaluation."""
    modes = {module: module.training for module in model.modules()}
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode
