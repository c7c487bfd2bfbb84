"""transfer_utils: the helper package of the transfer-learning course.

The flow is one way: data, backbone, features, training, technique, lesson.
"""

import os

# Threads that wait must not spin: beside any other busy program, spinning made training on two
# cores up to five times slower. It has an effect only before PyTorch is imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

from . import data
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
from .profile import get_profile, set_profile
from .training import fit

__version__ = "0.1.0"

__all__ = [
    "UnfreezingSchedule",
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
    "mlp_head",
    "predict",
    "replace_head",
    "set_profile",
    "trainable_parameters",
    "unfreeze",
]
