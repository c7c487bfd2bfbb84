"""The same call of ``fit`` on two processes under ``accelerate launch`` gives the same weights as on one."""

import os
import subprocess
import sys

import pytest
import torch

from transfer_utils.runtime.files import checkout

ROOT = checkout()

# Without BatchNorm, whose statistics are of each process's own share, one and two processes do the same arithmetic.
# 23 items by 5: the last batch has three items, so one process has two of them and the other one.
SCRIPT = """
import os, sys
import torch
from accelerate import PartialState
from tiny import linear, tiny_table
from torch import nn
from transfer_utils import evaluate, fit

model = nn.Sequential(linear(outputs=8), nn.Tanh(), linear(width=8, seed=1))
validation = tiny_table(11, seed=1)
frozen = model[0].bias.requires_grad_(False).clone()
options = dict(epochs=5, batch_size=5, lr=0.05, seed=3, progress="")
result = fit(model, tiny_table(23), validation, checkpoint=sys.argv[1] + "/checkpoint.pt", save_every=0.0, **options)
scores = evaluate(model, validation, batch_size=4, progress="")
state = PartialState()
assert torch.equal(model[0].bias, frozen)
torch.save({"weights": dict(model.state_dict()), "history": result.history, "scores": scores, "steps": result.steps,
            "processes": state.num_processes}, f"{sys.argv[1]}/outcome{state.process_index}.pt")
state.destroy_process_group()  # without it torch may abort at exit, after everything was saved
"""

# The steps of techniques use parts of a model; one learns from episodes, an item a step.
TECHNIQUES = """
import sys
import torch
from accelerate import PartialState
from tiny import linear, tiny_table
from torch import nn
from transfer_utils import fit
from transfer_utils.techniques.dann import Dann
from transfer_utils.techniques.domains import DomainModel, DomainPairs, domain_classifier
from transfer_utils.techniques.episodes import Episodes, EpisodeStep
from transfer_utils.techniques.mmd import Alignment, coral
from transfer_utils.techniques.prototypes import by_prototype

options = dict(epochs=2, lr=0.05, seed=3, progress="")
weights = {}
for name, step in {"Dann": Dann(), "Dann apart": Dann(joint=False), "Alignment": Alignment(coral)}.items():
    torch.manual_seed(0)
    model = DomainModel(nn.Sequential(linear(outputs=8), nn.Tanh()), linear(width=8, seed=1), domain_classifier(8))
    fit(model, DomainPairs(tiny_table(24), tiny_table(24, seed=1)), batch_size=8, step=step, **options)
    weights |= {f"{name}.{key}": value for key, value in model.state_dict().items()}
model = linear(outputs=8)
fit(model, Episodes(tiny_table(24), 2, 2, 3, count=6), batch_size=1, step=EpisodeStep(by_prototype), **options)
weights |= {f"episodes.{name}": value for name, value in model.state_dict().items()}
model = nn.Sequential(linear(outputs=8), nn.BatchNorm1d(8), linear(width=8))  # statistics of each process's own share
fit(model, tiny_table(23), batch_size=8, **options)
weights |= {f"BatchNorm.{name}": value for name, value in model.state_dict().items()}
state = PartialState()
torch.save({"weights": weights, "processes": state.num_processes}, f"{sys.argv[1]}/outcome{state.process_index}.pt")
state.destroy_process_group()  # without it torch may abort at exit, after everything was saved
"""


# On a CPU the launcher starts several processes under --multi_gpu (torchrun); with --cpu it would start one only,
# unless there is MPI. TRANSFER_DEVICE keeps the processes on the CPU where there is a GPU.
LAUNCH = ["-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
          "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]  # fmt: skip


def train(folder, *launch, script=SCRIPT):
    """Run the script in a process of its own, or several, and return what each process got."""
    folder.mkdir()
    (folder / "script.py").write_text(script)
    paths = os.pathsep.join([str(ROOT), str(ROOT / "tests"), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths, "OMP_NUM_THREADS": "1", "HF_HOME": str(folder / "hub")}
    command = [sys.executable, *launch, str(folder / "script.py"), str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stderr[-3000:]
    return [torch.load(path, weights_only=True) for path in sorted(folder.glob("outcome*.pt"))]


def train_here(folder, monkeypatch, script=SCRIPT):
    """Run the same script in this process."""
    folder.mkdir()
    monkeypatch.setattr(sys, "argv", ["script.py", str(folder)])
    exec(compile(script, "script.py", "exec"), {})
    return torch.load(folder / "outcome0.pt", weights_only=True)


def test_two_processes_give_the_weights_the_metrics_and_the_checkpoint_of_one(tmp_path, monkeypatch):
    one = train_here(tmp_path / "one", monkeypatch)
    two = train(tmp_path / "two", *LAUNCH)
    assert [outcome["processes"] for outcome in (one, *two)] == [1, 2, 2]
    for outcome in two:
        assert outcome["steps"] == one["steps"] == 25
        for name, tensor in one["weights"].items():
            torch.testing.assert_close(outcome["weights"][name], tensor, atol=1e-5, rtol=0)
        assert outcome["scores"] == pytest.approx(one["scores"], abs=1e-5)
        for row, expected in zip(outcome["history"], one["history"], strict=True):
            assert row == pytest.approx(expected, abs=1e-5)
    first, second = (torch.load(tmp_path / n / "checkpoint.pt", weights_only=True) for n in ("one", "two"))
    assert first["finished"]
    assert second["finished"]
    assert first["identity"] == second["identity"]


def test_domain_adaptation_and_episodes_train_on_two_processes(tmp_path, monkeypatch):
    """CORAL and BatchNorm over halves of a batch are not those of the whole: there the processes must only agree."""
    one = train_here(tmp_path / "one", monkeypatch, TECHNIQUES)
    two = train(tmp_path / "two", *LAUNCH, script=TECHNIQUES)
    assert [outcome["processes"] for outcome in (one, *two)] == [1, 2, 2]
    for name, expected in one["weights"].items():
        torch.testing.assert_close(two[0]["weights"][name], two[1]["weights"][name], atol=0, rtol=0)
        if not name.startswith(("Alignment", "BatchNorm")):
            torch.testing.assert_close(two[0]["weights"][name], expected, atol=1e-5, rtol=0)
