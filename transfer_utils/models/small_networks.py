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


def photo_cnn(*, seed: int = 0) -> nn.Sequential:
    """Return a small body with BatchNorm and random weights for colour images of 28 px: (N, 3, 28, 28) -> (N, 512).

    Two blocks of 5x5 convolution, BatchNorm, ReLU and 2x2 pooling, 16 and 32 channels: the network that Ganin et al.
    2016 (figure 4a) train on MNIST and MNIST-M, with fewer channels, and with BatchNorm.
    """
    set_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 16, 5), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5), nn.BatchNorm2d(32), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
    )  # fmt: skip


def one_hidden_layer(
    seed: int, *, inputs: int = 1280, width: int = 128, num_classes: int = 2
) -> tuple[nn.Sequential, nn.Linear]:
    """Return a body with one hidden layer and dropout, (N, inputs) -> (N, width), and a head, for stored features."""
    set_seed(seed)
    return nn.Sequential(nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(0.5)), nn.Linear(width, num_classes)


def conv4(channels: int = 1, width: int = 32, *, seed: int = 0) -> nn.Sequential:
    """Return the small embedding network of few-shot learning: images of 28 px -> (N, width), without a head.

    Four blocks of 3x3 convolution, BatchNorm and ReLU. The convolutions have stride 2, which halves the sides as the
    pooling of Vinyals et al. 2016 (section 4.1.1) does, for a fraction of the work (Finn et al. 2017,
    "Model-Agnostic Meta-Learning", section 5.2, on Omniglot). Then the mean over the four pixels that are left.
    """
    set_seed(seed)
    blocks = [
        nn.Sequential(nn.Conv2d(inputs, width, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        for inputs in (channels, width, width, width)
    ]
    return nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
