"""The runs of a study: computed here, read from the file of the study, or left by one that was interrupted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from ...evaluation.cost import measure
from ...runtime.progress import is_build, progress_bar
from ...runtime.seeding import kept_random_state, set_seed
from ..opening import current_lesson
from .files import (
    DamagedStudy,
    OneRun,
    StoredStudy,
    current_commit,
    machine,
    read_run,
    read_study,
    remove_runs,
    run_folder,
    write_run,
    write_study,
)
from .key import what_changed
from .results import differences, flattened, same_shapes, shown_path

Run = Callable[[int], Mapping[str, Any]]


class StudyOutgrown(RuntimeError):
    """The stored runs are not what this code computes, or there are none, and the course is being built."""


@dataclass(frozen=True)
class Place:
    """Where a study is stored: ``file`` with all runs, ``folder`` for single ones while they are made.

    The folder is in the cache, which is made when it is first asked for: a study whose runs are all stored needs none.
    """

    file: Path
    digest: str

    @property
    def folder(self) -> Path:
        """The folder of the single runs under the key of this study."""
        return run_folder(self.digest)


def advice() -> str:
    """Return the command that computes the stored runs of this lesson."""
    return f"To compute them: make studies LESSONS=notebooks/{current_lesson()}.ipynb"


def cells_run_so_far() -> tuple[list[str], dict[str, Any]]:
    """Return the source of the cells run so far with their names; outside IPython, the file of the calling module."""
    shell = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    if shell is not None:
        history = getattr(shell.history_manager, "input_hist_parsed", None)  # a notebook may bind In anew
        return [str(cell) for cell in history or shell.user_ns["In"]], shell.user_ns
    frame = sys._getframe(1)
    while frame.f_back and frame.f_globals.get("__name__", "").startswith("transfer_utils.lesson.studies."):
        frame = frame.f_back
    file = frame.f_globals.get("__file__")
    if not file or not Path(file).is_file():
        raise ValueError("study() reads the source that it is called from, and here there is none: call it in a "
                         "notebook, or in a script that is a file.")  # fmt: skip
    return [Path(file).read_text(encoding="utf-8")], frame.f_globals


def compute(run: Run, seed: int, commit: str = "") -> OneRun:
    """Return ``run(seed)`` as it is stored, measured; the state of all random generators is afterwards as before.

    Args:
        commit: of the code, where the run will be stored.
    """
    with kept_random_state():
        set_seed(seed)
        with measure() as cost:
            results = run(seed)
    return OneRun(flattened(results), cost.seconds, cost.peak_mb, commit, machine())


# ------------------------------------------------------------ stored runs


def find_stored(place: Place, key: dict[str, str], seeds: tuple[int, ...]) -> tuple[dict[int, OneRun], str]:
    """Return the stored runs that fit, and what is missing or wrong, in words."""
    try:
        found = read_study(place.file)
    except DamagedStudy as error:
        return {}, str(error).removesuffix(".")
    if found is None:
        return {}, f"{place.file.name} is missing"
    if changed := what_changed(found.key, key):
        return {}, f"{place.file.name} is stale ({changed})"
    missing = [seed for seed in seeds if seed not in found.runs]
    return found.runs, f"{place.file.name} lacks {shown_seeds(missing)}" if missing else ""


def compare(live: OneRun, stored: OneRun, tolerance: float) -> str:
    """Return how a live run differs from the stored one of the same seed, in words, empty within the tolerance.

    Results of one name, such as the ``scores`` of several arms, are averaged: training at a high rate is chaotic, and
    a single arm may end elsewhere on a machine that rounds differently, while changed code moves them all.
    """
    apart: dict[tuple[str, str], list[float]] = {}
    for path in sorted({*live.results, *stored.results}):
        shapes = [tuple(run.results[path].shape) if path in run.results else "nothing" for run in (live, stored)]
        if shapes[0] != shapes[1]:
            return f"{shown_path(path)} is {shapes[0]}, stored is {shapes[1]}"
        for value, what in differences(live.results[path], stored.results[path]):
            apart.setdefault((json.loads(path)[-1], what), []).append(value)
    for (name, what), values in apart.items():
        mean = sum(values) / len(values)
        if not mean <= tolerance:
            arms = f", mean of {len(values)} arms" if len(values) > 1 else ""
            return f"{name!r}, {what} {mean:.4f}{arms}, more than the tolerance {tolerance}"
    return ""


def mismatch(name: str, seed: int, live: OneRun, stored: dict[int, OneRun], tolerance: float) -> str:
    """Return why the stored runs cannot be used beside the live one, in words, empty where they can.

    Raises:
        StudyOutgrown: they cannot, and the course is being built.
    """
    apart = compare(live, stored[seed], tolerance) if seed in stored else ""
    if apart and is_build():
        raise StudyOutgrown(f"Seed {seed} of the study {name!r} is not what is stored: {apart}. The key is the same, "
                            "so the helper package, a library, or something in the notebook that the key cannot see "
                            f"has changed. Delete the stored file. {advice()}")  # fmt: skip
    return f"the stored runs do not fit what ran here: seed {seed}, {apart}" if apart else ""


def complete(place: Place, run: Run, seeds: tuple[int, ...], runs: dict[int, OneRun], complaint: str,
             tolerance: float) -> None:  # fmt: skip
    """Compute what is missing in ``runs``, and print which seeds are live, stored and computed."""
    live, stored = runs[seeds[0]], [seed for seed in seeds[1:] if seed in runs]
    kept = _kept(place, seeds, runs, tolerance) if len(runs) < len(seeds) else {}
    runs |= kept
    missing = [seed for seed in seeds if seed not in runs]
    if missing:
        code = current_commit()
        write_run(place.folder, seeds[0], replace(live, commit=code))
        print(f"{complaint[:1].upper()}{complaint[1:]}. Computing {shown_seeds(missing)} "
              f"here takes about {_duration(live.seconds * len(missing))}.", flush=True)  # fmt: skip
    for seed in progress_bar(missing, "seeds"):
        runs[seed] = compute(run, seed, code)
        same_shapes(live.results, runs[seed].results, (seeds[0], seed))
        write_run(place.folder, seed, runs[seed])
    said = [f"Seed {seeds[0]} is live ({live.seconds:.1f} s)"]
    if stored:
        made = dict.fromkeys((runs[seed].commit, runs[seed].machine) for seed in stored)
        where = ", ".join(f"made {f'from commit {commit} ' if commit else ''}on {kind}" for commit, kind in made)
        said.append(f"{shown_seeds(stored)} {'is' if len(stored) == 1 else 'are'} stored, {where}")
    if kept or missing:
        said.append(f"{shown_seeds([s for s in seeds if s in kept or s in missing])} computed on this machine")
    print(f"{'; '.join(said)}.")


def _kept(place: Place, seeds: tuple[int, ...], runs: dict[int, OneRun], tolerance: float) -> dict[int, OneRun]:
    """Return the single runs in the cache, if the one of the live seed there is what ran now."""
    earlier = read_run(place.folder, seeds[0])
    if earlier is None or compare(runs[seeds[0]], earlier, tolerance):
        return {}
    return {seed: found for seed in seeds if seed not in runs and (found := read_run(place.folder, seed))}


def shown_seeds(seeds: Sequence[int]) -> str:
    """Return ``seed 3``, ``seeds 1 to 9`` or ``seeds 1, 4 and 7``."""
    if len(seeds) == 1:
        return f"seed {seeds[0]}"
    if len(seeds) > 2 and list(seeds) == list(range(seeds[0], seeds[-1] + 1)):
        return f"seeds {seeds[0]} to {seeds[-1]}"
    return f"seeds {', '.join(map(str, seeds[:-1]))} and {seeds[-1]}"


def _duration(seconds: float) -> str:
    return f"{max(seconds, 1):.0f} s" if seconds < 90 else f"{seconds / 60:.0f} minutes"


# ------------------------------------------------------------ make studies


def make(
    place: Place, run: Run, seeds: tuple[int, ...], key: dict[str, str], stored: dict[int, OneRun]
) -> dict[int, OneRun]:
    """Compute and store each run that is missing, then all in one file; say how far it is."""
    title = place.file.name.removesuffix(".safetensors")
    runs = {seed: found for seed in seeds if (found := stored.get(seed) or read_run(place.folder, seed))}
    missing = [seed for seed in seeds if seed not in runs]
    if missing:
        kept = f", {shown_seeds(list(runs))} kept from before" if runs else ""
        _tell(f"{title}: {shown_seeds(missing)} to compute{kept}")
        code = current_commit()
    for done, seed in enumerate(missing, 1):
        runs[seed] = compute(run, seed, code)
        same_shapes(runs[next(iter(runs))].results, runs[seed].results, (next(iter(runs)), seed))
        write_run(place.folder, seed, runs[seed])
        left = runs[seed].seconds * (len(missing) - done)
        _tell(
            f"{title}: seed {seed} took {runs[seed].seconds:.1f} s" + (f", about {_duration(left)} to go" * (left > 0))
        )
    if missing or set(stored) != set(seeds):
        ordered = {seed: runs[seed] for seed in seeds}
        write_study(place.file, StoredStudy(key, ordered, time.strftime("%Y-%m-%d"), torch.__version__))
        remove_runs(place.folder)
        _tell(f"{title}: stored in {place.file.name}, {place.file.stat().st_size / 1000:.0f} kB")
    return runs


def _tell(line: str) -> None:
    """Print to the terminal; what cells print is caught while studies are made."""
    print(line, file=sys.__stdout__, flush=True)
