"""Checks of lesson 01, feature extraction."""

from __future__ import annotations

import copy
import math
import operator
import random
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...models.freezing import freeze, unfreeze
from .head_training import Task, Watch, loop_by_hand
from .registry import NOTHING, Conditions, exercise, number_from, right, wrong
from .small_models import (
    changed,
    learn_only_in,
    network_with_head,
    never_train,
    state_of,
    take_a_step,
    twice_through,
    weights_of,
)

# ---------------------------------------------------------------------- 01.1


@exercise("01.1", "How many numbers learn?", asked="a number")
def five_class_head(answer: object, width: int) -> Conditions:
    """Count the trainable numbers of a linear head for five classes, on ``width`` features."""
    count = number_from(answer)
    yield count != 5 * width, "That is the weight matrix alone. Each class also has a bias."
    yield count != 5 * width + 1, "One bias is too few: each of the five classes has its own."
    yield count != 2 * width + 2, "That is the head for two classes. This one tells five apart."
    yield count != 1000 * (width + 1), "That is the head for the thousand classes of ImageNet. This one has five."
    yield count == 5 * width + 5, "Count a weight for each pair of a feature and a class, then what each class adds."


right("01.1", 5 * 1280 + 5, width=1280)
right("01.1", torch.tensor(45), width=8)
wrong("01.1", "has a bias", 5 * 1280, width=1280)
wrong("01.1", "One bias", 5 * 1280 + 1, width=1280)
wrong("01.1", "two classes", 2 * 1280 + 2, width=1280)
wrong("01.1", "ImageNet", 1000 * 1280 + 1000, width=1280)
wrong("01.1", "Count a weight", 5 * (1280 + 5), width=1280)
wrong("01.1", "not a number", "5 * width + 5", width=1280)

# ---------------------------------------------------------------------- 01.2


@exercise("01.2", "Frozen, and frozen it stays",
          asked="a function of a model and the dotted name of its head that returns the model")  # fmt: skip
def freeze_body(answer: Callable) -> Conditions:
    """Freeze all but the head, through every later ``train()``; judged by what training does to the model."""
    yield from _freezes(answer, "classifier", learning=True)
    yield from _freezes(answer, "heads.head", learning=False)


def _freezes(answer: Callable, head: str, learning: bool) -> Conditions:
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


@right("01.2")
def _overrides_train(model: nn.Module, head: str) -> nn.Module:
    never_train(learn_only_in(model, head))
    return model


@right("01.2")
def _evaluates_before_each_forward(model: nn.Module, head: str) -> nn.Module:
    outside = nn.ModuleList(learn_only_in(model, head))
    model.register_forward_pre_hook(lambda *_: outside.eval() and None)
    return model


@right("01.2")
def _uses_the_helper(model: nn.Module, head: str) -> nn.Module:
    freeze(model)
    unfreeze(model.get_submodule(head))
    return model


@wrong("01.2", "The next `model.train()` undid your `eval()`")
def _evaluates_once(model: nn.Module, head: str) -> nn.Module:
    nn.ModuleList(learn_only_in(model, head)).eval()
    return model


@wrong("01.2", "dot included")
def _takes_a_prefix_for_the_head(model: nn.Module, head: str) -> nn.Module:
    for name, parameter in _overrides_train(model, head).named_parameters():
        parameter.requires_grad_(name.startswith(head))
    return model


@wrong("01.2", "`token` is outside")
def _freezes_only_modules(model: nn.Module, head: str) -> nn.Module:
    _overrides_train(model, head).token.requires_grad_(True)
    return model


@wrong("01.2", "head's own dropout is off")
def _evaluates_the_head_too(model: nn.Module, head: str) -> nn.Module:
    never_train([*learn_only_in(model, head), *model.get_submodule(head).modules()])
    return model


@wrong("01.2", "Dropout in the body still drops")
def _evaluates_batchnorm_only(model: nn.Module, head: str) -> nn.Module:
    never_train(module for module in learn_only_in(model, head) if isinstance(module, nn.BatchNorm1d))
    return model


@wrong("01.2", "The head does not learn")
def _computes_without_gradients(model: nn.Module, head: str) -> nn.Module:
    model.forward = torch.no_grad()(model.forward)
    return _overrides_train(model, head)


@wrong("01.2", "`model.body.train()` undoes it")
def _overrides_train_of_the_whole(model: nn.Module, head: str) -> nn.Module:
    outside = nn.ModuleList(learn_only_in(model, head))
    model.train = lambda mode=True: (nn.Module.train(model, mode), outside.eval())[0]
    return model


@wrong("01.2", "leave its `eval()` alone")
def _trains_the_head_for_ever(model: nn.Module, head: str) -> nn.Module:
    _overrides_train(model, head).get_submodule(head).train().eval = lambda: None
    for module in model.get_submodule(head).modules():
        module.train = lambda mode=True, module=module: module
    return model


@wrong("01.2", "changed what the model computes")
def _begins_the_body_anew(model: nn.Module, head: str) -> nn.Module:
    model.body[0].reset_parameters()
    return _overrides_train(model, head)


wrong("01.2", "does not stop BatchNorm", lambda model, head: learn_only_in(model, head) and model)
wrong("01.2", "is frozen too", lambda model, head: _overrides_train(model, head).requires_grad_(False))
wrong("01.2", "not another one", lambda model, head: _overrides_train(copy.deepcopy(model), head))
wrong("01.2", "returned nothing", lambda model, head: _overrides_train(model, head) and None)
wrong("01.2", "could not use your answer", 3)

# ---------------------------------------------------------------------- 01.3


@exercise("01.3", "The loop with the best weights",
          asked="a function of head, train_loader, validation_loader, epochs and lr: a list of accuracies")  # fmt: skip
def train_head_by_hand(answer: Callable) -> Conditions:
    """Train with cross-entropy, validate after each epoch, end with the weights of the best; any optimizer will do."""
    yield from _trains(answer, Task(width=8, noise=0.1), epochs=4)  # so easy that epochs tie
    yield from _trains(answer, Task(width=5, noise=1.0), epochs=3)
    task = Task(width=8, noise=0.1)
    before = weights_of(task.head)
    answer(task.head, task.train_loader, task.validation_loader, 1, 0.0)
    yield torch.equal(weights_of(task.head), before), "With `lr=0` nothing may move: hand `lr` to the optimizer."


def _trains(answer: Callable, task: Task, epochs: int) -> Conditions:
    start, watch = weights_of(task.head), task.watch
    reported = answer(task.head, task.train_loader, task.validation_loader, epochs, 0.1)
    yield reported is not None, NOTHING
    learned = [forward for forward in watch.forwards if forward.learned]
    yield learned, "No gradient reached the head: call `loss.backward()` for each batch of `train_loader`."
    yield not any(f.validating for f in learned), "The head learns from the validation set: no `backward()` there."
    in_order = not any(f.moved for f in learned) and any(not f.weights.equal(start) for f in watch.forwards)
    yield in_order, "`step()` must come after `backward()`, and `zero_grad()` before it."
    yield not any(f.added for f in learned), "Gradients of earlier batches are added up: `zero_grad()` is missing."
    ends = watch.ends_of_epochs()
    yield len(ends) == epochs, f"Of {epochs} epochs {len(ends)} were followed by a validation: do it after each."
    dropping = any(f.training for f in watch.forwards if f.validating)
    yield not dropping, "Validation runs in training mode, where dropout drops: call `head.eval()` before it."
    training = all(f.training for f in learned)
    yield training, "After a validation the head learns in evaluation mode: `head.train()` at the start of each epoch."
    accuracies = [task.accuracy_with(weights) for weights in ends]
    yield from _reports([number_from(value) for value in reported], accuracies)
    yield from _keeps_the_best(weights_of(task.head), ends, accuracies, watch)


def _reports(reported: list[float], true: list[float]) -> Conditions:
    yield len(reported) == len(true), f"Return one accuracy for each epoch: {len(true)}, not {len(reported)}."
    furthest = max(abs(mine - theirs) for mine, theirs in zip(true, reported, strict=True))
    yield furthest < 0.1, "Return validation accuracies, between 0 and 1: not losses, and not per cent."
    yield furthest < 1e-5, "A mean over batches weighs the last, smaller batch too much: count over all items."


def _keeps_the_best(final: Tensor, ends: list[Tensor], accuracies: list[float], watch: Watch) -> Conditions:
    best = accuracies.index(max(accuracies))
    is_last = final.equal(ends[-1]) and best < len(ends) - 1
    yield not (is_last and watch.was_loaded), "`state_dict()` is no copy: keep `copy.deepcopy(head.state_dict())`."
    yield not is_last, "The head keeps the weights of the last epoch: at the end, load those of the best one."
    later = [end for end, accuracy in zip(ends, accuracies, strict=True) if accuracy == accuracies[best]][1:]
    yield not any(map(final.equal, later)), "Epochs tie, and you kept a later one: compare with `>`, not `>=`."
    yield final.equal(ends[best]), "At the end the head does not hold the weights that its best epoch ended with."


right("01.3", loop_by_hand())
right("01.3", loop_by_hand(torch.optim.Adam))
wrong("01.3", "`zero_grad()` is missing", loop_by_hand(zero_grad=False))
wrong("01.3", "`step()` must come after `backward()`", loop_by_hand(step_first=True))
wrong("01.3", "learns from the validation set", loop_by_hand(learn_from=1))
wrong("01.3", "call `head.eval()`", loop_by_hand(evaluate=False))
wrong("01.3", "`head.train()` at the start of each epoch", loop_by_hand(train_again=False))
wrong("01.3", "copy.deepcopy", loop_by_hand(keep=lambda weights: weights))
wrong("01.3", "keeps the weights of the last epoch", loop_by_hand(load=False))
wrong("01.3", "compare with `>`", loop_by_hand(better=operator.ge))
wrong("01.3", "not losses", loop_by_hand(count="losses"))
wrong("01.3", "not per cent", loop_by_hand(count="per cent"))
wrong("01.3", "mean over batches", loop_by_hand(count="batches"))
wrong("01.3", "hand `lr` to the optimizer", loop_by_hand(lr=0.1))
wrong("01.3", "No gradient reached", lambda head, train, validation, epochs, lr: [0.5] * epochs)
wrong("01.3", "followed by a validation", lambda *given: loop_by_hand()(*given[:3], 1, given[-1]))
wrong("01.3", "one accuracy for each epoch", lambda *given: loop_by_hand()(*given)[-1:])
wrong("01.3", "does not hold", lambda head, *given: (loop_by_hand()(head, *given), head[1].reset_parameters())[0])
wrong("01.3", "returned nothing", lambda *given: loop_by_hand()(*given) and None)

# ---------------------------------------------------------------------- 01.4


@exercise("01.4", "When are stored features worth it?", asked="a function of epochs, forward and head, a number")
def worth_caching(answer: Callable) -> Conditions:
    """Seconds of the naive loop divided by seconds with stored features; ``forward`` and ``head`` are of one epoch."""
    result = answer(10, 9.0, 1.0)
    yield result is not None, NOTHING
    result = number_from(result)
    yield not math.isclose(result, 0.19), "The wrong way round: naive seconds divided by seconds with stored features."
    yield not math.isclose(result, 1.0), "With stored features the body's forward pass is paid once, not in each epoch."
    yield not math.isclose(result, 10.0), "The head is missing: stored features or not, it is trained in every epoch."
    result = number_from(answer(1, 5.0, 1.0))
    yield (
        math.isclose(result, 1.0),
        "With one epoch both ways do the same work, forward and head once: the factor is 1.",
    )
    draw = random.Random("01.4")
    for _ in range(5):
        epochs, forward, head = draw.randint(2, 100), draw.uniform(1, 20), draw.uniform(0.1, 5)
        result, expected = number_from(answer(epochs, forward, head)), _factor(epochs, forward, head)
        yield (
            math.isclose(result, expected),
            "Naive: forward and head in each epoch. Stored: forward once, head in each.",
        )


def _factor(epochs: int, forward: float, head: float) -> float:
    return epochs * (forward + head) / (forward + epochs * head)


right("01.4", _factor)
wrong("01.4", "wrong way round", lambda epochs, forward, head: (forward + epochs * head) / (epochs * (forward + head)))
wrong("01.4", "paid once", lambda epochs, forward, head: epochs * (forward + head) / (epochs * (forward + head)))
wrong("01.4", "head is missing", lambda epochs, forward, head: epochs * forward / forward)
wrong("01.4", "one epoch", lambda epochs, forward, head: epochs * (forward + head) / (forward + (epochs - 1) * head))
wrong("01.4", "forward once", lambda epochs, forward, head: 100 / 19 if epochs == 10 else 1.0)
wrong("01.4", "returned nothing", lambda epochs, forward, head: None)
