"""What a network that does not change says of each item: computed once, and kept on disk.

A frozen network gives the same answer for the same input every time. Asking it again in every epoch is work without a
result. The file is found under a key of everything that decides: weights, transform, items and their order.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from ..data import Labelled
from ..evaluation.predict import predict
from ..models.heads import card_of
from ..runtime.digests import weights_digest
from ..runtime.files import cache_folder, write_atomically
from .fixed_transforms import require_fixed_transform, settings_of


def stored_outputs(
    model: nn.Module,
    data: Labelled,
    output_of: Callable[[nn.Module], AbstractContextManager] | None = None,
    *,
    batch_size: int = 32,
    cache: bool = True,
    progress: str = "",
) -> torch.Tensor:
    """Return what :func:`transfer_utils.predict` returns for every item, (N, ...), computed once and cached on disk.

    Args:
        output_of: as in ``predict``; its name is part of the key. ``None``: the output of the head, whose
            weights then are part of the key too.
        cache, batch_size: as in :func:`transfer_utils.extract_features`.

    Raises:
        ValueError: the transform is random or missing.
    """
    kind = output_of.__name__ if output_of else "output"
    head = card_of(model).head + "."
    deciding = [(n, t) for n, t in model.state_dict().items() if output_of is None or not n.startswith(head)]

    # A layer without weights, such as an activation, decides too; the head need not.
    structure = repr([(name, str(part)) for name, part in model.named_modules() if not f"{name}.".startswith(head)
                      and next(part.children(), None) is None])  # fmt: skip

    def ask() -> torch.Tensor:
        return predict(model, data, output_of=output_of, batch_size=batch_size, progress=progress)[0]

    return computed_once(ask, data, f"{structure} {kind} {weights_digest(deciding)}", cache=cache)


def computed_once(compute: Callable[[], torch.Tensor], data: Labelled, what: str, *, cache: bool) -> torch.Tensor:
    """Return ``compute()``, one row an item of ``data``, from the cache where it was computed before.

    Args:
        what: all that decides about the result beside ``data`` and its transform.
        cache: ``False`` computes and keeps nothing.

    Returns:
        From the cache a tensor that is mapped from the file: only rows that are looked at come into memory.

    Raises:
        ValueError: the transform is random or missing.
    """
    require_fixed_transform(data)
    path = _path(data, what) if cache else None
    values = _read(path, len(data)) if path else None
    if values is None:
        values = compute()
        if path:
            write_atomically(path, lambda part: save_file({"features": values}, part))
    return values


def _path(data: Labelled, what: str) -> Path | None:
    """Return the file for this result; ``None``, said, where the transform cannot be told from others."""
    settings = settings_of(data.transform)
    if settings is None:
        warnings.warn(
            f"The features are not cached, because {data.transform!r} does not say what it does. "
            "Use model.card.preprocess(size), or a dataclass whose fields are its settings.",
            stacklevel=5,
        )
        return None
    key = f"{what} {settings} {data.fingerprint()}"
    return cache_folder() / "features" / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.safetensors"


def _read(path: Path, count: int) -> torch.Tensor | None:
    """Return cached features, or ``None`` where there are none; a damaged file is said and deleted."""
    if not path.is_file():
        return None
    try:
        values = load_file(path)["features"]
        if len(values) != count:
            raise ValueError(f"{len(values)} rows for {count} items")
        return values
    except Exception as error:  # whatever is wrong with it, the remedy is the same
        warnings.warn(f"The cached features {path} are damaged ({error}); extracting them again.", stacklevel=5)
        path.unlink(missing_ok=True)
        return None
