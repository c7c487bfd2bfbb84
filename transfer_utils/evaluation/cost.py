"""What a piece of work costs: seconds and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil
import torch

from ..runtime.devices import pick_device


@dataclass
class Cost:
    """What a piece of work cost. ``peak_mb`` is the highest memory *during* it, in MB (10^6 bytes):
    of the process on a CPU, of what PyTorch allocated on a GPU."""

    seconds: float = 0.0
    peak_mb: float = 0.0


class measure:
    """Measure a block of code::

        with measure() as cost:
            fit(...)
        print(cost.seconds, cost.peak_mb)

    On a CPU the memory of the process is sampled every 20 milliseconds, so the
    figure holds all that the process keeps, PyTorch's own code included.
    """

    def __init__(self, device: torch.device | None = None):
        self.device = device or pick_device()
        self.cost = Cost()

    def __enter__(self) -> Cost:
        self._done = threading.Event()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
        self._sampler = threading.Thread(target=self._sample, daemon=True)
        self._sampler.start()
        self._start = time.perf_counter()
        return self.cost

    def _sample(self) -> None:
        process = psutil.Process()
        while True:
            self.cost.peak_mb = max(self.cost.peak_mb, process.memory_info().rss / 1e6)
            if self._done.wait(0.02):
                return

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        self.cost.seconds = time.perf_counter() - self._start
        self._done.set()
        self._sampler.join()
        if self.device.type == "cuda":
            self.cost.peak_mb = torch.cuda.max_memory_allocated(self.device) / 1e6


def repeated_cost(work: Callable[[], object], repeats: int = 1) -> Cost:
    """Return the seconds of one call of ``work``, and by how many MB the memory of the process rose during them.

    Small work must be repeated, or it is over before a sample of the memory is taken. What PyTorch freed before may
    be used again, so a small rise can be 0.
    """
    process = psutil.Process()
    before = process.memory_info().rss / 1e6
    with measure(torch.device("cpu")) as cost:
        for _ in range(repeats):
            work()
    return Cost(cost.seconds / repeats, max(0.0, cost.peak_mb - before))


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
        with measure(inputs.device) as cost:
            optimizer.zero_grad(set_to_none=True)
            torch.nn.functional.cross_entropy(model(inputs), labels).backward()
            optimizer.step()
        seconds.append(cost.seconds)
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
