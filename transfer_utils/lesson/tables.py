"""Results as small tables: what each method reaches, and which differences are more than luck."""

from __future__ import annotations

import html
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.display import display

from ..evaluation import differences as evaluation
from ..evaluation.differences import Difference, signed, signed_range
from ..evaluation.method_scores import HEADLINE_METRICS, Labels, Runs, Score, metric_scores
from ..evaluation.resampling import MetricLike
from ..evaluation.weighted_metrics import accuracy
from ..runtime.profile import get_profile

if TYPE_CHECKING:  # a second to import
    import pandas as pd


def differences(
    runs: Runs,
    labels: Labels,
    *,
    against: str,
    metric: MetricLike | Sequence[MetricLike] = accuracy,
    samples: int | None = None,
) -> list[Difference]:
    """Show how every other method differs from ``against``, as a table, and return it for claims.

    The verdict is ``higher`` or ``lower`` where both sources of variation together, other items and other seeds, leave
    the difference on one side of 0 (``over_both``). That is more than both intervals lying there. With one seed it
    reads ``higher for this seed``: other seeds were not looked at. With fewer than ten items, or ten of a class that
    counts for the metric, it is ``too few items``.
    Arguments, pairing and errors as in :func:`transfer_utils.evaluation.differences.differences`.

    Example:
        >>> found = differences(scores, labels, against="frozen features", metric=[accuracy, recall])  # doctest: +SKIP
        >>> claim("Fine-tuning beats frozen features.", found[0].above, found[0])  # doctest: +SKIP
    """
    found = evaluation.differences(runs, labels, against=against, metric=metric, samples=samples)
    rows = [
        {
            "comparison": f"{one.first} − {one.second}",
            "metric": one.metric,
            "difference": signed(one.mean),
            "95 % over items": signed_range(one.over_items),
            "95 % over seeds": signed_range(one.over_seeds) if one.seeds > 1 else "one seed",
            "verdict": one.verdict,
        }
        for one in found
    ]
    judged = "paired; the verdict adds both sources of variation" if found[0].seeds > 1 else "paired"
    _show(rows, f"{_count(len(labels), 'item')}, {_count(found[0].seeds, 'seed')}, {judged}")
    return found


def metric_table(
    runs: Runs,
    labels: Labels,
    metrics: MetricLike | Sequence[MetricLike] = HEADLINE_METRICS,
    *,
    samples: int | None = None,
) -> dict[str, dict[str, Score]]:
    """Show one row a method and one column a metric, and return ``{method: {metric: Score}}`` for claims.

    A cell holds the mean over the seeds ± the standard deviation over the seeds, and in brackets the 95 % interval of
    the mean over the test items.

    Example:
        >>> found = metric_table(scores, labels)  # doctest: +SKIP
        >>> missed = 1 - found["fine-tuning"]["recall"].mean  # doctest: +SKIP
    """
    found = metric_scores(runs, labels, metrics, samples)
    rows = [{"method": name, **{m: str(score) for m, score in scores.items()}} for name, scores in found.items()]
    several = any(len(score.by_seed) > 1 for scores in found.values() for score in scores.values())
    spread = "mean over the seeds ± standard deviation over the seeds" if several else "one seed"
    _show(rows, f"{_count(len(labels), 'item')}; {spread} [95 % over items]")
    return found


class Table:
    """Rows with a caption, for a notebook and for a terminal; no column of row numbers."""

    def __init__(self, frame: pd.DataFrame, caption: str) -> None:
        self.frame, self.caption = frame, caption

    def _repr_html_(self) -> str:
        return f"{self.frame.to_html(index=False, border=0)}<p><small>{html.escape(self.caption)}</small></p>"

    def __repr__(self) -> str:
        shown = f"{self.frame.to_string(index=False)}\n{self.caption}"
        try:
            shown.encode(getattr(sys.stdout, "encoding", None) or "utf-8")
        except UnicodeEncodeError:  # a terminal of Windows: its code page has no true minus
            return shown.replace("−", "-")
        return shown


def _show(rows: list[dict[str, str]], caption: str) -> None:
    import pandas as pd

    display(Table(pd.DataFrame(rows), f"{caption} [{get_profile().name}]"))


def _count(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' if number != 1 else ''}"
