"""Checkpoints: the state of a run on disk, whole at every moment, refused where it does not belong."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import torch
from torch import nn

from ..runtime.files import write_atomically


class CheckpointMismatch(ValueError):
    """A checkpoint belongs to another model or another run."""


def run_identity(model: nn.Module, optimizer: torch.optim.Optimizer, **settings: object) -> dict[str, str]:
    """Return what a run must have in common with a checkpoint that it goes on from."""
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    groups = [
        {k: g.get("initial_lr", v) if k == "lr" else v for k, v in g.items() if k not in ("params", "initial_lr")}
        for g in optimizer.param_groups
    ]
    return {
        "model": hashlib.sha256(repr(shapes).encode()).hexdigest(),
        "starting weights": _digest(model.state_dict()),
        "optimizer": f"{type(optimizer).__name__} {groups}",
        # Without the addresses of functions, which differ in every process.
        **{name.replace("_", " "): re.sub(" at 0x[0-9a-f]+", "", repr(value)) for name, value in settings.items()},
    }


def _digest(weights: dict[str, torch.Tensor]) -> str:
    digest = hashlib.sha256()
    for tensor in weights.values():
        digest.update(tensor.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


def save_checkpoint(path: Path, content: dict) -> None:
    """Write ``content`` so that ``path`` always holds a whole checkpoint, the old one or the new one."""
    write_atomically(path, lambda part: torch.save(content, part))


def load_checkpoint(path: Path, identity: dict[str, str]) -> dict | None:
    """Return the checkpoint at ``path``, or ``None`` where there is none.

    Raises:
        CheckpointMismatch: it is of another model, another run, or not a checkpoint.
    """
    path = Path(path)
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
    if different:
        raise CheckpointMismatch(f"{path} is a checkpoint of another run: {', '.join(different)} differ. {advice}")
    return content


def _reached(content: dict) -> set[str]:
    """Return the digests of the weights that the run of a checkpoint has left in its model."""
    return {_digest(content[name]) for name in ("model", "best") if content[name]}
