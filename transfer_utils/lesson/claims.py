"""Claims: sentences with numbers that the build checks.

Text grows old; a claim cannot. It prints its sentence with the numbers of this very run. Where it is false in a
profile that it is judged in, the build stops; a learner, who may have changed a number, is told and goes on.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from ..evaluation.intervals import Interval, mean_and_interval, paired_difference
from ..evaluation.metrics import accuracy, balanced_accuracy
from ..runtime.profile import get_profile
from ..runtime.progress import is_build

EVERY_PROFILE = ("tiny", "laptop", "full")  # for claims about the code, which no size can change


class ClaimFailed(AssertionError):
    """A sentence of the course is not true in this run."""


def claim(
    sentence: str,
    holds: bool | np.bool_ | np.ndarray | torch.Tensor,
    evidence: object = "",
    *,
    judged_in: Sequence[str] = ("laptop", "full"),
) -> None:
    """Print ``sentence`` with its evidence; where it does not hold, stop the build and warn a learner.

    Args:
        sentence: what is claimed, with its numbers formatted in.
        holds: whether it is true, computed from the results: True or False, also as NumPy's bool or as a tensor or
            array of one bool. A number or an object is refused, because almost all of them would count as true.
        evidence: printed after it, e.g. an interval.
        judged_in: the profiles whose results the claim is about. In others, such as ``tiny``,
            the sentence is printed as not judged.

    Raises:
        TypeError: ``holds`` is not True or False, in every profile.
        ClaimFailed: it is judged in this profile and does not hold, and the course is being built
            (``COURSE_BUILD=1``, which ``make test`` and ``make notebooks`` set).

    Example:
        >>> claim("Two is more than one.", 2 > 1, judged_in=("tiny", "laptop", "full"))
        Claim holds: Two is more than one. [laptop]
    """
    is_true = _truth(holds)
    profile = get_profile().name
    shown = f"{sentence} ({evidence})" if str(evidence) else sentence
    if profile not in judged_in:
        print(f"Not judged in the profile {profile}: {shown}")
    elif is_true:
        print(f"Claim holds: {shown} [{profile}]")
    elif is_build():
        raise ClaimFailed(f"This does not hold in this run: {shown} [{profile}]")
    else:
        print(
            f"Does not hold in this run: {shown} [{profile}]. "
            "You changed something, or this machine computes differently; the lesson goes on."
        )


def _truth(holds: object) -> bool:
    """Return ``holds`` as a bool; ``TypeError`` where it is a number, a text, or another object."""
    if isinstance(holds, bool | np.bool_):
        return bool(holds)
    if isinstance(holds, torch.Tensor | np.ndarray) and holds.dtype in (torch.bool, np.bool_):
        if math.prod(holds.shape) == 1:
            return bool(holds.item())
        raise TypeError(f"A claim is True or False, not {math.prod(holds.shape)} of them. Say which: .all() or .any().")
    raise TypeError(
        f"A claim needs True or False, not {type(holds).__name__}. Compare: claim(sentence, gain.above, gain) for a "
        "difference, claim(sentence, interval.low > 0, interval) for an interval, accuracy > 0.9 for a number."
    )


def report_difference(first: str, second: str, *intervals: Interval) -> None:
    """Print what intervals of ``first`` minus ``second`` allow to say: above, below, or not separated.

    This is no claim: whatever comes out is said. Above needs every interval above 0, below every
    interval below.

    Args:
        intervals: of the same difference, one for each source of variation, e.g. over test images and over seeds.
    """
    profile, mean = get_profile(), intervals[0].mean
    evidence = f"({', '.join(map(str, intervals))}) [{profile.name}]"
    if min(interval.low for interval in intervals) > 0:
        print(f"Measured: {first} is above {second} by {mean:.3f}. {evidence}")
    elif max(interval.high for interval in intervals) < 0:
        print(f"Measured: {first} is below {second} by {-mean:.3f}. {evidence}")
    else:
        print(f"Measured: {first} and {second} could not be separated; 0 is a possible difference. {evidence}")


def report_runs(
    first: str,
    second: str,
    runs_first: Sequence[torch.Tensor],
    runs_second: Sequence[torch.Tensor],
    labels: torch.Tensor,
    *,
    balanced: bool = False,
) -> None:
    """Report the difference in accuracy of two methods, both over test items and over seeds.

    Args:
        runs_first, runs_second: test scores (N, C) of each method, one entry a seed, the same seeds in the same order.
        labels: (N,).
        balanced: the difference in balanced accuracy.
    """
    metric = balanced_accuracy if balanced else accuracy
    by_seed = [metric(a, labels) - metric(b, labels) for a, b in zip(runs_first, runs_second, strict=True)]
    over_items = paired_difference(torch.stack(list(runs_first)), torch.stack(list(runs_second)), labels, metric=metric)
    report_difference(first, second, over_items, mean_and_interval(by_seed))
