"""What must hold of a loop that trains a head and keeps its best weights."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from .head_training import Forward, Task, Watch
from .registry import NOTHING, Conditions, number_from
from .small_models import weights_of


def trains(answer: Callable, task: Task, epochs: int) -> Conditions:
    """Let ``answer`` train the head of ``task``, and judge each batch, each validation and the weights at the end."""
    start, watch = weights_of(task.head), task.watch
    with watch.over_steps():
        reported = answer(task.head, task.train_loader, task.validation_loader, epochs, 0.1)
    yield reported is not None, NOTHING
    learned = watch.learned()
    yield learned, "No gradient reached the head: call `loss.backward()` for each batch of `train_loader`."
    yield not any(f.validating for f in learned), "The head learns from the validation set: no `backward()` there."
    in_order = not any(f.moved for f in learned) and any(not f.weights.equal(start) for f in watch.forwards)
    yield in_order, "`step()` must come after `backward()`, and `zero_grad()` before it."
    for name in _never_moved(task.head, start, watch):
        yield False, f"`{name}` never moved: give the optimizer all of `head.parameters()`."
    yield not any(f.added for f in learned), "Gradients of earlier batches are added up: `zero_grad()` is missing."
    yield from _lowers_cross_entropy(learned)
    done = watch.epochs()
    yield len(done) == epochs, f"Of {epochs} epochs {len(done)} were followed by a validation: do it after each."
    batches = sum(len(rows) for rows, _ in done) // task.train_loader.batch_size
    all_batches = epochs * len(task.train_loader)
    yield batches == all_batches, f"Only {batches} of {all_batches} batches were learned from."
    dropping = any(f.training for f in watch.forwards if f.validating)
    yield not dropping, "Validation runs in training mode, where dropout drops: call `head.eval()` before it."
    yield (
        not watch.built_later,
        f"{len(watch.optimizers)} optimizers took steps, one after another: a new one has forgotten all earlier steps.",
    )
    training = all(f.training for f in learned)
    yield training, "After a validation the head learns in evaluation mode: `head.train()` at the start of each epoch."
    ends = [weights for _, weights in done]
    yield from _reports([number_from(value) for value in reported], [task.accuracy_with(end) for end in ends])
    yield from _keeps_the_best(weights_of(task.head), ends, task)


def _never_moved(head: nn.Module, start: Tensor, watch: Watch) -> list[str]:
    """Return the names of the parameters that no forward pass found elsewhere than at the start."""
    names, parameters = zip(*head.named_parameters(), strict=True)
    sizes = [parameter.numel() for parameter in parameters]
    found = [forward.weights.split(sizes) for forward in watch.forwards]
    return [name for k, name in enumerate(names) if all(w[k].equal(start.split(sizes)[k]) for w in found)]


def _lowers_cross_entropy(learned: list[Forward]) -> Conditions:
    known = all((f.labels >= 0).all() for f in learned)
    yield known, "The head learns from other features than those of `train_loader`: pass its batches on as they are."
    climbs = all(f.has_gradient_of_cross_entropy(times=-1) for f in learned)
    yield not climbs, "The cross-entropy grows: it has the wrong sign. `step()` lowers what `backward()` is called on."
    follows = all(f.has_gradient_of_cross_entropy() for f in learned)
    summed = not follows and all(f.has_gradient_of_cross_entropy(times=len(f.labels)) for f in learned)
    yield not summed, "The loss is summed over the batch: take the mean."
    yield follows, "The gradient is not that of cross-entropy, of scores (not probabilities) and the batch's labels."


def _reports(reported: list[float], true: list[float]) -> Conditions:
    yield len(reported) == len(true), f"Return one accuracy for each epoch: {len(true)}, not {len(reported)}."
    furthest = max(abs(mine - theirs) for mine, theirs in zip(true, reported, strict=True))
    yield furthest < 0.1, "Return validation accuracies, between 0 and 1: not losses, and not per cent."
    yield furthest < 1e-5, "A mean over batches weighs the last, smaller batch too much: count over all items."


def _keeps_the_best(final: Tensor, ends: list[Tensor], task: Task) -> Conditions:
    accuracies, losses = [task.accuracy_with(end) for end in ends], [task.loss_with(end) for end in ends]
    best, last = accuracies.index(max(accuracies)), len(ends) - 1
    lowest = losses.index(min(losses))
    by_loss = final.equal(ends[lowest]) and lowest != last and accuracies[lowest] < accuracies[best]
    yield not by_loss, "You kept the epoch of the lowest validation loss: keep that of the highest accuracy."
    is_last = final.equal(ends[-1]) and best < last
    yield not (is_last and task.watch.was_loaded), "`state_dict()` is no copy: keep `copy.deepcopy(head.state_dict())`."
    yield not is_last, "The head keeps the weights of the last epoch: at the end, load those of the best one."
    later = [end for end, accuracy in zip(ends, accuracies, strict=True) if accuracy == accuracies[best]][1:]
    yield not any(map(final.equal, later)), "Epochs tie, and you kept a later one: compare with `>`, not `>=`."
    yield final.equal(ends[best]), "At the end the head does not hold the weights that its best epoch ended with."
