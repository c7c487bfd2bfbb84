"""What work costs: seconds of the fastest try, memory counted once."""

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


def test_the_memory_of_the_work_is_seen_while_it_lasts():
    held = 300_000_000
    small = repeated_cost(lambda: torch.ones(10))
    large = repeated_cost(lambda: torch.ones(held // FLOAT).sum().item(), repeats=2)
    assert small.peak_mb < 0.5 * held / 1e6 < large.peak_mb
