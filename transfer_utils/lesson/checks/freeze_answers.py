"""Right and wrong answers to 01.2, functions that freeze a network outside its head."""

from __future__ import annotations

import types

import torch
from torch import nn

from ...models.freezing import freeze, unfreeze
from .small_models import learn_only_in, never_train, stay_in_evaluation


def overrides_train(model: nn.Module, head: str) -> nn.Module:
    """Freeze as it should be: each module outside the head has a ``train`` that keeps it still."""
    never_train(learn_only_in(model, head))
    return model


def evaluates_before_each_forward(model: nn.Module, head: str) -> nn.Module:
    """Put the body right before each forward pass, of whichever copy."""
    learn_only_in(model, head)
    model.register_forward_pre_hook(lambda model, _: nn.ModuleList(learn_only_in(model, head)).eval() and None)
    return model


def swaps_the_class(model: nn.Module, head: str) -> nn.Module:
    """Give each module a class whose ``train`` keeps it still."""
    for module in learn_only_in(model, head):
        module.__class__ = type("Frozen", (type(module),), {"train": stay_in_evaluation})
        module.eval()
    return model


def binds_a_method(model: nn.Module, head: str) -> nn.Module:
    """Bind ``train`` as a method."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(head + ".")
    inside = set(model.get_submodule(head).modules())
    for module in model.modules():
        if inside.isdisjoint(module.modules()):  # neither in the head nor around it
            module.train = types.MethodType(stay_in_evaluation, module)  # a copy of the module gets its own
            module.eval()
    return model


def uses_the_helper(model: nn.Module, head: str) -> nn.Module:
    """Freeze with the helper of the course."""
    freeze(model)
    unfreeze(model.get_submodule(head))
    return model


def evaluates_once(model: nn.Module, head: str) -> nn.Module:
    """Call ``eval()`` and trust that nobody calls ``train()``."""
    nn.ModuleList(learn_only_in(model, head)).eval()
    return model


def takes_a_prefix_for_the_head(model: nn.Module, head: str) -> nn.Module:
    """Take for the head what only begins with its name."""
    for name, parameter in overrides_train(model, head).named_parameters():
        parameter.requires_grad_(name.startswith(head))
    return model


def freezes_only_modules(model: nn.Module, head: str) -> nn.Module:
    """Forget a parameter that the model holds itself."""
    overrides_train(model, head).token.requires_grad_(True)
    return model


def evaluates_the_head_too(model: nn.Module, head: str) -> nn.Module:
    """Keep the head in evaluation mode as well."""
    never_train([*learn_only_in(model, head), *model.get_submodule(head).modules()])
    return model


def evaluates_batchnorm_only(model: nn.Module, head: str) -> nn.Module:
    """Forget dropout."""
    never_train(module for module in learn_only_in(model, head) if isinstance(module, nn.BatchNorm1d))
    return model


def computes_without_gradients(model: nn.Module, head: str) -> nn.Module:
    """Compute the head, too, without gradients."""
    model.forward = torch.no_grad()(model.forward)
    return overrides_train(model, head)


def overrides_train_of_the_whole(model: nn.Module, head: str) -> nn.Module:
    """Forget that a part of the model may be asked to train."""
    outside = nn.ModuleList(learn_only_in(model, head))
    model.train = lambda mode=True: (nn.Module.train(model, mode), outside.eval())[0]
    return model


def binds_the_original(model: nn.Module, head: str) -> nn.Module:
    """Bind a ``train`` that a copy of the model shares."""
    for module in learn_only_in(model, head):
        module.train = lambda mode=True, module=module: nn.Module.train(module, False)
        module.eval()
    return model


def evaluates_the_original_before_each_forward(model: nn.Module, head: str) -> nn.Module:
    """Put the original right when a copy computes."""
    outside = nn.ModuleList(learn_only_in(model, head))
    model.register_forward_pre_hook(lambda *_: outside.eval() and None)
    return model


def trains_the_head_for_ever(model: nn.Module, head: str) -> nn.Module:
    """Take the head's ``eval`` away."""
    overrides_train(model, head).get_submodule(head).train().eval = lambda: None
    for module in model.get_submodule(head).modules():
        module.train = lambda mode=True, module=module: module
    return model


def begins_the_body_anew(model: nn.Module, head: str) -> nn.Module:
    """Throw away what the body has learned."""
    model.body[0].reset_parameters()
    return overrides_train(model, head)


def sets_momentum_to_zero(model: nn.Module, head: str) -> nn.Module:
    """Hold the running statistics in training mode, which goes on normalising with those of the batch."""
    for module in learn_only_in(model, head):
        if isinstance(module, nn.BatchNorm1d):
            module.momentum = 0.0
    return sets_dropout_to_zero(model, head)


def stops_counting(model: nn.Module, head: str) -> nn.Module:
    """Take away the count of batches as well: then no buffer moves in training mode."""
    for module in learn_only_in(model, head):
        if isinstance(module, nn.BatchNorm1d):
            module.num_batches_tracked = None
    return sets_momentum_to_zero(model, head)


def sets_dropout_to_zero(model: nn.Module, head: str) -> nn.Module:
    """Let nothing be dropped, not by the mode, but for ever."""
    for module in learn_only_in(model, head):
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        elif not isinstance(module, nn.BatchNorm1d):
            never_train([module])
    return model


def sets_dropout_to_zero_beside_batchnorm(model: nn.Module, head: str) -> nn.Module:
    """Keep BatchNorm in evaluation mode, and dropout in training mode without anything to drop."""
    sets_dropout_to_zero(model, head)
    never_train(module for module in learn_only_in(model, head) if isinstance(module, nn.BatchNorm1d))
    return model


def puts_the_buffers_back(model: nn.Module, head: str) -> nn.Module:
    """Let BatchNorm train, and put its buffers back after each forward pass."""

    def note(module: nn.Module, _: object) -> None:
        module.noted = {name: buffer.clone() for name, buffer in module.named_buffers()}

    def put_back(module: nn.Module, *_: object) -> None:
        for name, buffer in module.named_buffers():
            buffer.copy_(module.noted[name])

    for module in learn_only_in(model, head):
        if isinstance(module, nn.BatchNorm1d):
            module.register_forward_pre_hook(note)
            module.register_forward_hook(put_back)
        else:
            never_train([module])
    return model


def knows_two_kinds_of_layer(model: nn.Module, head: str) -> nn.Module:
    """Keep BatchNorm and dropout still, and no layer of another kind that has a mode."""
    modules = learn_only_in(model, head)
    never_train(module for module in modules if isinstance(module, (nn.BatchNorm1d, nn.Dropout)))
    return model
