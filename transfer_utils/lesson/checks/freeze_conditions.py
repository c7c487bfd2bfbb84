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
    model = network_with_head(head).requires_grad_(learning)
    norm = model.body[1]
    frozen = answer(model.train(), head)
    yield frozen is not None, NOTHING
    yield frozen is model, "Return the model that you were given, not another one."
    for name, parameter in model.named_parameters():
        in_head, learns = name.startswith(f"{head}."), parameter.requires_grad
        yield learns or not in_head, f"The head `{head}` is frozen too: its parameters must require a gradient."
        hint = f" A name in the head starts with `{head}.`, dot included." * name.startswith(head)
        yield in_head or not learns, f"`{name}` is outside the head `{head}`, and still requires a gradient.{hint}"
    was_in_eval = not norm.training
    before = state_of(model.train())
    take_a_step(model)
    moved = next(iter(changed(before, model, outside=head)), "")
    yield not (moved and was_in_eval), f"The next `model.train()` undid your `eval()`: the buffer `{moved}` moved."
    yield not moved, f"`requires_grad` does not stop BatchNorm: in training mode the buffer `{moved}` moved."
    yield len(changed(before, model)) == 2, "The head does not learn: no gradient reaches it, or its weights stay."
    yield from _drops_only_in_the_head(model, head)
    yield from _stays_frozen(model, head)
    yield from _survives_a_copy(model, head)
    model, inputs = network_with_head(head), torch.randn(32, 6)
    expected, model = model.eval()(inputs), answer(model.train(), head)
    yield torch.allclose(expected, model.eval()(inputs)), "Your function changed what the model computes."


def _drops_only_in_the_head(model: nn.Module, head: str) -> Conditions:
    (into, out), (into_again, out_again) = twice_through(model.train(), head)
    yield torch.equal(into, into_again), "Dropout in the body still drops: BatchNorm is not the only layer with a mode."
    yield not torch.equal(out, out_again), "After `model.train()` the head's own dropout is off: the head must train."
    (_, out), (_, out_again) = twice_through(model.eval(), head)
    yield torch.equal(out, out_again), "After `model.eval()` the head's dropout still drops: leave its `eval()` alone."


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
