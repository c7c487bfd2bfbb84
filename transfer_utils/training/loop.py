"""The one training loop of the course, and evaluation.

``fit`` knows nothing of any technique. A technique brings a *step*, a function
``(model, batch, state) -> (loss, metrics)``; fit does the rest: devices, mixed precision
and several processes (through Accelerate), rates, validation, best weights, early
stopping, and checkpoints from which it goes on to the same result.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast, gather_object
from torch import nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import Dataset

from ..evaluation.cost import measure
from ..evaluation.predict import evaluate
from ..runtime.devices import accelerator, on_device, to_device
from ..runtime.files import writable
from ..runtime.profile import get_profile
from ..runtime.progress import progress_bar
from ..runtime.seeding import named_seed, set_seed
from .batches import TrainingBatches
from .checkpoints import load_checkpoint, run_identity, save_checkpoint
from .interrupts import interrupts_wait
from .rates import one_cycle
from .steps import Metrics, Step, TrainState, classification_step


@dataclass
class FitResult:
    """What came out of a run. The weights are in the model that was given to ``fit``.

    Attributes:
        history: one row an epoch, e.g. ``epoch, train_loss, train_accuracy, validation_accuracy``.
        best_epoch: the epoch whose weights the model has now; the last one without validation.
        seconds: time in training and validation, over all sittings.
        peak_mb: highest memory during this sitting.
        steps: optimizer steps made, over all sittings.
    """

    history: list[Metrics] = field(default_factory=list)
    best_epoch: int = 0
    seconds: float = 0.0
    peak_mb: float = 0.0
    steps: int = 0

    @property
    def best(self) -> Metrics:
        """The row of the history whose weights the model has now."""
        return self.history[self.best_epoch]


def fit(
    model: nn.Module,
    train: Dataset,
    validation: Dataset | None = None,
    *,
    epochs: int,
    step: Step = classification_step,
    optimizer: torch.optim.Optimizer | None = None,
    lr: float = 1e-3,
    schedule: Callable[[float], float] = one_cycle,
    batch_size: int | None = None,
    at_epoch_start: Callable[[nn.Module, int], None] | None = None,
    monitor: str = "accuracy",
    patience: int | None = None,
    checkpoint: str | Path | None = None,
    save_every: float = 60.0,
    seed: int = 0,
    workers: int = 0,
    progress: str = "training",
) -> FitResult:
    """Train ``model`` in place and leave in it the weights that did best on ``validation``.

    Args:
        train, validation: items ``(input, label)``; without validation the last weights stay.
        epochs: passes over the training data, at most.
        step: ``(model, batch, state) -> (mean loss over the batch, metrics)``.
        optimizer: built once over everything that is ever to learn, also what is frozen now.
            ``None`` builds AdamW with ``lr`` over what can learn now.
        schedule: progress from 0 to 1 -> factor on the rate of every group.
        batch_size: items a step, over all processes; ``None`` takes the profile's.
        at_epoch_start: called with (model, epoch), e.g. ``UnfreezingSchedule(...).apply``.
        monitor: the validation metric that decides, larger is better; ``"-loss"`` for the loss.
        patience: stop after that many epochs without a better one; ``None`` never does.
        checkpoint: file to go on from where there is one, and to save to: every ``save_every``
            seconds, every epoch, and when interrupted with Ctrl-C.
        seed: decides order, augmentation and dropout, independent of what ran before.
        workers: extra processes that prepare batches.
        progress: words before the progress bar; empty for none.

    Raises:
        ValueError: nothing to train or to train on, or no such metric to monitor.
        FloatingPointError: the loss is not a number any more.
        CheckpointMismatch: the checkpoint is of another model or another run.
        KeyboardInterrupt: after Ctrl-C, once the step is done and saved.
    """
    if epochs < 1:
        raise ValueError(f"The number of epochs must be 1 or more, not {epochs}.")
    settings = {key: value for key, value in locals().items() if key in _Run.__dataclass_fields__}
    settings["batch_size"] = get_profile().batch_size if batch_size is None else batch_size
    settings["optimizer"] = optimizer or torch.optim.AdamW(_trainable(model), lr=lr)
    return _Run(**settings).run()


@dataclass
class _Run:
    """One call of ``fit``: its arguments, and where it stands."""

    model: nn.Module
    train: Dataset
    validation: Dataset | None
    epochs: int
    step: Step
    optimizer: torch.optim.Optimizer
    schedule: Callable[[float], float]
    batch_size: int
    at_epoch_start: Callable[[nn.Module, int], None] | None
    monitor: str
    patience: int | None
    checkpoint: str | Path | None
    save_every: float
    seed: int
    workers: int
    progress: str

    def __post_init__(self) -> None:
        self.result, self.best, self.totals, self.first_batch = FitResult(), None, {}, 0
        self.machine = accelerator()
        self.total_steps = self.epochs * len(self._batches(0))
        self.identity = self._identity() if self.checkpoint else {}
        if self.checkpoint:  # before hours of training, not after
            writable(Path(self.checkpoint).parent)
        for group in self.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])

    def run(self) -> FitResult:
        with on_device(self.model, self.machine.device):
            return self._run()

    def _run(self) -> FitResult:
        finished = self._restore()
        self.started, self.saved = time.perf_counter() - self.result.seconds, time.perf_counter()
        first = self.machine.is_local_main_process
        bar = progress_bar(text=self.progress, total=self.total_steps, done=self.result.steps, show=first)
        with measure(self.machine.device) as cost, bar, interrupts_wait() as self.interrupted:
            while not finished:
                self._train_epoch(bar)
                self._end_epoch()
                finished = self._is_finished()
                self._save(finished)
        self.result.peak_mb = cost.peak_mb
        if self.best is not None:
            self.model.load_state_dict(self.best)
        self.model.eval()
        self.optimizer.zero_grad(set_to_none=True)  # as large as the weights, and needed no more
        if self.interrupted.is_set():  # Ctrl-C after the last step: all is done, but what comes next was not wanted
            raise KeyboardInterrupt("training had just finished; the model has its best weights")
        return self.result

    # ---------------------------------------------------------- one epoch

    def _batches(self, epoch: int) -> TrainingBatches:
        process, processes = self.machine.process_index, self.machine.num_processes
        return TrainingBatches(self.train, self.batch_size, self.seed, epoch, process, processes)

    def _train_epoch(self, bar: Any) -> None:
        epoch = len(self.result.history)
        if self.at_epoch_start:
            self.at_epoch_start(self.model, epoch)
        _trainable(self.model)  # a schedule may have frozen everything
        self.model.train()
        wrapped = self._wrapped()
        batches = self._batches(epoch)
        loader = batches.loader(self.first_batch, self.workers)
        for number, (batch, share) in enumerate(loader, self.first_batch):
            state = TrainState(self.result.steps, self.total_steps, epoch, self.epochs)
            metrics = self._one_step(wrapped, to_device(batch, self.machine.device), share, state)
            items = share * (batches.bounds[number][1] - batches.bounds[number][0])
            for name, value in metrics.items():
                self.totals[name] = self.totals.get(name, 0.0) + float(value) * items
            self.first_batch = number + 1
            bar.update()
            self._pause_if_due()

    def _one_step(self, wrapped: nn.Module, batch: Any, share: float, state: TrainState) -> Metrics:
        """Make one optimizer step on this process's ``share`` of the whole batch."""
        for group in self.optimizer.param_groups:
            group["lr"] = group["initial_lr"] * self.schedule(state.progress)
        set_seed(named_seed(self.seed, "step", state.step, self.machine.process_index))
        with self.machine.autocast():
            loss, metrics = self.step(wrapped, batch, state)
        if not math.isfinite(loss.item()):
            raise FloatingPointError(f"The loss became {loss.item()} at step {state.step}: lower the learning rate.")
        self.optimizer.zero_grad(set_to_none=True)
        # Processes average their gradients; this factor makes it the mean over the whole batch.
        self.machine.backward(loss * share * self.machine.num_processes)
        self.optimizer.step()
        self.result.steps += 1
        return {"loss": loss.item(), **metrics}

    def _end_epoch(self) -> None:
        """Validate, keep the weights if they are the best yet, and write the row of the history."""
        row: Metrics = {"epoch": len(self.result.history)}
        row |= {f"train_{name}": total / len(self.train) for name, total in self._summed_totals().items()}
        self._share_buffers()
        if self.validation is not None:
            scores = evaluate(self.model, self.validation, progress="")
            row |= {f"validation_{name}": value for name, value in scores.items()}
            if self._score(row) > max(map(self._score, self.result.history), default=-math.inf):
                self.result.best_epoch = len(self.result.history)
                self.best = copy.deepcopy({name: value.cpu() for name, value in self.model.state_dict().items()})
        else:
            self.result.best_epoch = len(self.result.history)
        self.result.history.append(row)
        self.totals, self.first_batch = {}, 0

    def _score(self, row: Metrics) -> float:
        key = f"validation_{self.monitor.removeprefix('-')}"
        if key not in row:
            known = ", ".join(name.removeprefix("validation_") for name in row if name.startswith("validation_"))
            raise ValueError(f"There is no metric {self.monitor!r} to monitor; there are {known}, and each with '-'.")
        if math.isnan(row[key]):
            raise ValueError(f"The validation {key.removeprefix('validation_')} is not a number, perhaps because "
                             "a class is absent from the validation data. Monitor another metric.")  # fmt: skip
        return -row[key] if self.monitor.startswith("-") else row[key]

    def _is_finished(self) -> bool:
        done = len(self.result.history)
        return done >= self.epochs or (self.patience is not None and done - 1 - self.result.best_epoch >= self.patience)

    # ------------------------------------------------- saving and going on

    def _identity(self) -> dict[str, str]:
        return run_identity(
            self.model, self.optimizer, epochs=self.epochs, batch_size=self.batch_size, seed=self.seed,
            training_items=len(self.train), monitor=self.monitor, patience=self.patience,
            step=self.step, schedule=self.schedule, at_epoch_start=self.at_epoch_start,
        )  # fmt: skip

    def _pause_if_due(self) -> None:
        """Save when it is time to; stop, saved, when Ctrl-C asked for it."""
        interrupted = self.interrupted.is_set()
        due = interrupted or time.perf_counter() - self.saved > self.save_every
        if self.machine.num_processes > 1:  # clocks differ, so the processes decide together, now and then
            if self.result.steps % 20:
                return
            wishes = gather_object([(interrupted, due)])
            interrupted, due = any(wish[0] for wish in wishes), any(wish[1] for wish in wishes)
        if due:
            self._save(finished=False)
        if interrupted:
            where = f"saved to {self.checkpoint}: call fit again to go on" if self.checkpoint else "no checkpoint given"
            raise KeyboardInterrupt(f"stopped after step {self.result.steps} of {self.total_steps}, {where}")

    def _save(self, finished: bool) -> None:
        self.result.seconds = time.perf_counter() - self.started
        if self.checkpoint is None:
            return
        totals = self._summed_totals()
        self._share_buffers()
        if self.machine.is_main_process:
            save_checkpoint(Path(self.checkpoint), {
                "identity": self.identity, "finished": finished, "history": self.result.history,
                "best_epoch": self.result.best_epoch, "seconds": self.result.seconds, "steps": self.result.steps,
                "first_batch": self.first_batch, "totals": totals, "model": self.model.state_dict(),
                "best": self.best, "optimizer": None if finished else self.optimizer.state_dict(),
            })  # fmt: skip
        self.machine.wait_for_everyone()
        self.saved = time.perf_counter()

    def _restore(self) -> bool:
        """Go back to where the checkpoint stands; return whether the run was already over."""
        saved = load_checkpoint(Path(self.checkpoint), self.identity) if self.checkpoint else None
        if saved is None:
            return False
        self.model.load_state_dict(saved["model"])
        if not saved["finished"]:
            self.optimizer.load_state_dict(saved["optimizer"])
        self.best, self.first_batch = saved["best"], saved["first_batch"]
        self.totals = saved["totals"] if self.machine.is_main_process else {}
        result = {name: saved[name] for name in ("history", "best_epoch", "seconds", "steps")}
        self.result = FitResult(**result)
        return saved["finished"]

    # -------------------------------------------------- several processes

    def _wrapped(self) -> nn.Module:
        """Return what a step calls: the model, or the model that averages gradients over processes.

        Wrapped anew each epoch, because what is frozen may have changed.
        """
        if self.machine.num_processes == 1:
            return self.model
        gpu = [self.machine.device] if self.machine.device.type == "cuda" else None
        return DistributedDataParallel(self.model, device_ids=gpu)

    def _summed_totals(self) -> Metrics:
        everyone = gather_object([self.totals])
        return {name: sum(totals.get(name, 0.0) for totals in everyone) for name in everyone[0]}

    def _share_buffers(self) -> None:
        """Give every process the BatchNorm statistics of the first, which is the one that is saved."""
        if self.machine.num_processes > 1:
            for buffer in self.model.buffers():
                buffer.copy_(broadcast(buffer))


def _trainable(model: nn.Module) -> list[nn.Parameter]:
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("Every parameter is frozen, so there is nothing to train. unfreeze(...) a part first.")
    return parameters
