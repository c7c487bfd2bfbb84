"""One frozen body, many tasks: what was learned for a task, in memory or in a small file.

After :func:`transfer_utils.add_adapters` or :func:`transfer_utils.add_lora` little can learn: the adapters or
LoRA layers, the head, perhaps LayerNorms. These parameters are the *task*; the rest is the *body*, which all
tasks share and none changes.
"""

from __future__ import annotations

import copy
import json
from functools import partial
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from ..models.heads import get_head, linear_head, mlp_head, replace_head
from ..models.wrapping import wrappers
from ..runtime.digests import weights_digest
from ..runtime.files import write_atomically
from .adapters import add_adapters
from .lora import LoRALayer, add_lora

Task = dict[str, torch.Tensor]
_INSERT = {"lora": add_lora, "adapters": add_adapters}


class TaskMismatch(ValueError):
    """A task was learned on another body, or with other adapter parameters, than the model has."""


def task_weights(model: nn.Module) -> Task:
    """Return copies of all parameters that can learn, by name: what is particular to this task.

    Raises:
        ValueError: nothing can learn, the model has no adapter parameters and so no frozen body, or it is merged.
    """
    _require_unmerged(model)
    if not hasattr(model, "task_settings"):
        raise ValueError("The model has no adapter parameters. Use add_lora(model) or add_adapters(model).")
    found = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    if not found:
        raise ValueError("Every parameter is frozen, so there is no task to keep.")
    return found


def switch_task(model: nn.Module, task: Task) -> nn.Module:
    """Put the weights of ``task`` into the model, in place: copies of a few small tensors, and nothing else moves.

    Raises:
        TaskMismatch: names or shapes are not those of the model; nothing was changed.
        ValueError: LoRA layers are merged, so that their weights would go on saying what the task before said.
    """
    _require_unmerged(model)
    own = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    _require_equal_shapes(own, task)
    with torch.no_grad():
        for name, parameter in own.items():
            parameter.copy_(task[name])
    return model


def save_task(model: nn.Module, path: str | Path) -> None:
    """Write the task to ``path`` as safetensors, with what is needed to put it on the same body again.

    The file names the body by a hash of its weights; the body itself is not in it.

    Raises:
        ValueError: as :func:`task_weights`; or the head is neither a ``linear_head`` nor an ``mlp_head``.
    """
    weights = {name: tensor.cpu().contiguous() for name, tensor in task_weights(model).items()}
    settings = {**model.task_settings, "head": _head_settings(get_head(model))}
    notes = {"base": model.card.name, "body": body_hash(model), "settings": json.dumps(settings)}
    write_atomically(Path(path), lambda part: save_file(weights, part, metadata=notes))


def _head_settings(head: nn.Module) -> dict[str, float]:
    """Return what it takes to make a head of this kind again: the classes, and of an MLP its width and dropout."""
    layers = list(head) if isinstance(head, nn.Sequential) else [head]
    kinds, linear = [type(layer) for layer in layers], [layer for layer in layers if isinstance(layer, nn.Linear)]
    settings = {"num_classes": linear[-1].out_features} if linear else {}
    if kinds == [nn.Linear, nn.ReLU, nn.Dropout, nn.Linear]:
        settings |= {"hidden": linear[0].out_features, "dropout": layers[2].p}
    elif kinds != [nn.Linear]:
        settings = {}
    if not settings or any(layer.bias is None for layer in linear):
        raise ValueError(f"A task file can hold a head that linear_head or mlp_head makes, and this one is {head}.")
    return settings


def load_task(model: nn.Module, path: str | Path) -> nn.Module:
    """Put the task of a file on a freshly loaded ``model``, in place, and return it.

    The adapters or LoRA layers and the head are made as the file says.

    Raises:
        FileNotFoundError: there is no such file.
        TaskMismatch: the file is no task, or belongs to another body; the model is as it was.
    """
    _require_unmerged(model)
    settings, body, weights = _read(path)
    if not hasattr(model, "task_settings"):
        _put_on(_with_adapter_parameters(copy.deepcopy(model), settings, path), settings, body, weights, path)
        _with_adapter_parameters(model, settings, path)  # now that a copy has shown that it fits
    return _put_on(model, settings, body, weights, path)


def _with_adapter_parameters(model: nn.Module, settings: dict, path: str | Path) -> nn.Module:
    """Give the model the adapters or LoRA layers that a file tells of, and its head."""
    arguments = dict(settings)
    insert, head = _INSERT[arguments.pop("method")], dict(arguments.pop("head"))
    try:
        classes, make_head = head.pop("num_classes"), partial(mlp_head, **head) if head else linear_head
        return insert(replace_head(model, classes, make_head), **arguments)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a width that no memory can hold
        raise TaskMismatch(f"{path} does not fit this {model.card.name}: {error}") from error


def _put_on(model: nn.Module, settings: dict, body: str, weights: Task, path: str | Path) -> nn.Module:
    """Put the weights of a file on a model with adapter parameters, if both are of one kind and one body."""
    settings = {name: value for name, value in settings.items() if name != "head"}
    if settings != model.task_settings:
        raise TaskMismatch(f"{path} holds {settings}, the model has {model.task_settings}. Load the model anew.")
    if body != body_hash(model):
        raise TaskMismatch(
            f"{path} was learned on another body than this {model.card.name}. Load the one it belongs to."
        )
    return switch_task(model, weights)


def body_hash(model: nn.Module) -> str:
    """Return the SHA-256 of all that the tasks share: every buffer, and every parameter that cannot learn."""
    learns = {name for name, p in model.named_parameters() if p.requires_grad}
    return weights_digest((name, tensor) for name, tensor in model.state_dict().items() if name not in learns)


def _read(path: str | Path) -> tuple[dict, str, Task]:
    """Return settings, hash of the body and weights of a task file."""
    if not Path(path).is_file():
        raise FileNotFoundError(f"There is no task file {path}. save_task(model, path) writes one.")
    try:
        with safe_open(path, framework="pt") as file:
            notes = file.metadata() or {}
            settings = json.loads(notes["settings"])
            if settings["method"] not in _INSERT or not isinstance(settings["head"], dict):
                raise KeyError(settings["method"])
            return settings, notes["body"], {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise TaskMismatch(f"{path} is no task file of this course, or is damaged ({error!r}).") from error


def _require_unmerged(model: nn.Module) -> None:
    merged = [name for name, layer in wrappers(model, LoRALayer).items() if layer.merged]
    if merged:
        raise ValueError(f"{merged[0]} is merged: the task sits in the body. Call unmerge() of each LoRA layer first.")


def _require_equal_shapes(own: Task, other: Task) -> None:
    missing, extra = sorted(own.keys() - other.keys()), sorted(other.keys() - own.keys())
    if missing or extra:
        lacks = f"lacks {missing[0]}" if missing else f"holds {extra[0]}, unknown to the model"
        raise TaskMismatch(
            f"The task {lacks} ({len(missing)} missing, {len(extra)} too many). It is for another model."
        )
    for name, parameter in own.items():
        if parameter.shape != other[name].shape:
            raise TaskMismatch(
                f"{name} is {tuple(other[name].shape)} in the task and {tuple(parameter.shape)} in the model: "
                "another width, rank or number of classes."
            )
