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
        feature_size: side of the square image that features are extracted from once, in pixels.
        image_size: the same for training a whole network, which costs more.
        small_size: the same where many networks are trained.
        train_images, validation_images, test_images: at most this many images a
            split, ``None`` for all of them.
        seeds: one run is made for each of them.
        label_budgets: numbers of labelled images in the label-budget experiment.
        budget_images: images a network sees at least while it trains on a label budget.
        budget_epochs: passes over the data it makes at least.
        head_epochs: passes over the data when only a head is trained.
        epochs: passes over the data when a whole network is trained.
        naive_epochs: passes over the images in the loop that lesson 01 compares stored features with.
        drift_batches: batches that lesson 01 sends through a network that is not quite frozen.
        sweep_epochs, sweep_images: the same and the training images in sweeps, where
            many runs share the time.
        unfreezing_images, unfreezing_epochs: training images and passes over them in lesson 03.
        encoder: name for ``load_encoder``.
        train_texts, validation_texts, test_texts: at most so many texts a split; ``None`` means all.
        text_length: tokens after which a text is cut off.
        few_texts: labelled sentences that a model learns from, where sentences are few.
        sweep_texts: the same in sweeps, where many runs share the time.
        text_epochs: passes over them.
        text_batch_size: sentences a step.
        latency_repeats: forward passes of each model where their speed is compared.
        ranks: of LoRA, in the sweep of lesson 07.
        bottlenecks: widths of adapters in the sweep of lesson 06.
        image_adapter_epochs: passes over the images when adapters are trained in lesson 06.
        target_budgets: labels of the target domain, in the part of lesson 08 that buys some.
        domain_seeds: one run a seed where runs on stored features are cheap (lessons 08 and 09).
        mmd_batches: sizes of the batches that lesson 09 times; alignment_weights: of MMD in its last sweep.
        domain_epochs, domain_batch_size: passes over the larger domain, and items of each domain a step.
        teacher_labels: labelled images behind the teacher of lesson 13; teacher_budgets: the same in its curve.
        student_epochs: passes over the images when a small network is trained from the start.
        film_texts: name for ``data.load`` of the film sentences of lesson 15.
        bert_texts, bert_test_texts: labelled sentences that lesson 15 trains whole encoders on, and that it tests on.
        bert_budgets: numbers of labelled sentences for stored features; the last is the whole pool.
        character_classes: at most so many classes a split of characters; ``None`` for all.
        characters: name for ``data.load`` of the characters of lesson 10.
        episodes: training steps of a few-shot network, an episode each; the seeds are ``few_shot_seeds``.
        test_episodes: episodes a few-shot accuracy is measured on.
        batch_size: images a step, over all processes together.
        head_batch_size: the same when a head is trained on stored features.
        bootstrap_samples: resamplings behind a confidence interval.
    """

    name: str
    backbone: str
    feature_size: int
    image_size: int
    small_size: int
    train_images: int | None
    validation_images: int | None
    test_images: int | None
    seeds: tuple[int, ...]
    label_budgets: tuple[int, ...]
    budget_images: int
    budget_epochs: int
    head_epochs: int
    epochs: int
    naive_epochs: int
    drift_batches: int
    sweep_epochs: int
    sweep_images: int
    unfreezing_images: int
    unfreezing_epochs: int
    encoder: str
    train_texts: int | None
    validation_texts: int | None
    test_texts: int | None
    text_length: int
    few_texts: int
    sweep_texts: int
    text_epochs: int
    text_batch_size: int
    latency_repeats: int
    ranks: tuple[int, ...]
    bottlenecks: tuple[int, ...]
    image_adapter_epochs: int
    teacher_labels: int
    teacher_budgets: tuple[int, ...]
    student_epochs: int
    target_budgets: tuple[int, ...]
    domain_seeds: tuple[int, ...]
    mmd_batches: tuple[int, ...]
    alignment_weights: tuple[float, ...]
    domain_epochs: int
    domain_batch_size: int
    film_texts: str
    bert_texts: int
    bert_test_texts: int
    bert_budgets: tuple[int, ...]
    character_classes: int | None
    characters: str
    episodes: int
    few_shot_seeds: tuple[int, ...]
    test_episodes: int
    batch_size: int
    head_batch_size: int
    bootstrap_samples: int

    def epochs_for(self, labels: int) -> int:
        """Return the passes over ``labels`` images that a label-budget run makes."""
        return max(self.budget_epochs, round(self.budget_images / labels))

    @property
    def judged(self) -> bool:
        """Whether results are worth a judgement: true for all but ``tiny``."""
        return self.name != "tiny"


PROFILES: dict[str, Profile] = {
    "tiny": Profile(
        name="tiny",
        backbone="efficientnet_lite0",
        feature_size=64,
        image_size=64,
        small_size=64,
        train_images=64,
        validation_images=32,
        test_images=48,
        seeds=(0, 1),
        label_budgets=(20, 40),
        budget_images=20,
        budget_epochs=1,
        head_epochs=2,
        epochs=1,
        naive_epochs=2,
        drift_batches=5,
        sweep_epochs=1,
        sweep_images=32,
        unfreezing_images=32,
        unfreezing_epochs=3,
        encoder="minilm",
        train_texts=96,
        validation_texts=24,
        test_texts=32,
        text_length=24,
        few_texts=32,
        sweep_texts=32,
        text_epochs=1,
        text_batch_size=16,
        latency_repeats=3,
        ranks=(1, 4),
        bottlenecks=(2, 8),
        image_adapter_epochs=1,
        teacher_labels=20,
        teacher_budgets=(10, 20),
        student_epochs=2,
        target_budgets=(8, 16),
        domain_seeds=(0, 1),
        mmd_batches=(16, 32),
        alignment_weights=(0.0, 1.0),
        domain_epochs=1,
        domain_batch_size=16,
        film_texts="sentiment",
        bert_texts=16,
        bert_test_texts=16,
        bert_budgets=(8, 16, 48),
        character_classes=24,
        characters="characters",
        episodes=10,
        few_shot_seeds=(0, 1),
        test_episodes=20,
        batch_size=16,
        head_batch_size=16,
        bootstrap_samples=100,
    ),
    "laptop": Profile(
        name="laptop",
        backbone="efficientnet_lite0",
        feature_size=160,
        image_size=80,
        small_size=64,
        train_images=None,
        validation_images=None,
        test_images=None,
        seeds=(0, 1, 2),
        label_budgets=(20, 100, 300, 1000),
        budget_images=640,
        budget_epochs=2,
        head_epochs=20,
        epochs=2,
        naive_epochs=10,
        drift_batches=100,
        sweep_epochs=2,
        sweep_images=300,
        unfreezing_images=500,
        unfreezing_epochs=6,
        encoder="minilm",
        train_texts=None,
        validation_texts=200,
        test_texts=500,
        text_length=32,
        few_texts=256,
        sweep_texts=128,
        text_epochs=3,
        text_batch_size=16,
        latency_repeats=40,
        ranks=(1, 4, 16),
        bottlenecks=(2, 8, 32),
        image_adapter_epochs=3,
        teacher_labels=100,
        teacher_budgets=(30, 100, 300),
        student_epochs=10,
        target_budgets=(10, 20, 50, 100, 200, 500),
        domain_seeds=(0, 1, 2, 3, 4),
        mmd_batches=(64, 128, 256, 512),
        alignment_weights=(0.1, 1.0, 10.0),
        domain_epochs=15,
        domain_batch_size=64,
        film_texts="sentiment",
        bert_texts=160,
        bert_test_texts=320,
        bert_budgets=(32, 128, 512, 1500),
        character_classes=None,
        characters="characters",
        episodes=320,
        few_shot_seeds=(0, 1, 2, 3, 4),
        test_episodes=600,
        batch_size=16,
        head_batch_size=32,
        bootstrap_samples=2000,
    ),
    "full": Profile(
        name="full",
        backbone="resnet50",
        feature_size=224,
        image_size=224,
        small_size=160,
        train_images=None,
        validation_images=None,
        test_images=None,
        seeds=(0, 1, 2, 3, 4),
        label_budgets=(20, 50, 100, 200, 500, 1000),
        budget_images=6000,
        budget_epochs=10,
        head_epochs=30,
        epochs=12,
        naive_epochs=10,
        drift_batches=100,
        sweep_epochs=6,
        sweep_images=1000,
        unfreezing_images=1000,
        unfreezing_epochs=12,
        encoder="google-bert/bert-base-uncased",
        train_texts=None,
        validation_texts=None,
        test_texts=None,
        text_length=128,
        few_texts=512,
        sweep_texts=256,
        text_epochs=4,
        text_batch_size=16,
        latency_repeats=100,
        ranks=(1, 2, 4, 8, 16, 32),
        bottlenecks=(1, 4, 16, 64),
        image_adapter_epochs=10,
        teacher_labels=100,
        teacher_budgets=(30, 100, 300, 1000),
        student_epochs=60,
        target_budgets=(10, 20, 50, 100, 200, 500),
        domain_seeds=(0, 1, 2, 3, 4),
        mmd_batches=(64, 128, 256, 512),
        alignment_weights=(0.1, 0.3, 1.0, 3.0, 10.0),
        domain_epochs=30,
        domain_batch_size=64,
        film_texts="sst2",
        bert_texts=1024,
        bert_test_texts=872,
        bert_budgets=(32, 128, 512, 2048, 8192),
        character_classes=None,
        characters="omniglot",
        episodes=10000,
        few_shot_seeds=(0, 1, 2, 3, 4),
        test_episodes=2000,
        batch_size=32,
        head_batch_size=32,
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
