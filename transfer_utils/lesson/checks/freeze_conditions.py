"""What must hold of a network that is frozen outside its head."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import nn

from .registry import NOTHING, Conditions
from .small_models import changed, network_with_head, state_of, take_a_step, twice_through


def freezes(answer: Callable, head: str, learning: bool) -> Conditions:
    """Let ``answer`` freeze a small network outside ``head``, and judge it by what training does to the network.

    Args:
        head: dotted name of the head.
        learning: whether all parameters require a gradient when the answer is given the network, or none.
    """
    model = _used_network(head).requires_grad_(learning)
    norm, built, names = model.body[1], settings_of(model), list(model.state_dict())
    frozen = answer(model.train(), head)
    yield frozen is not None, NOTHING
    yield frozen is model, "Return the model that you were given, not another one."
    yield from _learns_only_in_the_head(model, head)
    was_in_eval = not norm.training
    before = state_of(model.train())
    yield from _keeps_its_layers(model, names, built)
    take_a_step(model)
    moved = next(iter(changed(before, model, outside=head)), "")
    yield not (moved and was_in_eval), f"The next `model.train()` undid your `eval()`: the buffer `{moved}` moved."
    yield not moved, f"`requires_grad` does not stop BatchNorm: in training mode the buffer `{moved}` moved."
    yield len(changed(before, model)) == 2, "The head does not learn: no gradient reaches it, or its weights stay."
    yield from _drops_only_in_the_head(model, head)
    yield from _computes_as_in_evaluation(model, head)
    yield from _stays_frozen(model, head)
    yield from _survives_a_copy(model, head)
    model, inputs = _used_network(head), torch.randn(32, 6)
    expected, model = model.eval()(inputs), answer(model.train(), head)
    yield torch.allclose(expected, model.eval()(inputs)), "Your function changed what the model computes."


def settings_of(model: nn.Module) -> dict[str, object]:
    """Return the numbers and truths that the layers were built with, e.g. ``body.1.momentum``, without their mode."""
    settings = {}
    for name, module in model.named_modules():
        values = ((key, value) for key, value in vars(module).items() if isinstance(value, (bool, int, float)))
        settings |= {f"{name}.{key}": value for key, value in values if key != "training" and not key.startswith("_")}
    return settings


def _used_network(head: str) -> nn.Module:
    """Return a small network that has measured running statistics, so that one that forgets them computes otherwise."""
    model = network_with_head(head)
    model.train()(3 * torch.randn(32, 6) + 2)
    return model


def _learns_only_in_the_head(model: nn.Module, head: str) -> Conditions:
    for name, parameter in model.named_parameters():
        in_head, learns = name.startswith(f"{head}."), parameter.requires_grad
        yield learns or not in_head, f"The head `{head}` is frozen too: its parameters must require a gradient."
        hint = f" A name in the head starts with `{head}.`, dot included." * name.startswith(head)
        yield in_head or not learns, f"`{name}` is outside the head `{head}`, and still requires a gradient.{hint}"


def _keeps_its_layers(model: nn.Module, names: list[str], built: dict[str, object]) -> Conditions:
    """Without its settings a layer can hold still in training mode; it is another layer then, and not a frozen one."""
    now, there = settings_of(model), model.state_dict()
    lost = next((name for name in names if name not in there), "")
    yield not lost, f"`{lost}` is not there any more: keep every layer with its buffers, under its name."
    other = next((name for name, value in built.items() if name not in now or now[name] != value), "")
    yield not other, f"`{other}` was changed: a frozen layer keeps its settings. It is its mode that has to stay."


def _drops_only_in_the_head(model: nn.Module, head: str) -> Conditions:
    (into, out), (into_again, out_again) = twice_through(model.train(), head)
    yield torch.equal(into, into_again), "Dropout in the body still drops: BatchNorm is not the only layer with a mode."
    yield not torch.equal(out, out_again), "After `model.train()` the head's own dropout is off: the head must train."
    (_, out), (_, out_again) = twice_through(model.eval(), head)
    yield torch.equal(out, out_again), "After `model.eval()` the head's dropout still drops: leave its `eval()` alone."


def _computes_as_in_evaluation(model: nn.Module, head: str) -> Conditions:
    """After ``train()`` the same goes into the head as after ``eval()``; buffers that stay do not prove it."""
    features = torch.randn(32, 6)
    in_training, in_evaluation = (_into_head(model.train(mode), head, features) for mode in (True, False))
    yield (
        torch.allclose(in_training, in_evaluation, atol=1e-6),
        "No buffer moves, and yet the body normalises with the statistics of the batch after `model.train()`.",
    )
    name = next(iter(_in_training_mode(model.train(), head)), "")
    yield (
        not name,
        f"After `model.train()` `{name}` is in training mode: no layer outside the head may be, of any kind.",
    )


def _into_head(model: nn.Module, head: str, features: torch.Tensor) -> torch.Tensor:
    seen = []
    watched = model.get_submodule(head).register_forward_pre_hook(lambda _, into: seen.append(into[0]))
    model(features)
    watched.remove()
    return seen[0]


def _in_training_mode(model: nn.Module, head: str) -> list[str]:
    """Return the layers outside the head that compute in training mode; one may put itself right before it computes."""
    modes, hooks = {}, []
    for name, module in model.named_modules():
        if not (list(module.children()) or f"{name}.".startswith(f"{head}.")):  # neither a container nor in the head
            modes[name] = []
            hooks.append(module.register_forward_pre_hook(lambda one, _, at=modes[name]: at.append(one.training)))
            hooks.append(module.register_forward_hook(lambda one, *_, at=modes[name]: at.append(one.training)))
    model(torch.randn(32, 6))
    for hook in hooks:
        hook.remove()
    return [name for name, seen in modes.items() if seen and all(seen)]


def _stays_frozen(model: nn.Module, head: str) -> Conditions:
    parts = {f"model.{name}": part for name, part in model.named_children() if name != head}
    for name, part in {**parts, "nn.Sequential(model)": nn.Sequential(model)}.items():
        before = state_of(model.eval())
        part.train()
        model(torch.randn(32, 6))
        kept = not changed(before, model, outside=head)
        yield kept, f"`{name}.train()` undoes it: each module outside the head must stay in evaluation mode."


def _survives_a_copy(model: nn.Module, head: str) -> Conditions:
    twin = copy.deepcopy(model.eval())
    before, returned = state_of(twin), {part: part.train() for part in reversed(list(twin.modules()))}
    own = all(part is other for part, other in returned.items() if isinstance(other, nn.Module))
    own = own and not any(part.training for part in model.modules())
    yield own, "A copy of the model calls the `train` of the original: hand `train` the module that it belongs to."
    twin(torch.randn(32, 6))
    moved = next(iter(changed(before, twin, outside=head)), "")
    yield not moved, f"`copy.deepcopy(model)` is not frozen: in its training mode the buffer `{moved}` moved."
