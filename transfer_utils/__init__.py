"""transfer_utils: the helper package of the transfer-learning course.

The flow is one way: data, backbone, features, training, technique, lesson.
"""

import os

# Threads that wait for each other spin for a while before they sleep. Beside another busy program long
# spinning makes training on two cores several times slower, and a short one costs little. It counts
# only where PyTorch is imported afterwards, and only for the OpenMP library that it has on Linux.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

try:
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ModuleNotFoundError("PyTorch is not installed here. In the folder of the course: make setup") from error

from . import data
from .adapters import add_adapters
from .backbones import load_backbone
from .evaluation import evaluate, predict
from .features import extract_features
from .freezing import (
    UnfreezingSchedule,
    freeze,
    layer_groups,
    layerwise_lr,
    trainable_parameters,
    unfreeze,
)
from .heads import linear_head, mlp_head, replace_head
from .lora import add_lora, merge_lora
from .profile import get_profile, set_profile
from .tasks import load_task, save_task, switch_task
from .text import load_encoder
from .training import fit

__version__ = "0.1.0"

__all__ = [
    "UnfreezingSchedule",
    "add_adapters",
    "add_lora",
    "data",
    "evaluate",
    "extract_features",
    "fit",
    "freeze",
    "get_profile",
    "layer_groups",
    "layerwise_lr",
    "linear_head",
    "load_backbone",
    "load_encoder",
    "load_task",
    "merge_lora",
    "mlp_head",
    "predict",
    "replace_head",
    "save_task",
    "set_profile",
    "switch_task",
    "trainable_parameters",
    "unfreeze",
]
