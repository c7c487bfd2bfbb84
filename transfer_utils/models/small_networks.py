"""Small networks with random weights, for images of few pixels."""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn

from ..runtime.seeding import set_seed
from .backbones import BackboneCard


def small_cnn(num_classes: int, width: int = 16, *, seed: int = 0) -> nn.Module:
    """Return a small network with random weights, for images of 64 px: 98,000 parameters and a head at width 16.

    Four stages of 3x3 convolution with stride 2, BatchNorm and ReLU, ``width`` to ``8 * width`` channels, then the mean
    over the pixels and a linear head. A student for distillation; it has a card like every backbone.
    """
    set_seed(seed)
    channels = [3, width, 2 * width, 4 * width, 8 * width]
    stages = [
        nn.Sequential(nn.Conv2d(a, b, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
        for a, b in zip(channels, channels[1:], strict=False)
    ]
    pool = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = nn.Linear(channels[-1], num_classes)
    model = nn.Sequential(OrderedDict(features=nn.Sequential(*stages), pool=pool, head=head))
    model.card = BackboneCard("small_cnn", "random", "head", (0.5,) * 3, (0.5,) * 3, 64)
    return model.to(memory_format=torch.channels_last)


def digit_cnn(width: int = 64, *, seed: int = 0) -> nn.Sequential:
    """Return a small body with BatchNorm and random weights for images of 8 px: (N, 1, 8, 8) -> (N, width)."""
    set_seed(seed)
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(64 * 4 * 4, width), nn.ReLU(),
    )  # fmt: skip


def conv4(channels: int = 1, width: int = 32, *, seed: int = 0) -> nn.Sequential:
    """Return the small embedding network of few-shot learning: images of 28 px -> (N, width), without a head.

    Four blocks of 3x3 convolution, BatchNorm, ReLU and 2x2 pooling (Vinyals et al. 2016, section 4.1.1, with 64
    channels), then what is left is flattened; 28 px leave one pixel.
    """
    set_seed(seed)
    blocks = [
        nn.Sequential(nn.Conv2d(inputs, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU(), nn.MaxPool2d(2))
        for inputs in (channels, width, width, width)
    ]
    return nn.Sequential(*blocks, nn.Flatten())
