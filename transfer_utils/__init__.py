"""transfer_utils: the helper package of the transfer-learning course.

The rooms, from the top; a room imports only from rooms below it:

    course       set-up, execution and editions of the notebooks
    lesson       what makes a notebook a lesson: claims, ledger, exercises, quizzes, plots
    techniques   the methods of transfer learning, a file each
    training     the one training loop
    evaluation   predictions, metrics, intervals, cost
    models       pretrained networks, heads, freezing
    data         data sets, all with one interface
    runtime      profile, seeds, devices, files

The public names below are loaded when they are first used, so importing the package costs next to nothing.
"""

import importlib
import importlib.util
import os

# Threads that wait for each other spin for a while before they sleep. Beside another busy program long
# spinning makes training on two cores several times slower, and a short one costs little. It counts
# only where PyTorch is imported afterwards, and only for the OpenMP library that it has on Linux.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")

if importlib.util.find_spec("torch") is None:
    raise ModuleNotFoundError(
        "PyTorch is not installed here. In the folder of the course: make setup (Windows: python start.py setup)"
    )

__version__ = "0.1.0"

_HOME = {  # public name -> the module it lives in
    "UnfreezingSchedule": "training.unfreezing",
    "add_adapters": "techniques.adapters",
    "add_lora": "techniques.lora",
    "evaluate": "evaluation.predict",
    "extract_features": "techniques.features",
    "fit": "training.loop",
    "freeze": "models.freezing",
    "get_profile": "runtime.profile",
    "layer_groups": "models.layer_groups",
    "layerwise_lr": "training.rates",
    "linear_head": "models.heads",
    "load_backbone": "models.backbones",
    "load_encoder": "models.encoders",
    "load_task": "techniques.adapter_weights",
    "merge_lora": "techniques.lora",
    "mlp_head": "models.heads",
    "predict": "evaluation.predict",
    "replace_head": "models.heads",
    "save_task": "techniques.adapter_weights",
    "set_profile": "runtime.profile",
    "switch_task": "techniques.adapter_weights",
    "trainable_parameters": "models.freezing",
    "unfreeze": "models.freezing",
}

__all__ = ["data", *_HOME]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    if name == "data":
        return importlib.import_module(".data", __name__)
    if name not in _HOME:
        raise AttributeError(f"transfer_utils has no {name!r}. Its public names are {', '.join(__all__)}.")
    globals()[name] = getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
