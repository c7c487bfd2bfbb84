"""Small models to try an answer on, and what of them moved."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional


def network_with_head(head: str) -> nn.Module:
    """Return a small network for features of width 6 and three classes, with all that a freeze can miss.

    It has a parameter of its own (``token``), a ``body`` with BatchNorm and dropout, and beside the head a norm whose
    name begins as the head's does. The head has dropout of its own.

    Args:
        head: its dotted name, e.g. ``"classifier"`` or ``"heads.head"``.
    """
    body = nn.Sequential(nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.5))
    group, _, name = head.rpartition(".")
    end = OrderedDict([(f"{name}_norm", nn.BatchNorm1d(16)), (name, nn.Sequential(nn.Dropout(0.5), nn.Linear(16, 3)))])
    model = nn.Sequential(OrderedDict(body=body, **({group: nn.Sequential(end)} if group else end)))
    model.register_parameter("token", nn.Parameter(torch.randn(6)))  # as the class token of a vision transformer
    return model


def take_a_step(model: nn.Module) -> None:
    """Take a step of training on random features with what requires a gradient; none where nothing does."""
    scores = model(torch.randn(32, 6))
    if scores.requires_grad:
        functional.cross_entropy(scores, torch.arange(32) % 3).backward()
        torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1).step()


def twice_through(model: nn.Module, head: str) -> list[tuple[Tensor, Tensor]]:
    """Return what goes into the head and what comes out of it, for the same features, two times."""
    seen = []
    watched = model.get_submodule(head).register_forward_hook(lambda _, into, out: seen.append((into[0], out)))
    features = torch.randn(32, 6)
    for _ in range(2):
        model(features)
    watched.remove()
    return seen


def state_of(model: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all parameters and buffers, by name."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def changed(before: dict[str, Tensor], model: nn.Module, *, outside: str = "") -> list[str]:
    """Return the names of the tensors that differ from ``before``, without those of the head ``outside``."""
    names = [name for name, now in model.state_dict().items() if name in before and not before[name].equal(now)]
    return [name for name in names if not outside or not name.startswith(f"{outside}.")]


def weights_of(module: nn.Module) -> Tensor:
    """Return a copy of all parameters in one row."""
    return torch.cat([p.detach().cpu().flatten() for p in module.parameters()])


def learn_only_in(model: nn.Module, head: str) -> list[nn.Module]:
    """Set who requires a gradient, and return the modules outside the head that do not hold it."""
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(f"{head}."))
    named = [(f"{name}.", module) for name, module in model.named_modules() if name]
    return [module for name, module in named if not (name.startswith(f"{head}.") or f"{head}.".startswith(name))]


def never_train(modules: Iterable[nn.Module]) -> None:
    """Keep ``modules`` in evaluation mode, whatever asks for another; their copies too."""
    for module in modules:
        module.train = functools.partial(stay_in_evaluation, module)  # a copy of it holds the copy of the module
        module.eval()


def stay_in_evaluation(module: nn.Module, mode: bool = True) -> nn.Module:
    """Stand in for the ``train`` of ``module``: evaluation mode, whatever ``mode`` asks for."""
    return nn.Module.train(module, False)
