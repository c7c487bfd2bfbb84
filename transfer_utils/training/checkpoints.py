"""Checkpoints: the state of a run on disk, whole at every moment, refused where it does not belong."""

from __future__ import annotations

import hashlib
import re
import time
from pathlib import Path

import torch
from torch import nn

from ..runtime.digests import code_digest, weights_digest
from ..runtime.files import writable, write_atomically
from .state import RunState


class CheckpointMismatch(ValueError):
    """A checkpoint belongs to another model or another run."""


class Checkpoint:
    """Where ``fit`` saves its run now and then, and goes on from. Without a path nothing is saved.

    Args:
        path: the file; its folder is made, and tried, before any work is done.
        every: seconds between two savings.
        identity: of :func:`run_identity`.

    Raises:
        PermissionError: the folder cannot be written.
    """

    def __init__(self, path: str | Path | None, every: float, identity: dict[str, str]):
        self.path = Path(path) if path else None
        self.every, self.identity, self.saved_at = every, identity, time.perf_counter()
        if self.path:
            writable(self.path.parent)

    def is_due(self) -> bool:
        """Return whether the last saving is so long ago."""
        return time.perf_counter() - self.saved_at > self.every

    def save(self, model: nn.Module, optimizer: torch.optim.Optimizer, state: dict, finished: bool) -> None:
        """Save the run, ``state`` from ``RunState.as_dict``; the file always holds a whole checkpoint, old or new."""
        if self.path:
            content = {"identity": self.identity, "finished": finished, "model": model.state_dict()}
            content |= {"optimizer": None if finished else optimizer.state_dict(), **state}
            write_atomically(self.path, lambda part: torch.save(content, part))
        self.saved_at = time.perf_counter()

    def restore(self, model: nn.Module, optimizer: torch.optim.Optimizer, state: RunState) -> bool:
        """Go back to where the file stands, if there is one; return whether the run was already over.

        Raises:
            CheckpointMismatch: it is of another model or another run, or no checkpoint.
        """
        saved = load_checkpoint(self.path, self.identity) if self.path else None
        if saved is None:
            return False
        model.load_state_dict(saved["model"])
        if not saved["finished"]:
            optimizer.load_state_dict(saved["optimizer"])
        state.restore(saved)
        return saved["finished"]


def run_identity(model: nn.Module, optimizer: torch.optim.Optimizer, **settings: object) -> dict[str, str]:
    """Return what a run must have in common with a checkpoint that it goes on from."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    groups = [
        {k: g.get("initial_lr", v) if k == "lr" else v for k, v in g.items() if k not in ("params", "initial_lr")}
        for g in optimizer.param_groups
    ]
    return {
        "model": hashlib.sha256(repr(shapes).encode()).hexdigest(),
        "starting weights": weights_digest(model.state_dict().items()),
        "optimizer": f"{type(optimizer).__name__} {groups}",
        **{name.replace("_", " "): _setting(value) for name, value in settings.items()},
    }


def _setting(value: object) -> str:
    """Return a text of a setting, the same in every process; of a function its name and its code."""
    shown = re.sub(" at 0x[0-9a-f]+", "", repr(value))
    return f"{shown} {code_digest(value)}" if callable(value) else shown


def load_checkpoint(path: Path, identity: dict[str, str]) -> dict | None:
    """Return the checkpoint at ``path``, or ``None`` where there is none.

    Raises:
        CheckpointMismatch: it is of another model, another run, or not a checkpoint.
    """
    if not path.exists():
        return None
    advice = f"Delete {path} to start anew, or give fit another checkpoint path."
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        different = [name for name in identity if content["identity"].get(name) != identity[name]]
    except OSError:
        raise
    except Exception:  # PyTorch raises many kinds, and advises to unpickle what it does not know: not repeated here
        raise CheckpointMismatch(f"{path} is not a checkpoint of this course, or is damaged. {advice}") from None
    if "model" in different:
        raise CheckpointMismatch(f"{path} is a checkpoint of another model: its layers differ. {advice}")
    if different == ["starting weights"] and identity["starting weights"] in _reached(content):
        return content  # the same cell run again: the model stands where the checkpoint does
    if different == ["starting weights"]:
        raise CheckpointMismatch(
            f"{path} is a checkpoint of another run, or of this one: starting weights differ. Load the model anew, as "
            f"it was when the run started, to go on from step {content['steps']}; or give fit another checkpoint path."
        )
    if different:
        raise CheckpointMismatch(f"{path} is a checkpoint of another run: {', '.join(different)} differ. {advice}")
    return content


def _reached(content: dict) -> set[str]:
    """Return the digests of the weights that the run of a checkpoint has left in its model."""
    return {weights_digest(content[name].items()) for name in ("model", "best_weights") if content[name]}
