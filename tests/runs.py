"""One small training run with everything in it, which tests start, interrupt and start again.

BatchNorm, dropout, augmentation, an unfreezing schedule, rates by depth, validation, an uneven last batch.
"""

import multiprocessing
import os
import signal
import sys
from pathlib import Path

import torch
from tiny import TinyNet, tiny_encoder, tiny_images, tiny_texts, weights_of

from transfer_utils import UnfreezingSchedule, add_lora, fit, layerwise_lr
from transfer_utils.training.steps import classification_step

EPOCHS, STEPS_AN_EPOCH = 3, 5
at_step = None  # called with the number of the step, before it


def shaken(image):
    """Turn an image at random: the augmentation of the run."""
    return image.rotate(float(torch.rand(1)) * 90)


def perilous_step(model, batch, state):
    """Make an ordinary step, before which something may happen to the process."""
    if at_step:
        at_step(state.step)
    return classification_step(model, batch, state)


def run(checkpoint=None, model=None, save_every=0.0, train=None, validation=None, **options):
    """Train and return the weights and the result of ``fit``."""
    model = model or TinyNet(dropout=0.3)
    plain = model.card.preprocess()
    train = train or tiny_images(22).with_transform(plain.augmented(shaken))
    settings = {"epochs": EPOCHS, "batch_size": 5, "at_epoch_start": UnfreezingSchedule({0: 1, 1: 3}).apply}
    settings |= {"optimizer": torch.optim.AdamW(layerwise_lr(model, 3e-2)), "step": perilous_step, "progress": ""}
    validation = validation or tiny_images(12, seed=1).with_transform(plain)
    result = fit(model, train, validation, checkpoint=checkpoint, save_every=save_every, **settings | options)
    return weights_of(model), result


def run_on_texts(checkpoint=None, save_every=0.0):
    """Train a small encoder with LoRA, with everything that is particular to texts; return weights and result."""
    model = add_lora(tiny_encoder(dropout=0.2), 2, dropout=0.2)
    train, validation = (tiny_texts(n, seed=s).with_transform(model.card.preprocess(20)) for n, s in ((22, 0), (12, 1)))
    result = fit(model, train, validation, epochs=3, lr=3e-2, batch_size=5, step=perilous_step, checkpoint=checkpoint,
                 save_every=save_every, progress="")  # fmt: skip
    return weights_of(model), result


# ------------------------------------------------------------ in another process


def die():
    """End this process as a power cut would."""
    os.kill(os.getpid(), signal.SIGKILL)


def _in_child(folder, work, die_at, die_in_save, options):
    global at_step
    torch.set_num_threads(1)  # OpenMP's threads do not survive a fork
    if die_at is not None:
        at_step = lambda step: die() if step == die_at else None  # noqa: E731
    if die_in_save is not None:
        _die_while_writing(die_in_save)
    weights, result = work(folder / "checkpoint.pt", **options)
    torch.save({"weights": weights, "history": result.history, "steps": result.steps}, folder / "outcome.pt")


def _die_while_writing(number):
    real, count = torch.save, iter(range(10**6))

    def save(content, path):
        real(content, path)
        if next(count) == number:
            os.truncate(path, Path(path).stat().st_size // 2)
            die()

    torch.save = save


# Each child is forked from a server that has imported what it needs and has no threads, so a fork is safe.
children = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    children.set_forkserver_preload(["transfer_utils.training.loop", "transfer_utils.models.encoders", "PIL.Image"])


def start(folder, work=run, die_at=None, die_in_save=None, **options):
    """Start ``work``, a run, in a process of its own, from the checkpoint in ``folder`` where there is one."""
    process = children.Process(target=_in_child, args=(folder, work, die_at, die_in_save, options))
    process.start()
    return process


def finish(process):
    """Wait for the end and return the exit status: 0, or minus the number of the signal."""
    process.join(120)
    return process.exitcode


def outcome(folder):
    """Return the weights, the history and the number of steps of a run that ended."""
    return torch.load(folder / "outcome.pt", weights_only=True)
