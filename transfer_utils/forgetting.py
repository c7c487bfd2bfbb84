"""What a network knew before: does its body still give its old head what that head expects?"""

from __future__ import annotations

import copy

import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from .heads import _card, _set_submodule, get_head
from .seeding import set_seed


def photograph_pieces(model: nn.Module, size: int, per_photo: int, seed: int = 0) -> torch.Tensor:
    """Return random pieces of scikit-learn's two photographs, a temple and a flower, preprocessed for ``model``.

    Pieces cover 10 to 60 % of a photograph and are mirrored at random.

    Returns:
        Tensor (2 * per_photo, 3, size, size).
    """
    from sklearn.datasets import load_sample_image

    set_seed(seed)
    cut = v2.Compose([v2.RandomResizedCrop(size, scale=(0.1, 0.6)), v2.RandomHorizontalFlip()])
    photos = [Image.fromarray(load_sample_image(name)) for name in ("china.jpg", "flower.jpg")]
    to_tensor = _card(model).preprocess(size)
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
    _set_submodule(probe, _card(original).head, copy.deepcopy(get_head(original)).cpu())
    if old_statistics:
        for buffer, old in zip(probe.buffers(), original.buffers(), strict=True):
            buffer.copy_(old)
    return probe(inputs)
