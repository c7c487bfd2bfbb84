"""How far a network has moved from its pretraining, and what it has forgotten on the way."""

from __future__ import annotations

import copy
from collections.abc import Iterable

import torch
from PIL import Image
from torch import nn

from ..models.heads import card_of, head_names, set_submodule
from ..runtime.seeding import set_seed


def distance_moved(model: nn.Module, start: nn.Module, names: Iterable[str] | None = None) -> float:
    """Return how far parameters of ``model`` lie from those of ``start``, relative to their length.

    ``|theta - theta_0| / |theta_0|`` over all ``names`` together, Euclidean. Without ``names``: the whole body.
    """
    now, before = dict(model.named_parameters()), dict(start.named_parameters())
    heads = tuple(f"{name}." for name in head_names(start))
    chosen = [name for name in before if not name.startswith(heads)] if names is None else list(names)
    difference = torch.cat([(now[n].detach().cpu() - before[n].detach().cpu()).flatten() for n in chosen])
    return float(difference.norm() / torch.cat([before[n].detach().cpu().flatten() for n in chosen]).norm())


def photograph_pieces(model: nn.Module, size: int, per_photo: int, seed: int = 0) -> torch.Tensor:
    """Return random pieces of scikit-learn's two photographs, a temple and a flower, preprocessed for ``model``.

    Pieces cover 10 to 60 % of a photograph and are mirrored at random.

    Returns:
        Tensor (2 * per_photo, 3, size, size).
    """
    from sklearn.datasets import load_sample_image
    from torchvision.transforms import v2

    set_seed(seed)
    cut = v2.Compose([v2.RandomResizedCrop(size, scale=(0.1, 0.6)), v2.RandomHorizontalFlip()])
    photos = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    to_tensor = card_of(model).preprocess(size)
    return torch.stack([to_tensor(cut(photo)) for photo in photos for _ in range(per_photo)])


@torch.inference_mode()
def old_answers(body: nn.Module, original: nn.Module, inputs: torch.Tensor, old_statistics: bool) -> torch.Tensor:
    """Return the scores (N, C) of the ``original`` head on top of a trained ``body``; neither is changed.

    Args:
        body: a network of the same layers as ``original``; its own head is not used.
        inputs: (N, 3, height, width), on the CPU.
        old_statistics: put the running means and variances of ``original`` back, so that only the
            trained weights differ.
    """
    probe = copy.deepcopy(body).cpu().eval()
    for name in head_names(original):
        set_submodule(probe, name, copy.deepcopy(original.get_submodule(name)))
    if old_statistics:
        for buffer, old in zip(probe.buffers(), original.buffers(), strict=True):
            buffer.copy_(old)
    return probe(inputs)


@torch.inference_mode()
def names_kept(network: nn.Module, original: nn.Module, inputs: torch.Tensor) -> dict[str, float]:
    """Return the share of ``inputs`` that keep their first choice when parts of ``network`` are put into ``original``.

    The head stays that of ``original``; neither network is changed.

    Args:
        network: of the same layers, trained on something else.
        inputs: (N, 3, height, width), on the CPU.

    Returns:
        Shares for ``all that was trained``, the ``weights alone``, and the ``statistics alone``: the running means and
        variances of BatchNorm, which change without any gradient.
    """
    heads = tuple(f"{name}." for name in head_names(original))
    trained = {name: tensor for name, tensor in network.state_dict().items() if not name.startswith(heads)}
    statistics = {name: tensor for name, tensor in trained.items() if "running" in name}
    weights = {name: tensor for name, tensor in trained.items() if name not in statistics}
    probe = copy.deepcopy(original).cpu().eval()
    before, names = probe.state_dict(), probe(inputs).argmax(1)
    before = {name: tensor.clone() for name, tensor in before.items()}
    shares = {}
    parts = {"all that was trained": trained, "weights alone": weights, "statistics alone": statistics}
    for part, tensors in parts.items():
        probe.load_state_dict(before | tensors)
        shares[part] = (probe(inputs).argmax(1) == names).double().mean().item()
    return shares
