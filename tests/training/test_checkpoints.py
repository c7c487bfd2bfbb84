"""A checkpoint that does not belong to the run, or is none, is refused by name and left alone."""

import functools
import random

import pytest
import runs
import torch
from runs import EPOCHS, run
from tiny import TinyNet, linear, tiny_images, tiny_table

from transfer_utils import evaluate, fit
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
    "starting weights": {"model": TinyNet(dropout=0.3, seed=5)},
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


def test_a_partial_function_is_the_same_run_in_another_process():
    model = linear()
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    identity = checkpoints.run_identity(model, optimizer, schedule=functools.partial(one_cycle, warmup=0.1))
    assert identity["schedule"] == "functools.partial(<function one_cycle>, warmup=0.1)"


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
