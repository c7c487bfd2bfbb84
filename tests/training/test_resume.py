"""A run that is killed, interrupted or refused disk space goes on to the same result, and nothing is lost."""

import os
import signal

import pytest
import runs
import torch
from runs import EPOCHS, STEPS_AN_EPOCH, finish, outcome, run, start
from tiny import TinyNet, changed, linear, weights_of
from torch.utils.data import Dataset

from transfer_utils import evaluate, fit, layerwise_lr
from transfer_utils.data.batching import Batched

LAST = EPOCHS * STEPS_AN_EPOCH - 1


@pytest.fixture(scope="module")
def uninterrupted():
    """The weights and the result that every interrupted run must come to as well."""
    return run()


@pytest.fixture(scope="module")
def uninterrupted_process(tmp_path_factory):
    """The same of a process of its own."""
    folder = tmp_path_factory.mktemp("uninterrupted")
    assert finish(start(folder)) == 0
    return outcome(folder)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checkpoint.pt"


def happen(monkeypatch, at, what):
    monkeypatch.setattr(runs, "at_step", lambda step: what() if step == at else None)


def without_seconds(result):
    return result.history, result.best_epoch, result.steps


# ------------------------------------------------------------------------ killed


@pytest.mark.parametrize("at", [(1,), (STEPS_AN_EPOCH - 1, STEPS_AN_EPOCH), (STEPS_AN_EPOCH + 2, LAST)])
def test_a_run_killed_with_sigkill_and_started_again_gives_the_same_weights(tmp_path, uninterrupted_process, at):
    for step in at:
        assert finish(start(tmp_path, die_at=step)) == -signal.SIGKILL
    assert finish(start(tmp_path)) == 0
    ended = outcome(tmp_path)
    assert not changed(uninterrupted_process["weights"], ended["weights"])
    assert ended["history"] == uninterrupted_process["history"]
    assert ended["steps"] == uninterrupted_process["steps"] == LAST + 1


def test_a_run_killed_while_it_writes_its_checkpoint_goes_on_from_the_one_before(tmp_path, uninterrupted_process):
    assert finish(start(tmp_path, die_in_save=3)) == -signal.SIGKILL
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["steps"] == 3
    assert finish(start(tmp_path)) == 0
    assert not changed(uninterrupted_process["weights"], outcome(tmp_path)["weights"])


def test_whoever_reads_the_checkpoint_during_a_run_finds_a_whole_one(tmp_path):
    process, path, steps = start(tmp_path, epochs=6), tmp_path / "checkpoint.pt", []
    while process.is_alive():
        if path.exists():
            content = torch.load(path, weights_only=True)
            assert content["model"].keys() == TinyNet().state_dict().keys()
            steps.append(content["steps"])
    assert finish(process) == 0
    assert steps == sorted(steps)
    assert torch.load(path, weights_only=True)["finished"]


# -------------------------------------------------------------------- interrupted


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("at", [0, STEPS_AN_EPOCH - 1, STEPS_AN_EPOCH + 2])
def test_a_run_that_fails_at_any_step_resumes_to_the_same_weights(file, monkeypatch, uninterrupted, at, workers):
    def power_cut():
        raise RuntimeError("power cut")

    happen(monkeypatch, at, power_cut)
    with pytest.raises(RuntimeError, match="power cut"):
        run(file, workers=workers)
    monkeypatch.setattr(runs, "at_step", None)
    torch.rand(17)  # what ran in between must not matter
    weights, result = run(file, workers=workers)
    assert not changed(uninterrupted[0], weights)
    assert without_seconds(result) == without_seconds(uninterrupted[1])


def test_the_best_weights_of_before_the_interruption_are_kept(file, monkeypatch):
    worst_is_best = {"monitor": "-accuracy"}  # so that the first epoch wins
    weights, result = run(**worst_is_best)
    assert result.best_epoch == 0
    happen(monkeypatch, LAST, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(file, **worst_is_best)
    monkeypatch.setattr(runs, "at_step", None)
    resumed, after = run(file, **worst_is_best)
    assert not changed(weights, resumed)
    assert without_seconds(after) == without_seconds(result)


@pytest.mark.parametrize("save_every", [0.0, 3600.0])
def test_ctrl_c_finishes_the_step_saves_and_resumes_to_the_same_weights(file, monkeypatch, uninterrupted, save_every):
    handler = signal.getsignal(signal.SIGINT)
    happen(monkeypatch, 7, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match=f"stopped after step 8 of 15, saved to .*{file.name}: call fit again"):
        run(file, save_every=save_every)
    assert torch.load(file, weights_only=True)["steps"] == 8
    assert signal.getsignal(signal.SIGINT) is handler
    weights, result = run(file)
    assert not changed(uninterrupted[0], weights)
    assert without_seconds(result) == without_seconds(uninterrupted[1])


def test_after_ctrl_c_the_same_model_and_optimizer_may_be_given_again(file, monkeypatch, uninterrupted):
    model = TinyNet(dropout=0.3)
    optimizer = torch.optim.AdamW(layerwise_lr(model, 3e-2))
    happen(monkeypatch, 7, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(file, model, optimizer=optimizer)
    assert not changed(uninterrupted[0], run(file, model, optimizer=optimizer)[0])
    steps_before = torch.load(file, weights_only=True)["steps"]
    assert run(file, model, optimizer=optimizer)[1].steps == steps_before == 15  # and when it is over


def drawing_score(model, data):
    """Score with a random number, as a score of masked words does."""
    return {"accuracy": float(torch.rand(()))}


def test_a_score_that_draws_is_the_same_after_an_interruption(file, monkeypatch):
    expected = without_seconds(run(score=drawing_score)[1])
    happen(monkeypatch, STEPS_AN_EPOCH - 1, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt):
        run(file, score=drawing_score)
    monkeypatch.setattr(runs, "at_step", None)
    assert without_seconds(run(file, score=drawing_score)[1]) == expected


class InterruptsItsWorker(Batched, Dataset):
    """Items whose worker process gets the Ctrl-C of the terminal, as all processes there do."""

    def __len__(self):
        return 4

    def collect(self, indices):
        if torch.utils.data.get_worker_info():
            os.kill(os.getpid(), signal.SIGINT)
        return torch.ones(len(indices), 4), torch.zeros(len(indices), dtype=torch.long)


def test_workers_leave_ctrl_c_to_the_main_process():
    assert fit(linear(), InterruptsItsWorker(), epochs=1, batch_size=2, workers=1, progress="").steps == 2


def test_ctrl_c_without_a_checkpoint_says_that_nothing_was_saved(monkeypatch):
    happen(monkeypatch, 2, lambda: signal.raise_signal(signal.SIGINT))
    with pytest.raises(KeyboardInterrupt, match="stopped after step 3 of 15, no checkpoint given"):
        run()


def test_a_second_ctrl_c_interrupts_at_once(monkeypatch, file):
    def twice():
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    happen(monkeypatch, 2, twice)
    with pytest.raises(KeyboardInterrupt):
        run(file)
    assert torch.load(file, weights_only=True)["steps"] == 2


def test_ctrl_c_during_the_last_validation_is_not_swallowed(file, uninterrupted, monkeypatch):
    model = TinyNet(dropout=0.3)

    def score(*arguments, **options):
        if torch.load(file, weights_only=True)["steps"] == LAST + 1:
            signal.raise_signal(signal.SIGINT)
        return evaluate(*arguments, **options)

    with pytest.raises(KeyboardInterrupt, match="just finished"):
        run(file, model, score=score)
    assert torch.load(file, weights_only=True)["finished"]
    assert not changed(uninterrupted[0], weights_of(model))


# ------------------------------------------------------------------ over, or full


def test_a_run_that_is_over_is_restored_without_training(file, monkeypatch, uninterrupted):
    run(file)
    happen(monkeypatch, 0, lambda: pytest.fail("a step was made"))
    weights, result = run(file)
    assert not changed(uninterrupted[0], weights)
    assert without_seconds(result) == without_seconds(uninterrupted[1])


def test_a_disk_that_fills_up_leaves_the_checkpoint_before(file, monkeypatch, uninterrupted):
    real, saved = torch.save, []

    def save(content, path):
        if len(saved) == 4:
            path.write_bytes(b"half a check")
            raise OSError(28, "No space left on device")
        saved.append(real(content, path))

    monkeypatch.setattr(torch, "save", save)
    with pytest.raises(OSError, match="no space left on"):
        run(file)
    monkeypatch.setattr(torch, "save", real)
    assert os.listdir(file.parent) == [file.name]
    assert torch.load(file, weights_only=True)["steps"] == 4
    assert not changed(uninterrupted[0], run(file)[0])


def test_a_checkpoint_folder_that_cannot_be_written_is_named_before_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    happen(monkeypatch, 0, lambda: pytest.fail("a step was made"))
    with pytest.raises(PermissionError, match="file/runs cannot be written"):
        run(tmp_path / "file" / "runs" / "checkpoint.pt")
