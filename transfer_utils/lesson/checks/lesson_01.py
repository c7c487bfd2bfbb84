"""Checks of lesson 01, feature extraction."""

from __future__ import annotations

import copy
import functools
import math
import operator
import types
from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional

from ...models.freezing import freeze, unfreeze
from .drifted_features import drifted_features, two_accuracies, two_heads
from .freeze_conditions import freezes
from .head_training import Task
from .registry import NOTHING, Conditions, exercise, number_from, right, wrong
from .small_models import learn_only_in, never_train, stay_in_evaluation, weights_of
from .training_conditions import trains
from .training_loops import loop_by_hand

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
    """Freeze every layer outside the head, through every later ``train()``; what training does to it is judged."""
    yield from freezes(answer, "classifier", learning=True)
    yield from freezes(answer, "heads.head", learning=False)


@right("01.2")
def _overrides_train(model: nn.Module, head: str) -> nn.Module:
    never_train(learn_only_in(model, head))
    return model


@right("01.2")
def _evaluates_before_each_forward(model: nn.Module, head: str) -> nn.Module:
    learn_only_in(model, head)
    model.register_forward_pre_hook(lambda model, _: nn.ModuleList(learn_only_in(model, head)).eval() and None)
    return model


@right("01.2")
def _swaps_the_class(model: nn.Module, head: str) -> nn.Module:
    for module in learn_only_in(model, head):
        module.__class__ = type("Frozen", (type(module),), {"train": stay_in_evaluation})
        module.eval()
    return model


@right("01.2")
def _binds_a_method(model: nn.Module, head: str) -> nn.Module:
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name.startswith(head + ".")
    inside = set(model.get_submodule(head).modules())
    for module in model.modules():
        if inside.isdisjoint(module.modules()):  # neither in the head nor around it
            module.train = types.MethodType(stay_in_evaluation, module)  # a copy of the module gets its own
            module.eval()
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


@wrong("01.2", "calls the `train` of the original")
def _binds_the_original(model: nn.Module, head: str) -> nn.Module:
    for module in learn_only_in(model, head):
        module.train = lambda mode=True, module=module: nn.Module.train(module, False)
        module.eval()
    return model


@wrong("01.2", "`copy.deepcopy(model)` is not frozen")
def _evaluates_the_original_before_each_forward(model: nn.Module, head: str) -> nn.Module:
    outside = nn.ModuleList(learn_only_in(model, head))
    model.register_forward_pre_hook(lambda *_: outside.eval() and None)
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
    yield from trains(answer, Task(width=8, noise=0.1, outliers=True), epochs=4)  # the lowest loss is not the best
    yield from trains(answer, Task(width=8, noise=0.1), epochs=4)  # so easy that epochs tie
    yield from trains(answer, Task(width=5, noise=1.0), epochs=3)
    task = Task(width=8, noise=0.1)
    before = weights_of(task.head)
    answer(task.head, task.train_loader, task.validation_loader, 1, 0.0)
    yield torch.equal(weights_of(task.head), before), "With `lr=0` nothing may move: hand `lr` to the optimizer."


right("01.3", loop_by_hand())
right("01.3", loop_by_hand(torch.optim.Adam))
right("01.3", loop_by_hand(loss_of=lambda scores, labels: functional.nll_loss(scores.log_softmax(1), labels)))
wrong("01.3", "wrong sign", loop_by_hand(loss_of=lambda *given: -functional.cross_entropy(*given)))
wrong("01.3", "summed", loop_by_hand(loss_of=functools.partial(functional.cross_entropy, reduction="sum")))
wrong("01.3", "not probabilities", loop_by_hand(loss_of=lambda s, names: functional.cross_entropy(s.softmax(1), names)))
wrong("01.3", "the batch's labels", loop_by_hand(loss_of=lambda s, names: functional.cross_entropy(s, 0 * names)))
wrong("01.3", "`1.weight` never moved", loop_by_hand(learning=lambda head: [head[1].bias]))
wrong("01.3", "`1.bias` never moved", loop_by_hand(learning=lambda head: [head[1].weight]))
wrong("01.3", "Only 4 of 48 batches", loop_by_hand(batches=1))
wrong("01.3", "the lowest validation loss", loop_by_hand(best_by="lower loss"))
wrong("01.3", "other features", lambda head, train, *rest: loop_by_hand()(head, [(2 * x, y) for x, y in train], *rest))
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


@exercise("01.4", "Is a drifted network ruined?",
          asked="a function of train, validation and old_head that returns two accuracies")  # fmt: skip
def old_and_new_head(answer: Callable) -> Conditions:
    """Judge the old head and a new one on features that moved; where training and validation contradict, too."""
    moved, contradicting = drifted_features(), drifted_features(contradicting=True)
    before = weights_of(moved.old_head)
    result = answer(moved.train, moved.validation, moved.old_head)
    yield result is not None, NOTHING
    old, new = two_accuracies(result)
    yield torch.equal(weights_of(moved.old_head), before), "`old_head` has changed. The new head is a layer of its own."
    yield max(old, new) <= 1, "Accuracies are between 0 and 1, not per cent."
    yield (
        not (math.isclose(new, moved.of_old_head, abs_tol=1e-4) and old > new),
        "The wrong way round: first the accuracy of `old_head`, then that of the new head.",
    )
    yield math.isclose(old, moved.of_old_head, abs_tol=1e-4), "Judge `old_head` as it is, on `validation.values`."
    yield not math.isclose(new, old, abs_tol=1e-4), "Both numbers are those of the old head. Where is the new one?"
    yield (
        math.isclose(new * len(moved.validation.labels), round(new * len(moved.validation.labels)), abs_tol=1e-4),
        "The new head was not judged on the validation items: its accuracy is no share of their number.",
    )
    yield new > 0.8, "The new head has not learned: on these features another one is right for nearly all. More steps?"
    _, new = two_accuracies(answer(contradicting.train, contradicting.validation, contradicting.old_head))
    yield new < 0.5, "The new head has learned from validation items. Train it on `train` alone."


right("01.4", two_heads())
right("01.4", two_heads(epochs=60))
right("01.4", lambda *given: torch.tensor(two_heads()(*given)))
wrong("01.4", "has changed", two_heads(same_head=True))
wrong("01.4", "not per cent", lambda *given: [100 * share for share in two_heads()(*given)])
wrong("01.4", "wrong way round", lambda *given: two_heads()(*given)[::-1])
wrong("01.4", "as it is", lambda *given: [0.5, two_heads()(*given)[1]])
wrong("01.4", "Where is the new one", lambda *given: [two_heads()(*given)[0]] * 2)
wrong("01.4", "not judged on the validation items", two_heads(judge_on="train"))
wrong("01.4", "has not learned", two_heads(epochs=0))
wrong("01.4", "learned from validation items", two_heads(learn_from="validation"))
wrong("01.4", "two accuracies", lambda *given: two_heads()(*given)[1])
wrong("01.4", "returned nothing", lambda *given: None)
