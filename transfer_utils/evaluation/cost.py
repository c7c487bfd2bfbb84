"""What a piece of work costs: seconds and memory."""

from __future__ import annotations

import ctypes
import functools
import gc
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

from ..runtime.devices import pick_device


@dataclass
class Cost:
    """What a piece of work cost. ``peak_mb`` is what it *added*: the highest memory during it, less what was there
    before it, in MB (10^6 bytes); of the process on a CPU, of what PyTorch allocated on a GPU."""

    seconds: float = 0.0
    peak_mb: float = 0.0


class measure:
    """Measure a block of code::

        with measure() as cost:
            fit(...)
        print(cost.seconds, cost.peak_mb)

    Before the block, garbage is collected and memory that was freed goes back to the system where the C library can
    (glibc's ``malloc_trim``); elsewhere what the block takes from such memory is not seen. On a CPU the memory of the
    process is sampled every 20 milliseconds: work that is over sooner must be repeated (:func:`repeated_cost`), and
    what other threads allocate meanwhile counts too. The seconds are those of the block alone.

    Blocks may be nested. Each counts from what was there when it began, so the outer one's figure holds the inner
    one's.

    Args:
        device: whose memory; by default the one that the course computes on.
        collect: whether all garbage is looked for, which takes up to half a second in a notebook with large
            libraries. Without it only young garbage is: for short work that is measured many times.
    """

    _open: list[measure] = []  # those whose block runs now, from the outside

    def __init__(self, device: torch.device | None = None, *, collect: bool = True):
        self.device = device or pick_device()
        self.collect = collect
        self.cost = Cost()

    def __enter__(self) -> Cost:
        gc.collect(2 if self.collect else 1)
        _give_back_freed_memory()
        self._done = threading.Event()
        if self._on_gpu:
            for outer in self._open:
                outer._note_gpu_peak()  # the next line forgets it
            torch.cuda.reset_peak_memory_stats(self.device)
            self._before = torch.cuda.memory_allocated(self.device) / 1e6
        else:
            self._before = _resident_mb()
            self._sampler = threading.Thread(target=self._sample, daemon=True)
            self._sampler.start()
        self._open.append(self)
        self._start = time.perf_counter()
        return self.cost

    def __exit__(self, *error: object) -> None:
        if self._on_gpu:
            torch.cuda.synchronize(self.device)
        self.cost.seconds = time.perf_counter() - self._start
        self._open.remove(self)
        if self._on_gpu:
            self._note_gpu_peak()
        else:
            self._done.set()
            self._sampler.join()
            self._note(_resident_mb())

    @property
    def _on_gpu(self) -> bool:
        return self.device.type == "cuda"

    def _sample(self) -> None:
        while not self._done.wait(0.02):
            self._note(_resident_mb())

    def _note_gpu_peak(self) -> None:
        if self._on_gpu:
            self._note(torch.cuda.max_memory_allocated(self.device) / 1e6)

    def _note(self, now: float) -> None:
        self.cost.peak_mb = max(self.cost.peak_mb, now - self._before)


def repeated_cost(work: Callable[[], object], repeats: int = 1) -> Cost:
    """Return the seconds of one call of ``work``, and how many MB the process grew by during ``repeats`` of them.

    Small work must be repeated, or it is over before a sample of the memory is taken.
    """
    with measure(torch.device("cpu")) as cost:
        for _ in range(repeats):
            work()
    return Cost(cost.seconds / repeats, cost.peak_mb)


def _resident_mb() -> float:
    return psutil.Process().memory_info().rss / 1e6


@functools.cache
def _malloc_trim() -> Callable[[int], int] | None:
    """Return glibc's ``malloc_trim``; ``None`` on systems with another C library."""
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


def _give_back_freed_memory() -> None:
    """Hand pages that were freed, and that the C library keeps for later, back to the system, where it can."""
    trim = _malloc_trim()
    if trim:
        trim(0)


def training_memory_mb(model: torch.nn.Module, inputs: torch.Tensor) -> dict[str, float]:
    """Return what one training step on ``inputs`` must keep in memory, in MB, by kind.

    ``weights`` of all layers; ``gradients`` and ``optimizer`` (two moments of Adam) of the trainable
    parameters; ``activations`` that the backward pass will need, counted as autograd saves them,
    tensors that share their memory once. A frozen layer below the first trainable one saves none.
    The model stays as it is, BatchNorm statistics included.
    """
    parameters, buffers = list(model.parameters()), list(model.buffers())
    buffers_before = [buffer.clone() for buffer in buffers]
    held = {tensor.untyped_storage().data_ptr() for tensor in (*parameters, *buffers)}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in held:
            saved[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = model(inputs)  # the graph must live until everything is counted
    trainable = sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    del kept
    for buffer, before in zip(buffers, buffers_before, strict=True):
        buffer.copy_(before)
    return {
        "weights": sum(p.numel() * p.element_size() for p in parameters) / 1e6,
        "gradients": trainable / 1e6,
        "optimizer": 2 * trainable / 1e6,
        "activations": sum(saved.values()) / 1e6,
    }


def training_step_seconds(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
    repeats: int = 3,
) -> float:
    """Return the seconds of one optimizer step of a classifier on this batch: the fastest of ``repeats``.

    The first step on a machine is slower than those after it, and other programs slow single steps
    down; the fastest is what the step itself needs. The weights do move.
    """
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        optimizer.zero_grad(set_to_none=True)
        torch.nn.functional.cross_entropy(model(inputs), labels).backward()
        optimizer.step()
        if inputs.device.type == "cuda":
            torch.cuda.synchronize(inputs.device)
        seconds.append(time.perf_counter() - start)
    return min(seconds)


@torch.no_grad()
def forward_seconds(models: dict[str, torch.nn.Module], inputs: object, repeats: int = 20) -> dict[str, float]:
    """Return the seconds of one forward pass of each model on ``inputs``: the fastest of ``repeats``.

    The models take turns. Timed one after the other, the first would meet a cool processor and the second a
    warm one; in turns, what slows the machine down slows all of them. The fastest pass is the least disturbed.

    Args:
        models: name -> model, in the mode in which it is to be timed (usually ``eval()``).
        inputs: what the models are called with, on their device.
    """
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for number in range(repeats + 1):
        for name, model in models.items():
            start = time.perf_counter()
            model(inputs)
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number:  # the first round warms up
                seconds[name].append(time.perf_counter() - start)
    return {name: min(values) for name, values in seconds.items()}
