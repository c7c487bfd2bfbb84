"""The ground floor: how big, which seed, which machine."""

import dataclasses
import random
import socket

import numpy as np
import pytest
import torch

from transfer_utils import get_profile, load_backbone, load_encoder, set_profile
from transfer_utils.lesson import sizes
from transfer_utils.runtime import profile
from transfer_utils.runtime.devices import describe_device, on_device, pick_device
from transfer_utils.runtime.progress import is_static, progress_bar
from transfer_utils.runtime.seeding import generator, named_seed, set_seed

# ------------------------------------------------------------------- profile


@pytest.fixture
def no_profile_yet(monkeypatch):
    monkeypatch.setattr(profile, "_current", None)
    for variable in ("TRANSFER_PROFILE", "TRANSFER_BACKBONE", "TRANSFER_ENCODER"):
        monkeypatch.delenv(variable, raising=False)


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


def test_a_profile_holds_what_all_lessons_share_and_no_size_of_one():
    shared = {"name", "backbone", "encoder", "batch_size", "head_batch_size", "text_batch_size", "bootstrap_samples",
              "workers"}  # fmt: skip
    assert {field.name for field in dataclasses.fields(profile.Profile)} == shared
    assert {name: one.workers for name, one in profile.PROFILES.items()} == {"tiny": 0, "laptop": 0, "full": 4}


def test_the_models_can_be_replaced_and_the_rest_stays(no_profile_yet):
    chosen = set_profile("full", backbone="efficientnet_lite0", encoder="minilm")
    assert (chosen.backbone, chosen.encoder) == ("efficientnet_lite0", "minilm")
    assert (
        dataclasses.replace(chosen, backbone="resnet50", encoder=profile.PROFILES["full"].encoder)
        == (profile.PROFILES["full"])
    )
    assert get_profile() is chosen


def test_the_environment_replaces_the_models_and_a_call_overrules_it(no_profile_yet, monkeypatch):
    monkeypatch.setenv("TRANSFER_PROFILE", "full")
    monkeypatch.setenv("TRANSFER_BACKBONE", "efficientnet_lite0")
    monkeypatch.setenv("TRANSFER_ENCODER", "minilm")
    assert (get_profile().backbone, get_profile().encoder) == ("efficientnet_lite0", "minilm")
    assert set_profile("full", encoder="roberta").encoder == "roberta"
    assert get_profile().backbone == "efficientnet_lite0"


def test_full_runs_without_a_network_on_the_bundled_weights(no_profile_yet):
    set_profile("full", backbone="efficientnet_lite0", encoder="minilm")  # unit tests cannot reach the network
    assert load_backbone().card.name == "efficientnet_lite0"
    assert load_encoder().card.name == load_encoder("minilm").card.name


def test_an_unknown_model_is_refused_when_it_is_loaded(no_profile_yet):
    set_profile("full", backbone="no_such_network")
    with pytest.raises(ValueError, match="no_such_network"):
        load_backbone()


# --------------------------------------------------------------------- sizes


@pytest.mark.parametrize(("name", "column"), [("tiny", 0), ("laptop", 1), ("full", 2)])
def test_sizes_are_the_column_of_the_profile(name, column):
    set_profile(name)
    size = sizes(epochs=(1, 2, 12), items=((64, 32, 48), None, None), seeds=((0,), (0, 1), (0, 1, 2)))
    assert size.epochs == (1, 2, 12)[column]
    assert size.items == ((64, 32, 48), None, None)[column]
    assert size.seeds == tuple(range(column + 1))


def test_a_size_that_is_not_declared_is_named_with_those_that_are():
    size = sizes(epochs=(1, 2, 12), image_size=(64, 80, 224))
    with pytest.raises(AttributeError, match="no size 'epoch'.*epochs, image_size.*tiny, laptop, full"):
        size.epoch  # noqa: B018


def test_sizes_cannot_be_changed_in_a_later_cell():
    size = sizes(epochs=(1, 2, 12))
    with pytest.raises(AttributeError, match="change the row 'epochs'"):
        size.epochs = 50
    with pytest.raises(AttributeError, match="change the row 'epochs'"):
        del size.epochs
    assert size.epochs == 1


@pytest.mark.parametrize("row", [(1, 2), (1, 2, 3, 4), 7, "abc", [1, 2, 3]], ids=str)
def test_a_row_without_three_entries_is_refused(row):
    with pytest.raises(ValueError, match=r"'epochs'.*three entries.*tiny, laptop, full"):
        sizes(epochs=row)


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
