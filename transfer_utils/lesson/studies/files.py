"""The files of a study: one of all its runs beside the lessons, and one of each run while it is being made.

safetensors with one JSON text as metadata; nothing is unpickled.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ...runtime.devices import pick_device
from ...runtime.files import cache_folder, checkout, sha256, write_atomically
from .results import Flat

MOST_BYTES = 10_000_000  # of all studies together: they are in git, and travel in the wheel


class DamagedStudy(ValueError):
    """A file of a study cannot be read."""


@dataclass(frozen=True)
class OneRun:
    """One run: its results by path, what it cost, and where it was computed."""

    results: Flat
    seconds: float
    peak_mb: float
    commit: str
    machine: str

    @property
    def facts(self) -> dict[str, Any]:
        """What is known about the run, without its results."""
        return {name: value for name, value in vars(self).items() if name != "results"}


@dataclass(frozen=True)
class StoredStudy:
    """All runs of a study: ``runs`` by seed, and the key they were computed under."""

    key: dict[str, str]
    runs: dict[int, OneRun]
    date: str
    torch: str  # its version

    @property
    def commit(self) -> str:
        """The commits of the runs; with ``+``, files were changed since."""
        return ", ".join(dict.fromkeys(run.commit for run in self.runs.values() if run.commit))

    @property
    def machine(self) -> str:
        """The machines of the runs."""
        return ", ".join(dict.fromkeys(run.machine for run in self.runs.values()))


# ------------------------------------------------------------ places


def studies_folder() -> Path:
    """Return the folder of the stored studies: of the checkout, or inside the package where only that is installed."""
    if os.environ.get("TRANSFER_STUDIES"):
        return Path(os.environ["TRANSFER_STUDIES"])
    root = checkout()
    return root / "notebooks" / "studies" if root else Path(__file__).resolve().parents[2] / "studies"


def study_file(folder: Path, number: str, name: str, profile: str) -> Path:
    """Return the file of a study: ``NN_name.safetensors``, in the profile full ``NN_name.full.safetensors``."""
    return Path(folder) / f"{number}_{name}{'' if profile == 'laptop' else f'.{profile}'}.safetensors"


def run_folder(digest: str) -> Path:
    """Return the folder of the single runs under a key, of this version of the helper package and of PyTorch."""
    return cache_folder() / "studies" / f"{digest}-{_package_digest()}-{torch.__version__}"


@functools.cache
def _package_digest() -> str:
    """Return 8 digits for the source of the package: an interrupted study does not go on with other code."""
    return sha256(sorted(Path(__file__).resolve().parents[2].rglob("*.py")))[:8]


# ------------------------------------------------------------ one run


def write_run(folder: Path, seed: int, run: OneRun) -> None:
    """Store one run, whole or not at all."""
    _write(folder / f"{seed}.safetensors", run.results, run.facts)


def read_run(folder: Path, seed: int) -> OneRun | None:
    """Return the run of ``seed`` that an interrupted study left, ``None`` where there is none that can be read."""
    try:
        flat, facts = _read(folder / f"{seed}.safetensors")
        return OneRun(flat, **facts)
    except (FileNotFoundError, DamagedStudy, TypeError):
        return None


def remove_runs(folder: Path) -> None:
    """Delete the single runs, once they are merged."""
    shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------ all runs


def write_study(path: Path, study: StoredStudy) -> None:
    """Store all runs in one file.

    Raises:
        ValueError: the files of the folder would take more than 10 MB; nothing is written.
    """
    runs = list(study.runs.values())
    flat = {name: torch.stack([_packed_alike(run.results[name], name, runs) for run in runs])
            for name in runs[0].results}  # fmt: skip
    facts = {
        "key": study.key,
        "date": study.date,
        "versions": {"torch": study.torch},
        "seeds": list(study.runs),
        "runs": [run.facts for run in runs],
    }
    others = (
        sum(p.stat().st_size for p in path.parent.glob("*.safetensors") if p != path) if path.parent.is_dir() else 0
    )
    size = sum(tensor.numel() * tensor.element_size() for tensor in flat.values()) + len(json.dumps(facts))
    if others + size > MOST_BYTES:
        raise ValueError(f"{path.name} would take {size / 1e6:.2f} MB, and all studies {(others + size) / 1e6:.2f}"
                         f" MB; at most {MOST_BYTES / 1e6:.0f} MB may be stored. Return less from run(seed): scores of "
                         "the test items, not of all, and no weights.")  # fmt: skip
    _write(path, flat, facts)


def _packed_alike(tensor: torch.Tensor, name: str, runs: list[OneRun]) -> torch.Tensor:
    kind = functools.reduce(torch.promote_types, (run.results[name].dtype for run in runs))
    return tensor.to(kind)


def read_study(path: Path) -> StoredStudy | None:
    """Return the study in ``path``, ``None`` where there is no such file.

    Raises:
        DamagedStudy: the file cannot be read.
    """
    try:
        flat, facts = _read(path)
        _check(flat, facts)
        runs = {seed: OneRun({name: stacked[i] for name, stacked in flat.items()}, **facts["runs"][i])
                for i, seed in enumerate(facts["seeds"])}  # fmt: skip
        return StoredStudy(facts["key"], runs, facts["date"], facts["versions"]["torch"])
    except FileNotFoundError:
        return None
    except DamagedStudy:
        raise
    except (KeyError, IndexError, TypeError, ValueError, AttributeError) as error:
        raise DamagedStudy(f"{path} is not a study as this version of the course writes them.") from error


def _check(flat: Flat, facts: dict[str, Any]) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless the facts are of the kinds that :func:`write_study` writes."""
    texts = [facts["date"], facts["versions"]["torch"], *facts["key"].values()]
    texts += [run[name] for run in facts["runs"] for name in ("commit", "machine")]
    numbers = [run[name] for run in facts["runs"] for name in ("seconds", "peak_mb")]
    paths = [json.loads(path) for path in flat]
    if not (
        all(isinstance(text, str) for text in texts)
        and all(isinstance(number, (int, float)) for number in numbers)
        and all(type(seed) is int for seed in facts["seeds"])
        and all(isinstance(path, list) and path and all(isinstance(arm, str) for arm in path) for path in paths)
        and flat
        and len(facts["seeds"]) == len(set(facts["seeds"])) == len(facts["runs"]) > 0
        and all(tensor.ndim and len(tensor) == len(facts["seeds"]) for tensor in flat.values())
    ):
        raise TypeError("of another kind")


def _write(path: Path, flat: Flat, facts: dict[str, Any]) -> None:
    from safetensors.torch import save_file

    tensors = {name: tensor.contiguous().clone() for name, tensor in flat.items()}
    metadata = {"study": json.dumps(facts, sort_keys=True)}
    write_atomically(path, lambda part: save_file(tensors, part, metadata=metadata))


def _read(path: Path) -> tuple[Flat, dict[str, Any]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise FileNotFoundError(path)
    try:
        with safe_open(path, "pt") as opened:
            # cloned: a tensor that is mapped keeps the file open, and Windows replaces no open file
            flat = {name: opened.get_tensor(name).clone() for name in opened.keys()}  # noqa: SIM118
            return flat, json.loads(opened.metadata()["study"])
    except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
        raise DamagedStudy(f"{path} is damaged ({error}). Take it from git again, or delete it.") from error


# ------------------------------------------------- where and from what


def current_commit() -> str:
    """Return the commit of the checkout, with ``+`` where files were changed since; empty where there is no git."""
    root = checkout()
    git = ["git", "-C", str(root)]
    status = ["status", "--porcelain", "--untracked-files=no", "--", ".", ":(exclude)notebooks/studies"]
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        if root:
            told = [subprocess.run([*git, *arguments], capture_output=True, text=True, check=True, timeout=30).stdout
                    for arguments in (["rev-parse", "--short", "HEAD"], status)]  # fmt: skip
            return told[0].strip() + ("+" if told[1].strip() else "")
    return ""


@functools.cache
def machine() -> str:
    """Return the kind of machine: the GPU's name, or the model of the CPU."""
    if pick_device().type == "cuda":
        return f"GPU {torch.cuda.get_device_name()}"
    if pick_device().type == "mps":
        return f"Apple GPU, {platform.machine()}"
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return f"CPU {' '.join(line.partition(':')[2].split())}"
    return f"CPU {platform.processor() or platform.machine()}"
