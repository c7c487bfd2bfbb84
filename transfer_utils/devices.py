"""Which machine this is, and what a piece of work cost on it: seconds and memory."""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psutil
import torch
from torch import nn


def pick_device() -> torch.device:
    """Return the best device: CUDA, else Apple's MPS, else the CPU.

    The environment variable ``TRANSFER_DEVICE`` (``cpu``, ``cuda``, ``mps``) overrules.

    Raises:
        RuntimeError: the device asked for is not there.
    """
    present = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    wanted = os.environ.get("TRANSFER_DEVICE")
    if wanted and not present.get(wanted, False):
        raise RuntimeError(
            f"TRANSFER_DEVICE asks for {wanted!r}, which this machine does not have. "
            f"Present here: {', '.join(name for name, here in present.items() if here)}."
        )
    return torch.device(wanted or next(name for name, here in present.items() if here))


def describe_device(device: torch.device | None = None) -> str:
    """Return one line a reader can compare with another machine's."""
    device = device or pick_device()
    if device.type == "cuda":
        return f"GPU {torch.cuda.get_device_name(device)}"
    if device.type == "mps":
        return "Apple GPU (MPS)"
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}, {platform.machine()}"


@contextmanager
def on_device(model: nn.Module, device: torch.device) -> Iterator[None]:
    """Move ``model`` to ``device`` for a block of code, and back to where it was, also after an error.

    So what trained on a GPU can be called with tensors that lie on the CPU, as it could before.
    """
    before = next((tensor.device for tensor in (*model.parameters(), *model.buffers())), device)
    model.to(device)
    try:
        yield
    finally:
        model.to(before)


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
    parameters; ``activations`` that the backward pass will need, counted as autograd saves them.
    A frozen layer below the first trainable one saves none.
    """
    parameters = list(model.parameters())
    known = {parameter.data_ptr() for parameter in parameters}
    saved: dict[int, int] = {}

    def note(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.data_ptr() not in known:
            saved[tensor.data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        kept = model(inputs)  # the graph must live until everything is counted
    trainable = sum(p.numel() * p.element_size() for p in parameters if p.requires_grad)
    del kept
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


def accelerator():
    """Return Accelerate's view of this machine: device, processes, precision.

    bfloat16 on GPUs that compute in it, float32 elsewhere. The same under ``accelerate
    launch`` on many processes.
    """
    from accelerate import Accelerator

    device = pick_device()
    low_precision = device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
    return Accelerator(cpu=device.type == "cpu", mixed_precision="bf16" if low_precision else "no")
