"""How big a run is: one switch for the whole course.

    set_profile("tiny")     # seconds, for tests; numbers mean nothing
    set_profile("laptop")   # the default: real data on two CPU cores
    set_profile("full")     # a GPU and a network
    set_profile("full", backbone="efficientnet_lite0", encoder="minilm")    # a GPU without a network

Without a call the environment variable ``TRANSFER_PROFILE`` decides, and without that the profile is
``laptop``. ``TRANSFER_BACKBONE`` and ``TRANSFER_ENCODER`` replace the two models.

Here stands what all lessons share. The sizes of one lesson stand in that lesson, in one cell with a
column for each profile: see :func:`transfer_utils.lesson.sizes`.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Profile:
    """One way to run the course.

    Attributes:
        name: ``"tiny"``, ``"laptop"`` or ``"full"``.
        backbone: name that :func:`transfer_utils.load_backbone` knows.
        encoder: name that :func:`transfer_utils.load_encoder` knows.
        batch_size: images a step, over all processes together.
        head_batch_size: the same when a head is trained on stored features.
        text_batch_size: the same for texts.
        bootstrap_samples: resamplings behind a confidence interval.
        workers: extra processes that prepare batches; 0 prepares them in the process that trains.
    """

    name: str
    backbone: str
    encoder: str
    batch_size: int
    head_batch_size: int
    text_batch_size: int
    bootstrap_samples: int
    workers: int

    @property
    def judged(self) -> bool:
        """Whether results are worth a judgement: true for all but ``tiny``."""
        return self.name != "tiny"


PROFILES: dict[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile("tiny", "efficientnet_lite0", "minilm", batch_size=16, head_batch_size=16, text_batch_size=16,
                bootstrap_samples=100, workers=0),
        Profile("laptop", "efficientnet_lite0", "minilm", batch_size=16, head_batch_size=32, text_batch_size=16,
                bootstrap_samples=2000, workers=0),
        Profile("full", "resnet50", "google-bert/bert-base-uncased", batch_size=32, head_batch_size=32,
                text_batch_size=16, bootstrap_samples=2000, workers=4),
    )
}  # fmt: skip

_current: Profile | None = None


def set_profile(name: str, *, backbone: str | None = None, encoder: str | None = None) -> Profile:
    """Choose the profile for this Python process and return it.

    Args:
        name: ``"tiny"``, ``"laptop"`` or ``"full"``.
        backbone, encoder: replace the models of the profile, for example by the bundled ones where there
            is no network. They go before ``TRANSFER_BACKBONE`` and ``TRANSFER_ENCODER``. Whether there are
            such models is seen when they are loaded.

    Raises:
        ValueError: ``name`` is not one of the profiles.

    Example:
        >>> set_profile("full", backbone="efficientnet_lite0").backbone
        'efficientnet_lite0'
    """
    global _current
    if name not in PROFILES:
        raise ValueError(
            f"There is no profile {name!r}. Choose one of {', '.join(PROFILES)}, "
            "in set_profile(...) or in the environment variable TRANSFER_PROFILE."
        )
    profile = PROFILES[name]
    _current = replace(
        profile,
        backbone=backbone or os.environ.get("TRANSFER_BACKBONE") or profile.backbone,
        encoder=encoder or os.environ.get("TRANSFER_ENCODER") or profile.encoder,
    )
    return _current


def get_profile() -> Profile:
    """Return the profile in force: set by a call, else by ``TRANSFER_PROFILE``, else ``laptop``."""
    if _current is None:
        return set_profile(os.environ.get("TRANSFER_PROFILE") or "laptop")
    return _current
