"""The one training loop of the course.

``fit`` knows nothing of any technique. A technique brings a *step*, a function
``(model, batch, state) -> (loss, metrics)``, and, where it is no classifier, a *score*,
``(model, data) -> metrics``; fit does the rest: devices, mixed precision and several processes
(through Accelerate), rates, validation, best weights, early stopping, and checkpoints from
which it goes on to the same result.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Any

import torch
from torch import nn
from torch.utils.data import Dataset

from ..data.batching import all_finite
from ..data.fingerprints import fingerprint
from ..evaluation.cost import measure
from ..evaluation.predict import evaluate
from ..runtime.devices import on_device, to_device
from ..runtime.profile import get_profile
from ..runtime.progress import progress_bar
from ..runtime.seeding import kept_random_state, named_seed, set_seed
from .batches import TrainingBatches
from .checkpoints import Checkpoint, run_identity
from .interrupts import interrupts_wait
from .processes import Processes
from .rates import Schedule, one_cycle, set_rates
from .state import FitResult, RunState
from .steps import Metrics, Step, TrainState, classification_step

Score = Callable[[nn.Module, Dataset], Mapping[str, float]]


def fit(
    model: nn.Module,
    train: Dataset,
    validation: Dataset | None = None,
    *,
    epochs: int,
    step: Step = classification_step,
    score: Score = evaluate,
    optimizer: torch.optim.Optimizer | None = None,
    lr: float = 1e-3,
    schedule: Schedule = one_cycle,
    batch_size: int | None = None,
    at_epoch_start: Callable[[nn.Module, int], None] | None = None,
    monitor: str = "accuracy",
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    save_every: float = 60.0,
    seed: int = 0,
    workers: int | None = None,
    progress: str = "training",
) -> FitResult:
    """Train ``model`` in place and leave in it the weights that did best on ``validation``.

    The random numbers of Python, NumPy and PyTorch go on afterwards where they stood before.

    Args:
        train, validation: items ``(input, label)``, or whatever step and score take; without validation the last
            weights stay. How items become a batch: ``data/batching.py``.
        epochs: passes over the training data, at most.
        step: ``(model, batch, state) -> (mean loss over the batch, metrics)``.
        score: ``(model, validation) -> metrics``, after each epoch; :func:`transfer_utils.evaluate` for a classifier.
        optimizer: built once over everything that is ever to learn, also what is frozen now.
            ``None`` builds AdamW with ``lr`` over what can learn now.
        schedule: progress from 0 to 1 -> factor on the rate of every group.
        batch_size: items a step, over all processes; ``None`` takes the profile's.
        at_epoch_start: called with (model, epoch), e.g. ``UnfreezingSchedule(...).apply``; once more when a run goes
            on in the middle of an epoch.
        monitor: the metric of the score that decides, larger is better; ``"-loss"`` for the loss.
        patience: stop after that many epochs without a better one; ``None`` never does.
        checkpoint: file to go on from where there is one, and to save to: every ``save_every``
            seconds, every epoch, and when interrupted with Ctrl-C.
        seed: decides order, augmentation and dropout, independent of what ran before.
        workers: extra processes that prepare batches; ``None`` takes the profile's.
        progress: words before the progress bar; empty for none.

    Raises:
        ValueError: nothing to train or to train on, labels or features that do not fit, or no such metric to monitor.
        FloatingPointError: the loss is not a number any more.
        CheckpointMismatch: the checkpoint is of another model or another run.
        OSError: the disk is full; the checkpoint before is whole.
        KeyboardInterrupt: after Ctrl-C, once the step is done and saved.

    Example:
        >>> result = fit(model, cells.train, cells.validation, epochs=5)         # doctest: +SKIP
        >>> result.best["validation_accuracy"]                                   # doctest: +SKIP
    """
    if epochs < 1:
        raise ValueError(f"The number of epochs must be 1 or more, not {epochs}.")
    if patience is not None and validation is None:
        raise ValueError("patience needs validation data: without, no epoch is better than another.")
    profile = get_profile()
    optimizer = optimizer or torch.optim.AdamW(_trainable(model), lr=lr)
    run = _Run(
        model=model, train=train, validation=validation, epochs=epochs, step=step, score=score, optimizer=optimizer,
        schedule=schedule, at_epoch_start=at_epoch_start, monitor=monitor, patience=patience, seed=seed,
        batch_size=profile.batch_size if batch_size is None else batch_size,
        workers=profile.workers if workers is None else workers,
    )  # fmt: skip
    run.checkpoint = Checkpoint(checkpoint, save_every, run.identity() if checkpoint else {})
    with kept_random_state(), on_device(model, run.processes.machine.device):
        return run.train_to_the_end(progress)


@dataclass
class _Run:
    """One call of ``fit``: what was asked for, where it stands, and what is done again and again."""

    model: nn.Module
    train: Dataset
    validation: Dataset | None
    epochs: int
    step: Step
    score: Score
    optimizer: torch.optim.Optimizer
    schedule: Schedule
    at_epoch_start: Callable[[nn.Module, int], None] | None
    monitor: str
    patience: int | None
    seed: int
    batch_size: int
    workers: int
    checkpoint: Checkpoint = field(init=False)  # needs the identity of the run

    def __post_init__(self) -> None:
        self.state, self.processes = RunState(), Processes()
        self.total_steps = self.epochs * len(self.batches(0))

    def batches(self, epoch: int) -> TrainingBatches:
        """Return the batches of an epoch, for this process."""
        rank, count = self.processes.rank, self.processes.count
        return TrainingBatches(self.train, self.batch_size, self.seed, epoch, rank, count)

    def train_to_the_end(self, progress: str) -> FitResult:
        """Train epoch after epoch, from the checkpoint where there is one."""
        state, machine = self.state, self.processes.machine
        finished = self.restore()
        self.started = time.perf_counter() - state.result.seconds
        show = machine.is_local_main_process
        bar = progress_bar(text=progress, total=self.total_steps, done=state.result.steps, show=show)
        with measure(machine.device, collect=False) as cost, bar, interrupts_wait() as interrupted:
            while not finished:
                self.train_epoch(bar, interrupted)
                self.validate()
                finished = self.is_finished()
                self.save(finished)
        state.result.peak_mb = cost.peak_mb
        if state.best_weights is not None:
            self.model.load_state_dict(state.best_weights)
        self.model.eval()
        self.optimizer.zero_grad(set_to_none=True)  # as large as the weights, and needed no more
        if interrupted.is_set():  # Ctrl-C after the last step: all is done, but what comes next was not wanted
            raise KeyboardInterrupt("training had just finished; the model has its best weights")
        return state.result

    def train_epoch(self, bar: Any, interrupted: Event) -> None:
        """Learn from each batch of the epoch once, or from those that are left of it."""
        state, machine = self.state, self.processes.machine
        if self.at_epoch_start:
            set_seed(named_seed(self.seed, "epoch start", state.epoch))
            self.at_epoch_start(self.model, state.epoch)
        _trainable(self.model)  # a schedule may have frozen everything
        self.model.train()
        step = self.processes.bind(self.step, self.model)
        batches = self.batches(state.epoch)
        for batch, share in batches.loader(state.next_batch, self.workers, machine.device):
            now = TrainState(state.result.steps, self.total_steps, state.epoch, self.epochs)
            set_rates(self.optimizer, self.schedule(now.progress))
            set_seed(named_seed(self.seed, "step", now.step, self.processes.rank))
            with machine.autocast():
                loss, metrics = step(to_device(batch, machine.device), now)  # forward
            _require_finite(loss, batch, now.step)
            self.optimizer.zero_grad(set_to_none=True)
            # Processes average their gradients; the factor makes it the mean over the whole batch.
            machine.backward(loss * share * self.processes.count)
            self.optimizer.step()
            state.count({"loss": loss.item(), **metrics}, items=share * batches.size(state.next_batch))
            bar.update()
            self.save_if_due(interrupted)

    def validate(self) -> None:
        """Score the validation data, and end the epoch with a row of the history."""
        sums = self.processes.total(self.state.sums)
        row: Metrics = {"epoch": self.state.epoch}
        row |= {f"train_{name}": value / len(self.train) for name, value in sums.items()}
        self.processes.share_buffers(self.model)
        if self.validation is not None:
            set_seed(named_seed(self.seed, "score", self.state.epoch, self.processes.rank))
            scores = self.score(self.model, self.validation)
            row |= {f"validation_{name}": float(value) for name, value in scores.items()}
        self.state.end_epoch(row, self.model, self.monitor if self.validation is not None else None)

    def is_finished(self) -> bool:
        """Return whether all epochs are done, or patience is at its end."""
        since_best = self.state.epoch - 1 - self.state.result.best_epoch
        return self.state.epoch >= self.epochs or (self.patience is not None and since_best >= self.patience)

    # ------------------------------------------------- saving and going on

    def identity(self) -> dict[str, str]:
        """Return what a checkpoint must have in common with this run."""
        settings = {
            "epochs": self.epochs, "batch_size": self.batch_size, "seed": self.seed, "monitor": self.monitor,
            "patience": self.patience, "step": self.step, "score": self.score, "schedule": self.schedule,
            "at_epoch_start": self.at_epoch_start, "training_data": fingerprint(self.train),
            "validation_data": fingerprint(self.validation),
        }  # fmt: skip
        return run_identity(self.model, self.optimizer, **settings)

    def save_if_due(self, interrupted: Event) -> None:
        """Save when it is time to; stop, saved, when Ctrl-C asked for it."""
        stop, due = interrupted.is_set(), self.checkpoint.is_due()
        if self.processes.count > 1:  # asking the others takes time, so only now and then
            if self.state.result.steps % 20:
                return
            stop, due = self.processes.any(stop, due)
        if due or stop:
            self.save(finished=False)
        if stop:
            path = self.checkpoint.path
            where = f"saved to {path}: call fit again to go on" if path else "no checkpoint given"
            raise KeyboardInterrupt(f"stopped after step {self.state.result.steps} of {self.total_steps}, {where}")

    def save(self, finished: bool) -> None:
        """Save the run, by the first of the processes."""
        self.state.result.seconds = time.perf_counter() - self.started
        sums = self.processes.total(self.state.sums)
        self.processes.share_buffers(self.model)
        if self.processes.rank == 0:
            self.checkpoint.save(self.model, self.optimizer, self.state.as_dict() | {"sums": sums}, finished)
        self.processes.machine.wait_for_everyone()

    def restore(self) -> bool:
        """Go back to where the checkpoint stands; return whether the run was already over."""
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        finished = self.checkpoint.restore(self.model, self.optimizer, self.state)
        if self.processes.rank > 0:
            self.state.sums = {}  # the first process has those of all
        return finished


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("Every parameter is frozen, so there is nothing to train. unfreeze(...) a part first.")
    return parameters


def _require_finite(loss: torch.Tensor, batch: Any, step: int) -> None:
    if math.isfinite(loss.item()):
        return
    if not all_finite(batch):
        raise ValueError(
            f"The batch of step {step} holds NaN or infinite values. Look at the data and at its preprocessing: "
            "a division by zero, a missing value, an image that was not read."
        )
    raise FloatingPointError(f"The loss became {loss.item()} at step {step}: lower the learning rate.")
