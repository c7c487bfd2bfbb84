"""Pictures that belong to one lesson and would be long cells there; the general ones are in ``plots``.

Each returns a figure for ``plots.show``, which asks for its alternative text. A file a subject, in the order of the
lessons; all of them can be reached as ``figures.name``.
"""

from .distillation import soft_answers
from .domains import adaptation_history, both_directions, domain_map, score_histograms
from .few_shot import accuracies_by_setting, episode_grid, halfway_lines, interval_curves, prototype_map, rounds
from .fine_tuning import (
    differences,
    freeze_explorer,
    freeze_sweep,
    kept_names,
    rate_sweep,
    rates_and_schedule,
    runs_by_epoch,
    schedule_grid,
    training_and_validation,
)
from .small_changes import accuracy_and_parameters, adapter_places, lora_explorer, storage, task_matrix
from .texts import (
    accuracy_by_layer,
    attention_map,
    domain_dots,
    label_budgets,
    reliability,
    reliability_pair,
    seed_dots,
    share_cut,
    token_grid,
)
from .two_samples import clouds, estimates, gradient_by_bandwidth, growth, pairs_of_digits, shuffled, witness

__all__ = [
    "accuracies_by_setting",
    "accuracy_and_parameters",
    "accuracy_by_layer",
    "adaptation_history",
    "adapter_places",
    "attention_map",
    "both_directions",
    "clouds",
    "interval_curves",
    "differences",
    "domain_dots",
    "domain_map",
    "episode_grid",
    "estimates",
    "freeze_explorer",
    "freeze_sweep",
    "gradient_by_bandwidth",
    "growth",
    "halfway_lines",
    "kept_names",
    "label_budgets",
    "lora_explorer",
    "pairs_of_digits",
    "prototype_map",
    "rate_sweep",
    "rates_and_schedule",
    "reliability",
    "reliability_pair",
    "rounds",
    "runs_by_epoch",
    "schedule_grid",
    "score_histograms",
    "seed_dots",
    "share_cut",
    "shuffled",
    "soft_answers",
    "storage",
    "task_matrix",
    "token_grid",
    "training_and_validation",
    "witness",
]
