"""What work costs: seconds of the fastest try, memory counted once."""

import gc
import time

import pytest
import torch
from tiny import TinyNet, changed, linear, weights_of
from torch import nn

from transfer_utils import freeze
from transfer_utils.evaluation import cost as cost_module
from transfer_utils.evaluation.cost import (
    forward_seconds,
    measure,
    repeated_cost,
    training_memory_mb,
    training_step_seconds,
)

FLOAT = 4  # bytes


class Attention(nn.Module):
    """Three views of one output, multiplied: autograd saves each of them, and the memory is there once."""

    def __init__(self):
        super().__init__()
        self.project = nn.Linear(8, 24)

    def forward(self, x):
        query, key, value = self.project(x).chunk(3, dim=1)
        return query * key * value


def test_views_of_one_tensor_count_once():
    inputs = torch.randn(1000, 8)
    needed = inputs.numel() + 1000 * 24 + 1000 * 8  # the input, the three views' one tensor, and query * key
    assert training_memory_mb(Attention(), inputs)["activations"] == pytest.approx(needed * FLOAT / 1e6)


def test_what_the_model_holds_anyway_is_no_activation():
    """BatchNorm in eval() saves its statistics for the backward pass, and a reshaped weight is still the weight."""
    norm = nn.BatchNorm1d(1000).eval()
    inputs = torch.randn(2, 1000)
    assert training_memory_mb(norm, inputs)["activations"] == pytest.approx(inputs.numel() * FLOAT / 1e6)
    layer = nn.Linear(100, 100)
    assert training_memory_mb(layer, torch.randn(1, 1, 100))["activations"] == pytest.approx(100 * FLOAT / 1e6)


def test_counting_leaves_the_model_as_it_was():
    model = TinyNet().train()
    before, mode = weights_of(model), model.training
    training_memory_mb(model, torch.randn(4, 3, 16, 16))
    assert not changed(before, weights_of(model))
    assert model.training == mode


def test_weights_gradients_and_optimizer_are_counted_from_what_can_learn():
    model = TinyNet()
    freeze(model.features)
    found = training_memory_mb(model, torch.randn(4, 3, 16, 16))
    learns = (12 * 2 + 2) * FLOAT / 1e6
    assert (found["gradients"], found["optimizer"]) == pytest.approx((learns, 2 * learns))
    assert found["activations"] == pytest.approx(4 * 12 * FLOAT / 1e6)  # what goes into the head
    assert found["weights"] == pytest.approx((8 * 27 + 8 + 16 + 12 * 72 + 12 + 24 + 26) * FLOAT / 1e6)


# ------------------------------------------------------------------------ seconds


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self, monkeypatch):
        self.now = 0.0
        monkeypatch.setattr(cost_module.time, "perf_counter", lambda: self.now)

    def working(self, *seconds):
        """Return a function that takes ``seconds`` in turn, the last for ever, and passes on what it is given."""
        left = list(seconds)

        def work(inputs=None):
            self.now += left.pop(0) if len(left) > 1 else left[0]
            return inputs

        return work


@pytest.fixture
def clock(monkeypatch):
    return Clock(monkeypatch)


def test_a_measured_block_takes_the_seconds_it_takes(clock):
    with measure(torch.device("cpu")) as cost:
        clock.now += 2.5
    assert cost.seconds == 2.5
    assert repeated_cost(clock.working(3.0), repeats=4).seconds == 3.0


def test_of_several_forward_passes_the_fastest_counts_and_the_first_does_not(clock):
    models = {"small": clock.working(0.5, 2.0, 1.0, 3.0), "large": clock.working(9.0, 7.0, 8.0)}
    assert forward_seconds(models, torch.zeros(1), repeats=3) == {"small": 1.0, "large": 7.0}


def test_models_take_turns(clock):
    order = []
    models = {name: (lambda inputs, name=name: order.append(name)) for name in "ab"}
    forward_seconds(models, torch.zeros(1), repeats=2)
    assert order == ["a", "b"] * 3


def test_a_training_step_is_the_fastest_of_several_and_does_learn(clock):
    model, took = linear(), clock.working(5.0, 2.0, 4.0)
    model.register_forward_hook(lambda *_: took() and None)
    before = weights_of(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    inputs, labels = torch.randn(6, 4), torch.arange(6) % 2
    assert training_step_seconds(model, optimizer, inputs, labels, repeats=3) == 2.0
    assert changed(before, weights_of(model)) == {"weight", "bias"}


# ------------------------------------------------------------------------- memory

CPU = torch.device("cpu")


def allocate(megabytes):
    """Fill memory for longer than it takes to sample it, and free it again."""
    held = torch.ones(megabytes * 1_000_000 // FLOAT)
    time.sleep(0.1)
    return float(held[0])


def allocate_in_pieces(megabytes):
    """The same in pieces that the C library keeps for later when they are freed."""
    held = [torch.ones(2500) for _ in range(megabytes * 100)]
    time.sleep(0.1)
    return len(held)


def test_the_memory_of_the_work_is_seen_while_it_lasts():
    small = repeated_cost(lambda: torch.ones(10))
    large = repeated_cost(lambda: allocate(300), repeats=2)
    assert small.peak_mb < 100
    assert 250 < large.peak_mb < 450


@pytest.mark.parametrize("work", [allocate, allocate_in_pieces])
def test_what_was_allocated_and_freed_before_does_not_count_nor_hide_what_comes(work):
    work(500)
    with measure(CPU) as cost:
        work(200)
    assert 150 < cost.peak_mb < 300


def test_garbage_in_circles_is_collected_before_and_so_hides_nothing():
    ring = [torch.ones(300_000_000 // FLOAT)]
    ring.append(ring)
    gc.collect()  # the ring is old now: only a full collection will find it
    del ring
    with measure(CPU) as cost:
        gc.collect()  # if the ring were freed only here, it would make room for the work
        allocate(200)
    assert 150 < cost.peak_mb < 300


def test_what_stays_there_counts_from_the_next_block_on_no_more():
    with measure(CPU) as first:
        kept = torch.ones(200_000_000 // FLOAT)
    with measure(CPU) as second:
        float(kept[0])
    assert first.peak_mb > 150
    assert second.peak_mb < 100


def test_a_block_inside_another_does_not_spoil_it():
    with measure(CPU) as outer:
        kept = torch.ones(100_000_000 // FLOAT)
        with measure(CPU) as inner:
            allocate(300)
    assert len(kept)
    assert 250 < inner.peak_mb < 350
    assert 350 < outer.peak_mb < 500


def test_without_malloc_trim_nothing_is_said_and_the_block_is_measured(monkeypatch):
    def missing(name):
        raise OSError(f"{name}: cannot open shared object file")

    with measure(CPU):  # gives back what earlier tests freed, where it can: the block below would use it again
        pass
    monkeypatch.setattr(cost_module.ctypes, "CDLL", missing)
    cost_module._malloc_trim.cache_clear()
    with measure(CPU) as cost:
        allocate(200)
    cost_module._malloc_trim.cache_clear()
    assert cost.peak_mb > 150


def test_an_error_ends_the_measurement():
    with pytest.raises(KeyError), measure(CPU) as cost:
        raise KeyError
    assert cost.seconds > 0
    assert not measure._open


class Gpu:
    """What PyTorch says of the memory of a GPU, where there is none."""

    def __init__(self, monkeypatch):
        self.now = self.peak = 0
        for name, does in {
            "memory_allocated": lambda device: self.now, "max_memory_allocated": lambda device: self.peak,
            "reset_peak_memory_stats": self.reset, "synchronize": lambda device: None,
        }.items():  # fmt: skip
            monkeypatch.setattr(torch.cuda, name, does)

    def reset(self, device):
        self.peak = self.now

    def hold(self, megabytes):
        self.now += megabytes * 1_000_000
        self.peak = max(self.peak, self.now)

    def work(self, megabytes):
        self.hold(megabytes)
        self.hold(-megabytes)


@pytest.mark.parametrize(("before", "inside", "after"), [(700, 300, 100), (100, 300, 700), (100, 700, 300)])
def test_on_a_gpu_the_outer_peak_survives_the_inner_block(monkeypatch, before, inside, after):
    gpu, device = Gpu(monkeypatch), torch.device("cuda")
    gpu.work(2000)
    gpu.hold(50)
    with measure(device) as outer:
        gpu.work(before)
        gpu.hold(10)
        with measure(device) as inner:
            gpu.work(inside)
        gpu.work(after)
    assert inner.peak_mb == inside
    assert outer.peak_mb == max(before, 10 + inside, 10 + after)
