"""A checkpoint that does not belong to the run, or is none, is refused by name and left alone."""

import functools
import random
from dataclasses import replace

import pytest
import runs
import torch
from PIL import Image
from runs import EPOCHS, run
from tiny import TinyNet, linear, tiny_images, tiny_table
from torch.utils.data import Subset, TensorDataset

from transfer_utils import evaluate, fit
from transfer_utils.data.fingerprints import fingerprint
from transfer_utils.techniques.distillation import TransferSet
from transfer_utils.techniques.domains import DomainPairs
from transfer_utils.techniques.episodes import Episodes
from transfer_utils.techniques.stored_activations import StoredActivations
from transfer_utils.training import checkpoints
from transfer_utils.training.checkpoints import CheckpointMismatch
from transfer_utils.training.rates import one_cycle


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checkpoint.pt"


def test_a_checkpoint_of_another_model_is_refused_and_left_alone(file):
    run(file)
    before = file.read_bytes()
    with pytest.raises(CheckpointMismatch, match=f"{file} is a checkpoint of another model.*Delete"):
        run(file, TinyNet(classes=3))
    assert file.read_bytes() == before


PLAIN = TinyNet().card.preprocess()
OTHERS = {
    "seed": {"seed": 1},
    "epochs": {"epochs": 4},
    "batch size": {"batch_size": 6},
    "schedule": {"schedule": functools.partial(one_cycle, warmup=0.1)},
    "at epoch start": {"at_epoch_start": None},
    "score": {"score": functools.partial(evaluate, batch_size=8)},
    "training data": {"train": tiny_images(22, seed=3).with_transform(PLAIN.augmented(runs.shaken))},
    "training data ": {"train": tiny_images(22).with_transform(TinyNet().card.preprocess(24))},
    "validation data": {"validation": tiny_images(12, seed=4).with_transform(PLAIN)},
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_run_is_refused_and_says_what_differs(file, what):
    run(file, epochs=EPOCHS)
    with pytest.raises(
        CheckpointMismatch, match=f"{file} is a checkpoint of another run: {what.strip()} differ. Delete"
    ):
        run(file, **OTHERS[what])


def weighted(weight):
    def step(model, batch, state):
        loss, metrics = runs.perilous_step(model, batch, state)
        return weight * loss, metrics

    return step


def test_a_sweep_over_a_value_that_the_step_holds_does_not_return_the_first_run(file):
    run(file, step=weighted(1.0))
    with pytest.raises(CheckpointMismatch, match="another run: step differ"):
        run(file, step=weighted(2.0))
    assert run(file, step=weighted(1.0))[1].steps == 15


def test_a_model_that_has_moved_since_is_not_told_to_destroy_the_work(file, monkeypatch):
    def power_cut(step):
        if step == 7:
            raise RuntimeError("power cut")

    model = TinyNet(dropout=0.3)
    monkeypatch.setattr(runs, "at_step", power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        run(file, model, save_every=3600)  # saved at the end of the first epoch, two steps before
    monkeypatch.setattr(runs, "at_step", None)
    with pytest.raises(CheckpointMismatch, match="Load the model anew.*to go on from step 5; or give"):
        run(file, model)
    with pytest.raises(CheckpointMismatch, match="starting weights differ"):
        run(file, TinyNet(dropout=0.3, seed=5))
    assert run(file)[1].steps == 15


def data_sets():
    inputs, labels = tiny_table().tensors
    other_values = torch.rand(6, 1, 2, generator=torch.Generator().manual_seed(1))
    stored = StoredActivations(torch.zeros(6, 1, 2), torch.arange(6) % 2, ("a", "b"), ("identity",))
    return {
        "shape": (TensorDataset(inputs.view(46, 2)), TensorDataset(inputs.view(23, 4))),
        "type": (TensorDataset(torch.zeros(3)), TensorDataset(torch.zeros(3, dtype=torch.int32))),
        "subset": (Subset(tiny_table(), [0, 1]), Subset(tiny_table(), [0, 2])),
        "activations": (stored, replace(stored, values=other_values)),
        "episodes": (Episodes(tiny_table(), 2, 1, 2, 4), Episodes(tiny_table(), 2, 2, 2, 4)),
        "seed of episodes": (Episodes(tiny_table(), 2, 1, 2, 4), Episodes(tiny_table(), 2, 1, 2, 4, seed=1)),
        "domains": (DomainPairs(tiny_table(), tiny_table()), DomainPairs(tiny_table(), tiny_table(seed=1))),
        "teacher": (TransferSet(tiny_table(), torch.zeros(23, 2)), TransferSet(tiny_table(), torch.ones(23, 2))),
        "reading": (tiny_images(4), replace(tiny_images(4), read=lambda pixels: Image.fromarray(255 - pixels))),
    }


@pytest.mark.parametrize("what", data_sets())
def test_another_data_set_has_another_fingerprint(what):
    one, other = data_sets()[what]
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(data_sets()[what][0])


def test_a_partial_function_is_the_same_run_in_another_process():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    identity = checkpoints.run_identity(model, optimizer, schedule=functools.partial(one_cycle, warmup=0.1))
    assert identity["schedule"].startswith("functools.partial(<function one_cycle>, warmup=0.1) ")


def truncate(path):
    path.write_bytes(path.read_bytes()[:-500])


DAMAGE = {
    "truncated": truncate,
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(random.Random(0).randbytes(5000)),
    "text": lambda path: path.write_text("not a checkpoint"),
    "zip": lambda path: path.write_bytes(b"PK\3\4" + bytes(300)),
    "plain weights": lambda path: torch.save(TinyNet().state_dict(), path),
    "a list": lambda path: torch.save([1, 2, 3], path),
    "a pickled function": lambda path: torch.save({"identity": print}, path),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_file_that_is_no_checkpoint_is_refused_by_name(file, damage):
    model, table = linear(), tiny_table()
    fit(model, table, epochs=1, batch_size=8, checkpoint=file, progress="")
    DAMAGE[damage](file)
    with pytest.raises(CheckpointMismatch, match=f"{file} is not a checkpoint of this course.*Delete"):
        fit(linear(), table, epochs=1, batch_size=8, checkpoint=file, progress="")
