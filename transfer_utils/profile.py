"""How big a run is: one switch that every size in a lesson comes from.

    set_profile("tiny")     # seconds, for tests; numbers mean nothing
    set_profile("laptop")   # the default: real data on two CPU cores
    set_profile("full")     # a GPU and a network

Without a call the environment variable ``TRANSFER_PROFILE`` decides, and
without that the profile is ``laptop``. A lesson never writes a size in a cell:
it asks ``get_profile()`` for it, so the same cells run in continuous
integration, on a laptop and on a GPU.
"""

from __future__ import annotations

import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Profile:
    """The sizes of one way to run the course.

    Attributes:
        name: ``"tiny"``, ``"laptop"`` or ``"full"``.
        backbone: name that :func:`transfer_utils.load_backbone` knows.
        image_size: side of the square that a training image is resized to, in pixels.
        feature_size: the same for features extracted once, which can afford more.
        train_images, validation_images, test_images: at most this many images a
            split, ``None`` for all of them.
        seeds: one run is made for each of them.
        label_budgets: numbers of labelled images in the label-budget experiments.
        budget_steps: optimizer steps of one network trained on a label budget.
        head_epochs: passes over the data when only a head is trained.
        epochs: passes over the data when a backbone is trained.
        sweep_epochs: the same in sweeps, where many runs share the time.
        sweep_images: training images in sweeps, ``None`` for all.
        batch_size: images a step, over all processes together.
        evaluation_batch_size: images a forward pass without gradients.
        bootstrap_samples: resamplings behind a confidence interval.
    """

    name: str
    backbone: str
    image_size: int
    feature_size: int
    train_images: int | None
    validation_images: int | None
    test_images: int | None
    seeds: tuple[int, ...]
    label_budgets: tuple[int, ...]
    budget_steps: int
    head_epochs: int
    epochs: int
    sweep_epochs: int
    sweep_images: int | None
    batch_size: int
    evaluation_batch_size: int
    bootstrap_samples: int

    @property
    def judged(self) -> bool:
        """Whether results are worth a judgement: true for all but ``tiny``."""
        return self.name != "tiny"


PROFILES: dict[str, Profile] = {
    "tiny": Profile(
        name="tiny",
        backbone="efficientnet_lite0",
        image_size=64,
        feature_size=64,
        train_images=64,
        validation_images=32,
        test_images=48,
        seeds=(0, 1),
        label_budgets=(20, 50),
        budget_steps=2,
        head_epochs=2,
        epochs=2,
        sweep_epochs=1,
        sweep_images=32,
        batch_size=16,
        evaluation_batch_size=64,
        bootstrap_samples=100,
    ),
    "laptop": Profile(
        name="laptop",
        backbone="efficientnet_lite0",
        image_size=96,
        feature_size=160,
        train_images=None,
        validation_images=None,
        test_images=None,
        seeds=(0, 1, 2),
        label_budgets=(20, 50, 100, 200, 500, 1000),
        budget_steps=30,
        head_epochs=20,
        epochs=4,
        sweep_epochs=2,
        sweep_images=500,
        batch_size=32,
        evaluation_batch_size=128,
        bootstrap_samples=2000,
    ),
    "full": Profile(
        name="full",
        backbone="resnet50",
        image_size=224,
        feature_size=224,
        train_images=None,
        validation_images=None,
        test_images=None,
        seeds=(0, 1, 2, 3, 4),
        label_budgets=(20, 50, 100, 200, 500, 1000),
        budget_steps=100,
        head_epochs=30,
        epochs=10,
        sweep_epochs=5,
        sweep_images=None,
        batch_size=64,
        evaluation_batch_size=256,
        bootstrap_samples=2000,
    ),
}

_current: Profile | None = None


def set_profile(name: str) -> Profile:
    """Choose the profile for this Python process and return it.

    Raises:
        ValueError: ``name`` is not one of the profiles.
    """
    global _current
    if name not in PROFILES:
        raise ValueError(
            f"There is no profile {name!r}. Choose one of {', '.join(PROFILES)}, "
            "in set_profile(...) or in the environment variable TRANSFER_PROFILE."
        )
    _current = PROFILES[name]
    return _current


def get_profile() -> Profile:
    """Return the profile in force: set by a call, else by ``TRANSFER_PROFILE``, else ``laptop``."""
    if _current is None:
        return set_profile(os.environ.get("TRANSFER_PROFILE") or "laptop")
    return _current
