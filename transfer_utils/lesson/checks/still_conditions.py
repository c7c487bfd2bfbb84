"""What must hold of a network whose BatchNorm statistics stay still while everything learns."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from .registry import NOTHING, Conditions
from .small_models import changed, state_of


def network() -> nn.Module:
    """Return a small network for images (N, 3, 4, 4) and three classes: two kinds of BatchNorm, and dropout."""
    body = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten())
    head = nn.Sequential(nn.Dropout(0.5), nn.Linear(32, 3))
    return nn.Sequential(OrderedDict(body=body, norm=nn.BatchNorm1d(32), head=head))


def norms_of(model: nn.Module) -> list[nn.Module]:
    """Return the BatchNorm layers of a model, of any kind."""
    return [module for module in model.modules() if isinstance(module, _BatchNorm)]


def pass_a_batch(model: nn.Module) -> None:
    """Take a step of training on random images; without one where nothing requires a gradient."""
    scores = model(3 * torch.randn(32, 3, 4, 4) + 2)
    if scores.requires_grad:
        functional.cross_entropy(scores, torch.arange(32) % 3).backward()
        torch.optim.SGD((p for p in model.parameters() if p.requires_grad), lr=0.1).step()


def statistics_that_moved(before: dict[str, torch.Tensor], model: nn.Module) -> list[str]:
    """Return the names of the running statistics that differ from ``before``."""
    return [name for name in changed(before, model) if "running" in name or "num_batches" in name]


def holds_still(answer: Callable) -> Conditions:
    """Let ``answer`` keep the statistics of a small network, and judge it by what training does to the network."""
    model = network()
    pass_a_batch(model.train())  # statistics of its own
    untouched = copy.deepcopy(model).eval()
    still = answer(model.train())
    yield still is not None, NOTHING
    yield still is model, "Return the model that you were given, not another one."
    images = torch.randn(32, 3, 4, 4)
    there = all(norm.running_mean is not None for norm in norms_of(model))
    yield there, "The running statistics are not there any more: BatchNorm then uses those of the batch, always."
    unchanged = len(norms_of(model)) == 2 and torch.allclose(untouched(images), model.eval()(images))
    yield unchanged, "Your function changed what the model computes in evaluation mode."
    yield from _learns_beside_them(answer)
    yield from _stays_still(model)
    yield from _survives_a_copy(model)


def _learns_beside_them(answer: Callable) -> Conditions:
    model = network()
    pass_a_batch(model.train())
    was_in_eval = not any(norm.training for norm in norms_of(answer(model)))
    before = state_of(model)
    pass_a_batch(model.train())
    moved, learned = statistics_that_moved(before, model), changed(before, model)
    yield not (moved and was_in_eval), f"The next `model.train()` undid your `eval()`: `{moved[:1]}` moved."
    still_2d = moved and not any(name.startswith("body") for name in moved)
    yield not still_2d, f"`{moved[:1]}` moved: there are other kinds of BatchNorm beside `BatchNorm2d`."
    uses_batch = all(norm.training for norm in norms_of(model))
    yield moved == [] or not uses_batch or any(n.endswith("running_mean") for n in moved), _OF_THE_BATCH
    yield not moved, f"The running statistics still move in training: `{moved[0] if moved else ''}`."
    yield not uses_batch, _OF_THE_BATCH
    yield "body.0.weight" in learned, "The network does not learn any more: only the statistics must stay."
    affine = {f"{name}.{kind}" for name in ("body.1", "norm") for kind in ("weight", "bias")} <= set(learned)
    yield affine, "The weight and bias of BatchNorm may learn; only its running statistics must stay."
    inputs = torch.randn(32, 32)
    drops = not torch.equal(model.head(inputs), model.head(inputs))
    yield drops, "After `model.train()` dropout is off: only BatchNorm stays in evaluation mode."


_OF_THE_BATCH = (
    "The running mean stays, and yet training normalises with the statistics of the batch: those of the batch are not "
    "those that the model will use."
)


def _stays_still(model: nn.Module) -> Conditions:
    for name, part in {"model.body": model.body, "nn.Sequential(model)": nn.Sequential(model)}.items():
        before = state_of(model.eval())
        part.train()
        model(torch.randn(32, 3, 4, 4))
        yield (
            not statistics_that_moved(before, model),
            f"`{name}.train()` undoes it: every BatchNorm must hold by itself.",
        )


def _survives_a_copy(model: nn.Module) -> Conditions:
    twin = copy.deepcopy(model.eval())
    before = state_of(twin)
    own = all(norm.train() is norm for norm in norms_of(twin))
    twin.train()(torch.randn(32, 3, 4, 4))
    own = own and not statistics_that_moved(before, twin)
    yield own, "A copy of the model does not hold still by itself: `train` must belong to the module it is called on."
