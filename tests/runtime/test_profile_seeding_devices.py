"""The ground floor: how big, which seed, which machine."""

import random
import socket
import time

import numpy as np
import pytest
import torch
from tiny import TinyNet

from transfer_utils import freeze, get_profile, set_profile
from transfer_utils.evaluation.cost import measure, repeated_cost, training_memory_mb
from transfer_utils.runtime import profile
from transfer_utils.runtime.devices import describe_device, on_device, pick_device
from transfer_utils.runtime.progress import is_static, progress_bar
from transfer_utils.runtime.seeding import generator, named_seed, set_seed

# ------------------------------------------------------------------- profile


@pytest.fixture
def no_profile_yet(monkeypatch):
    monkeypatch.setattr(profile, "_current", None)
    monkeypatch.delenv("TRANSFER_PROFILE", raising=False)


def test_the_profile_is_laptop_when_nothing_is_said(no_profile_yet):
    assert get_profile().name == "laptop"


def test_the_environment_chooses_the_profile(no_profile_yet, monkeypatch):
    monkeypatch.setenv("TRANSFER_PROFILE", "full")
    assert get_profile().name == "full"


def test_a_call_overrules_the_environment(no_profile_yet, monkeypatch):
    monkeypatch.setenv("TRANSFER_PROFILE", "full")
    assert set_profile("tiny").name == "tiny"
    assert get_profile().name == "tiny"


def test_an_unknown_profile_is_refused_and_changes_nothing(no_profile_yet):
    set_profile("tiny")
    with pytest.raises(ValueError, match="no profile 'huge'.*tiny, laptop, full.*TRANSFER_PROFILE"):
        set_profile("huge")
    assert get_profile().name == "tiny"


def test_an_unknown_profile_in_the_environment_is_refused(no_profile_yet, monkeypatch):
    monkeypatch.setenv("TRANSFER_PROFILE", "colab")
    with pytest.raises(ValueError, match="'colab'"):
        get_profile()


def test_only_tiny_is_not_judged():
    assert [name for name, one in profile.PROFILES.items() if not one.judged] == ["tiny"]


def test_a_label_budget_run_sees_enough_images_and_makes_enough_passes():
    for one in profile.PROFILES.values():
        for labels in one.label_budgets:
            epochs = one.epochs_for(labels)
            assert epochs >= one.budget_epochs
            assert epochs * labels >= one.budget_images - labels


# ------------------------------------------------------------------- seeding


def draws():
    return random.random(), np.random.rand(), torch.rand(1).item()


def test_a_seed_repeats_python_numpy_and_torch():
    set_seed(7)
    first = draws()
    set_seed(7)
    assert draws() == first
    set_seed(8)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


def test_a_named_draw_does_not_depend_on_what_ran_before():
    first = torch.rand(3, generator=generator(0, "order", 2))
    torch.rand(100)
    assert torch.equal(torch.rand(3, generator=generator(0, "order", 2)), first)
    assert not torch.equal(torch.rand(3, generator=generator(0, "order", 3)), first)


def test_a_named_seed_fits_every_generator():
    seeds = {named_seed(seed, name, epoch) for seed in range(5) for name in "ab" for epoch in range(5)}
    assert len(seeds) == 50
    assert all(0 <= seed < 2**63 for seed in seeds)
    set_seed(max(seeds))


# ------------------------------------------------------------------- devices


def test_the_environment_chooses_the_device(monkeypatch):
    monkeypatch.setenv("TRANSFER_DEVICE", "cpu")
    assert pick_device() == torch.device("cpu")
    assert describe_device().startswith("CPU, ")


def test_a_device_that_is_not_there_is_refused(monkeypatch):
    monkeypatch.setenv("TRANSFER_DEVICE", "abacus")
    with pytest.raises(RuntimeError, match="asks for 'abacus'.*Present here: .*cpu"):
        pick_device()


def test_cuda_goes_before_the_cpu(monkeypatch):
    monkeypatch.delenv("TRANSFER_DEVICE")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert pick_device().type == "cuda"


def test_what_is_measured_holds_the_time_and_the_memory_of_the_block():
    with measure() as cost:
        kept = torch.ones(50_000_000 // 4)  # 50 MB, touched
        time.sleep(0.1)
    assert cost.seconds >= 0.1
    assert cost.peak_mb > kept.nbytes / 1e6


def test_a_frozen_stem_needs_no_gradients_and_no_activations():
    model, images = TinyNet().train(), torch.randn(4, 3, 32, 32)
    everything = training_memory_mb(model, images)
    freeze(model.features)
    head_only = training_memory_mb(model, images)
    assert head_only["weights"] == everything["weights"] == 4 * sum(p.numel() for p in model.parameters()) / 1e6
    assert head_only["gradients"] == 4 * (12 * 2 + 2) / 1e6
    assert head_only["optimizer"] == 2 * head_only["gradients"]
    assert head_only["activations"] < everything["activations"] / 10


# ------------------------------------------------------- the tests' own room


def test_progress_bars_are_silent_where_outputs_are_kept(monkeypatch, capfd):
    monkeypatch.setenv("COURSE_STATIC", "1")
    assert is_static()
    assert list(progress_bar(range(3), "counting")) == [0, 1, 2]
    assert capfd.readouterr() == ("", "")


def test_unit_tests_cannot_reach_the_network():
    with socket.socket() as outside, pytest.raises(ConnectionRefusedError, match="tried to reach 192.0.2.1"):
        outside.connect(("192.0.2.1", 80))
    with pytest.raises(OSError, match="looked up"):
        socket.create_connection(("example.org", 80))


def test_repeated_cost_sees_the_memory_of_the_work_and_divides_the_time():
    calls = []

    def work():
        calls.append(torch.ones(25_000_000))  # 100 MB
        time.sleep(0.03)

    cost = repeated_cost(work, repeats=2)
    assert len(calls) == 2
    assert 150 < cost.peak_mb < 400
    assert 0.03 <= cost.seconds < 5


class Traveller(torch.nn.Linear):
    """A layer that notes where it is sent, and goes nowhere."""

    def __init__(self):
        super().__init__(2, 2)
        self.places = []

    def to(self, device):
        self.places.append(str(device))
        return self


def test_a_model_comes_back_from_a_device_also_after_an_error():
    model = Traveller()
    with pytest.raises(KeyboardInterrupt), on_device(model, torch.device("meta")):
        raise KeyboardInterrupt
    assert model.places == ["meta", "cpu"]


@pytest.mark.parametrize("work", ["predict", "fit"])
def test_what_computes_brings_the_model_back(work):
    from torch.utils.data import TensorDataset

    from transfer_utils import fit, predict

    model, data = Traveller(), TensorDataset(torch.randn(4, 2), torch.tensor([0, 1, 0, 1]))
    if work == "fit":
        fit(model, data, epochs=1, batch_size=2, lr=0.1, progress="")
    else:
        predict(model, data, progress="")
    assert model.places == [str(pick_device()), "cpu"]
