"""The ledger: every result the course measured, one row each, in one table.

``notebooks/ledger.csv`` is committed and written only by ``make notebooks``. A learner's
own runs go to ``notebooks/my_ledger.csv``, which git ignores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from filelock import FileLock
from torch import nn

from ..evaluation.method_scores import metric_name
from ..evaluation.resampling import MetricLike
from ..models.freezing import trainable_parameters
from ..runtime.files import checkout, write_atomically
from ..runtime.profile import get_profile
from .opening import current_lesson

if TYPE_CHECKING:  # a second to import, and only those who read or write the ledger need it
    import pandas as pd
    import torch

COLUMNS = ("lesson", "method", "data", "profile", "seeds", "metric", "mean", "spread",
           "trainable_params", "seconds", "peak_mb")  # fmt: skip
_KEY = ["lesson", "method", "data", "profile", "metric"]


def ledger_path() -> Path:
    """Return the file that this run writes to: ``TRANSFER_LEDGER``, or ``my_ledger.csv`` beside the lessons."""
    if os.environ.get("TRANSFER_LEDGER"):
        return Path(os.environ["TRANSFER_LEDGER"])
    root = checkout()
    return (root / "notebooks" if root else Path.cwd()) / "my_ledger.csv"


def record(
    method: str,
    values: Sequence[float],
    *,
    data: str,
    metric: str = "test accuracy",
    trainable_params: int | nn.Module = 0,
    seconds: float | Sequence[float] = float("nan"),
    peak_mb: float | Sequence[float] = float("nan"),
) -> pd.DataFrame:
    """Write one result to the ledger, in place of an older one of the same name, and return it as a row.

    Args:
        method: what was done, in the words of the lesson.
        values: the metric of each run, one value per seed: a list, an array or a tensor.
        data: data set and split, e.g. ``"ELPV test, 160 px"``.
        trainable_params: parameters the optimizer changed: their number, or the module whose unfrozen ones are counted.
        seconds: of one run with all that it needs, so of frozen features the extraction too. A value per run is
            averaged, so ``seconds=study.seconds`` where one run of a study is one run of the method.
        peak_mb: what a run adds, at its highest, to the memory that was in use before it, in MB
            (:func:`transfer_utils.evaluation.cost.measure`). A value per run is averaged.

    The column ``spread`` is the standard deviation over the seeds, empty for a single one.

    Raises:
        ValueError: there are no values, or not as many seconds or peaks as values.

    Example:
        >>> record("fine-tuning", [0.81, 0.83], data="ELPV test, 80 px", seconds=[21.0, 19.0])  # doctest: +SKIP
    """
    import pandas as pd

    if isinstance(trainable_params, nn.Module):
        trainable_params = trainable_parameters(trainable_params)
    runs, metric_values = len(values), np.asarray(values, dtype=float)
    if not runs:
        raise ValueError(f"{method!r} has no values: record at least one run.")
    seconds, peak_mb = (_of_one_run(name, cost, runs) for name, cost in (("seconds", seconds), ("peak_mb", peak_mb)))

    row = pd.DataFrame([{
        "lesson": current_lesson(), "method": method, "data": data, "profile": get_profile().name,
        "seeds": runs, "metric": metric, "mean": round(float(metric_values.mean()), 4),
        "spread": round(float(metric_values.std(ddof=1)), 4) if runs > 1 else float("nan"),
        "trainable_params": trainable_params, "seconds": round(seconds, 1), "peak_mb": round(peak_mb, 0),
    }], columns=list(COLUMNS))  # fmt: skip
    path = ledger_path()
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{path}.lock"):
        table = pd.concat([_read(path), row]).drop_duplicates(_KEY, keep="last")
        table = table.sort_values(["lesson", "profile"], kind="stable")
        write_atomically(path, lambda part: table.to_csv(part, index=False))
    return row


def ledger_table(lesson: str | None = None, path: Path | None = None) -> pd.DataFrame:
    """Return the rows of ``lesson`` (this one by default) in this profile, for display."""
    table = _read(path or ledger_path())
    here = (table["lesson"] == (lesson or current_lesson())) & (table["profile"] == get_profile().name)
    return table[here].reset_index(drop=True)


def record_runs(
    runs: Mapping[str, torch.Tensor],
    labels: torch.Tensor,
    metric: MetricLike,
    *,
    data: str,
    trainable_params: int | nn.Module = 0,
) -> None:
    """Write a row for each method of a study: what ``metric`` gives for each of its seeds.

    Args:
        runs: method -> class scores, (seeds, N, C).
        labels: (N,), of the test items.
        metric: (scores, labels) -> number; the row calls it "test" and its name.
        data, trainable_params: as in :func:`record`, the same for all methods.

    Example:
        >>> record_runs({"DANN": scores}, labels, metrics.accuracy, data="digits on photographs")  # doctest: +SKIP
    """
    for method, scores in runs.items():
        values = [float(metric(run, labels)) for run in scores]
        record(method, values, data=data, metric=f"test {metric_name(metric)}", trainable_params=trainable_params)


def _of_one_run(name: str, cost: float | Sequence[float], runs: int) -> float:
    """Return a cost that is given once as it is, and one that is given for each run as the mean over them."""
    if np.ndim(cost) == 0:
        return float(cost)
    if len(cost) != runs:
        raise ValueError(f"{name} holds {len(cost)} values for {runs} runs: give one for each run, or one for all.")
    return float(np.mean(cost))


def _read(path: Path) -> pd.DataFrame:
    import pandas as pd

    return pd.read_csv(path) if path.exists() else pd.DataFrame(columns=list(COLUMNS))
