"""Studies: one seed is computed here and now, the others were computed before and come from a file.

Two cores and four minutes cannot carry ten seeds, and one seed is no evidence. The file holds the key of its runs
(:mod:`transfer_utils.lesson.studies.key`): the source in the notebook that they depend on, sizes, and data. Where the
key is another here, because somebody changed a line, the runs are computed anew. What the key cannot see, such as the
code of the helper package, is noticed by the live seed, which must agree with the stored one; otherwise the stored runs
are not used, and the build stops.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...runtime.profile import get_profile
from ...runtime.progress import is_build, progress_bar
from ..opening import current_lesson
from .files import OneRun, studies_folder, study_file
from .key import digest, key_of
from .results import same_shapes, stacked
from .runs import (
    Place,
    Run,
    StudyOutgrown,
    advice,
    cells_run_so_far,
    complete,
    compute,
    find_stored,
    make,
    mismatch,
)


@dataclass(frozen=True)
class Study(Mapping):
    """The results of a study, a seed in each row: ``heads["linear head"]`` is a tensor (seeds, ...).

    An arm that is a dict of results is a dict here too: ``heads["linear head"]["scores"]``.

    Attributes:
        results: what indexing reads.
        seeds: in the order of the rows.
        live: the seed that was computed in this run of the notebook.
        seconds: of each run, on the machine that computed it.
        peak_mb: what each run added to the memory, in MB (10^6 bytes).
        machine: the kind of machine that computed the runs, several with commas.
    """

    results: dict[str, Any] = field(repr=False)
    seeds: tuple[int, ...]
    live: int
    seconds: tuple[float, ...] = field(repr=False)
    peak_mb: tuple[float, ...] = field(repr=False)
    machine: str

    def __getitem__(self, name: str) -> Any:
        if name not in self.results:
            raise KeyError(f"This study has no result {name!r}; it has {', '.join(self.results)}.")
        return self.results[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.results)

    def __len__(self) -> int:
        return len(self.results)


def study(name: str, run: Run, *, seeds: Sequence[int], tolerance: float = 0.02) -> Study:
    """Return the results of ``run(seed)`` for all ``seeds``: of the first computed now, of the others as stored.

    Where nothing is stored that fits, all are computed, and kept one by one, so that an interrupted study goes on. The
    seeds of Python, NumPy and PyTorch are set before each run, and stand after the study where they stood before.
    In the profile ``tiny`` all runs are live.

    Args:
        name: of the study, in quotes; the call stands at the top level of a cell.
        run: takes a seed and returns a dict: name -> tensor, array, number, list of numbers, or a dict of those (an
            arm each), in the same shapes for each seed. Arrays of many floats are rounded to float16, unless the
            largest number of a row would be another one.
        seeds: whole numbers, each once.
        tolerance: how far the live seed may be from the stored one, since another machine rounds differently. For
            scores, floats (N, C), it holds for the share of items whose largest class differs and for the mean absolute
            difference of the softmax probabilities; for all else, for the mean absolute difference. Results of one
            name in several arms are averaged.

    Raises:
        ValueError, TypeError: seeds, call or results are not as said above.
        StudyOutgrown: the course is being built, and the stored runs are missing, stale, or beyond the tolerance.

    Example::

        heads = lesson.study("heads", run, seeds=size.seeds)
        heads["linear head"]["scores"]     # (seeds, N, C)
    """
    seeds = _checked(name, seeds)
    profile = get_profile()
    if profile.name == "tiny":
        runs = {seed: compute(run, seed) for seed in progress_bar(seeds, f"{name}: seeds")}
        print(f"All {len(seeds)} seeds are live (profile tiny).")
        return _study(runs, seeds)
    making = os.environ.get("COURSE_STUDIES") == "make"
    cells, namespace = cells_run_so_far()
    key = key_of(cells, name, profile, namespace)
    place = Place(study_file(_folder(making), _lesson_number(), name, profile.name), digest(key))
    stored, complaint = find_stored(place, key, seeds)
    if making:
        return _study(make(place, run, seeds, key, stored), seeds)
    if is_build() and complaint:
        raise StudyOutgrown(f"The stored runs of the study {name!r} cannot be used: {complaint}. {advice()}")
    runs = {seeds[0]: compute(run, seeds[0])}
    if apart := mismatch(name, seeds[0], runs[seeds[0]], stored, tolerance):
        stored, complaint = {}, apart
    runs |= {seed: stored[seed] for seed in seeds[1:] if seed in stored}
    complete(place, run, seeds, runs, complaint, tolerance)
    return _study(runs, seeds)


def _checked(name: str, seeds: Sequence[int]) -> tuple[int, ...]:
    if not re.fullmatch(r"[A-Za-z0-9_-]+", name):
        raise ValueError(f"The name of a study becomes a file name: letters, digits, _ and -. It is {name!r}.")
    seeds = tuple(seeds)
    if not seeds or len(set(seeds)) < len(seeds) or not all(type(seed) is int and seed >= 0 for seed in seeds):
        raise ValueError(f"seeds must be whole numbers, none negative, each once, at least one; they are {seeds}.")
    return seeds


def _folder(making: bool) -> Path:
    """Return the folder of the stored studies; whoever makes them has to name it, since nothing else is overwritten."""
    if making and not os.environ.get("TRANSFER_STUDIES"):
        raise ValueError("COURSE_STUDIES=make stores runs in the folder that TRANSFER_STUDIES names, and it is not set."
                         f" {advice()}")  # fmt: skip
    return studies_folder()


def _lesson_number() -> str:
    number = re.match(r"\d\d(?=_)", current_lesson())
    if not number:
        raise ValueError(f'A study needs to know its lesson, and it is {current_lesson()!r}: first call '
                         'lesson.start("NN_name").')  # fmt: skip
    return number[0]


def _study(runs: dict[int, OneRun], seeds: tuple[int, ...]) -> Study:
    ordered = [runs[seed] for seed in seeds]
    for seed, other in zip(seeds[1:], ordered[1:], strict=True):
        same_shapes(ordered[0].results, other.results, (seeds[0], seed))
    machines = ", ".join(dict.fromkeys(run.machine for run in ordered))
    return Study(stacked([run.results for run in ordered]), seeds, seeds[0], tuple(run.seconds for run in ordered),
                 tuple(run.peak_mb for run in ordered), machines)  # fmt: skip
