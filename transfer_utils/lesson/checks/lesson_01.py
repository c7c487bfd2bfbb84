"""Checks of lesson 01, feature extraction."""

from __future__ import annotations

import copy
import functools
import operator
from collections.abc import Callable

import torch
from torch.nn import functional

from . import freeze_answers
from .drifted_conditions import begins_anew_and_sees_training_items_alone, judges_two_heads
from .drifted_features import drifted_features, shuffled_anew, two_accuracies, two_heads
from .freeze_conditions import freezes
from .head_training import Task
from .registry import NOTHING, Conditions, exercise, number_from, right, wrong
from .small_models import learn_only_in, weights_of
from .training_conditions import trains
from .training_loops import OneForEachParameter, StepsByHand, loop_by_hand

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


right("01.2", freeze_answers.overrides_train)
right("01.2", freeze_answers.evaluates_before_each_forward)
right("01.2", freeze_answers.swaps_the_class)
right("01.2", freeze_answers.binds_a_method)
right("01.2", freeze_answers.uses_the_helper)
wrong("01.2", "The next `model.train()` undid your `eval()`", freeze_answers.evaluates_once)
wrong("01.2", "dot included", freeze_answers.takes_a_prefix_for_the_head)
wrong("01.2", "`token` is outside", freeze_answers.freezes_only_modules)
wrong("01.2", "head's own dropout is off", freeze_answers.evaluates_the_head_too)
wrong("01.2", "Dropout in the body still drops", freeze_answers.evaluates_batchnorm_only)
wrong("01.2", "The head does not learn", freeze_answers.computes_without_gradients)
wrong("01.2", "`model.body.train()` undoes it", freeze_answers.overrides_train_of_the_whole)
wrong("01.2", "calls the `train` of the original", freeze_answers.binds_the_original)
wrong("01.2", "`copy.deepcopy(model)` is not frozen", freeze_answers.evaluates_the_original_before_each_forward)
wrong("01.2", "leave its `eval()` alone", freeze_answers.trains_the_head_for_ever)
wrong("01.2", "changed what the model computes", freeze_answers.begins_the_body_anew)
wrong("01.2", "`body.1.momentum` was changed", freeze_answers.sets_momentum_to_zero)
wrong("01.2", "`body.1.num_batches_tracked` is not there", freeze_answers.stops_counting)
wrong("01.2", "`body.3.p` was changed", freeze_answers.sets_dropout_to_zero_beside_batchnorm)
wrong("01.2", "with the statistics of the batch", freeze_answers.puts_the_buffers_back)
wrong("01.2", "`body.0` is in training mode", freeze_answers.knows_two_kinds_of_layer)
wrong("01.2", "does not stop BatchNorm", lambda model, head: learn_only_in(model, head) and model)
wrong("01.2", "is frozen too", lambda model, head: freeze_answers.overrides_train(model, head).requires_grad_(False))
wrong("01.2", "not another one", lambda model, head: freeze_answers.overrides_train(copy.deepcopy(model), head))
wrong("01.2", "returned nothing", lambda model, head: freeze_answers.overrides_train(model, head) and None)
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
right("01.3", loop_by_hand(OneForEachParameter))
right("01.3", loop_by_hand(StepsByHand))
wrong("01.3", "48 optimizers took steps", loop_by_hand(torch.optim.Adam, again="batch"))
wrong("01.3", "4 optimizers took steps, one after another", loop_by_hand(again="epoch"))
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
    moved = drifted_features()
    before = weights_of(moved.old_head)
    result = answer(moved.train, moved.validation, moved.old_head)
    yield result is not None, NOTHING
    old, new = two_accuracies(result)
    yield torch.equal(weights_of(moved.old_head), before), "`old_head` has changed. The new head is a layer of its own."
    yield from judges_two_heads(old, new, moved)
    yield from begins_anew_and_sees_training_items_alone(answer)


right("01.4", two_heads())
right("01.4", two_heads(epochs=60))
right("01.4", two_heads(begin="copy with new weights"))
right("01.4", two_heads(order_of=shuffled_anew))
right("01.4", lambda *given: torch.tensor(two_heads()(*given)))
wrong("01.4", "has changed", two_heads(begin="old head"))
wrong("01.4", "not per cent", lambda *given: [100 * share for share in two_heads()(*given)])
wrong("01.4", "wrong way round", lambda *given: two_heads()(*given)[::-1])
wrong("01.4", "as it is", lambda *given: [0.5, two_heads()(*given)[1]])
wrong("01.4", "Where is the new one", lambda *given: [two_heads()(*given)[0]] * 2)
wrong("01.4", "not judged on the validation items", two_heads(judge_on="train"))
wrong("01.4", "has not learned", two_heads(epochs=0))
wrong("01.4", "learned from validation items", two_heads(learn_from="validation"))
wrong("01.4", "learned from validation items. Train it on", two_heads(learn_from="both"))
wrong("01.4", "had a say", two_heads(report="best epoch"))
wrong("01.4", "depends on the weights of `old_head`", two_heads(begin="old weights", lr=0.03))
wrong("01.4", "two accuracies", lambda *given: two_heads()(*given)[1])
wrong("01.4", "returned nothing", lambda *given: None)
