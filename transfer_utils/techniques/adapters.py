"""Adapters: small bottlenecks between layers that stay frozen (Houlsby et al. 2019).

model = load_encoder()
add_adapters(model, bottleneck=32)          # freezes the rest; the head and LayerNorms learn too
fit(model, films.train, films.validation, epochs=3, lr=1e-3)
save_task(model, "films.safetensors")       # see transfer_utils.techniques.adapter_weights
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..models.freezing import freeze, unfreeze
from ..models.heads import get_heads
from ..models.wrapping import Wrapper, find_layers, wrap_layers, wrappers
from ..runtime.seeding import generator, named_seed

# Where adapters go when nothing is said: after both dense outputs of each transformer layer, before the
# residual sum (Houlsby et al. 2019, figure 2), and after each stage of EfficientNets and ResNets.
USUAL_LAYERS = (r".*(attention|layer\.\d+)\.output\.dense", r"blocks\.\d+", r"layer\d+")


def bottleneck(x: torch.Tensor, down: nn.Module, up: nn.Module) -> torch.Tensor:
    """Return ``x + up(gelu(down(x)))``: squeeze, bend, widen, and add to what was there.

    Args:
        x: (..., d) for linear layers, (N, d, H, W) for 1x1 convolutions; the result has the same shape.
        down, up: from d to m channels and back.

    Houlsby et al. 2019, section 2.1.
    """
    return x + up(F.gelu(down(x)))


class Adapter(nn.Module):
    """The bottleneck as a module: 2dm + m + d parameters for width d and bottleneck m.

    It starts near the identity: ``up`` has weights of size 0.001 and no bias, so what passes is hardly changed,
    yet a gradient reaches ``down``. With zeros instead, ``down`` would wait for ``up`` to move first.

    Args:
        width: channels d that come in and go out.
        bottleneck: channels m in the middle.
        convolution: for images (N, d, H, W), with 1x1 convolutions: the same bottleneck at every pixel.
        seed: for the weights at the start.

    Raises:
        ValueError: the bottleneck is not between 1 and ``width``.
    """

    def __init__(self, width: int, bottleneck: int, convolution: bool = False, seed: int = 0):
        super().__init__()
        if not 1 <= bottleneck <= width:
            raise ValueError(
                f"The bottleneck must be between 1 and the width of the layer, {width}; it is {bottleneck}."
            )

        def make(a: int, b: int) -> nn.Module:
            return nn.Conv2d(a, b, 1) if convolution else nn.Linear(a, b)

        self.down, self.up = make(width, bottleneck), make(bottleneck, width)
        random = generator(seed, "adapter", width, bottleneck)
        nn.init.normal_(self.down.weight, std=width**-0.5, generator=random)
        nn.init.normal_(self.up.weight, std=1e-3, generator=random)
        nn.init.zeros_(self.down.bias)
        nn.init.zeros_(self.up.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``bottleneck(x)``, of the same shape."""
        return bottleneck(x, self.down, self.up)


class Adapted(Wrapper):
    """A layer, and an adapter on what comes out of it."""

    def __init__(self, base: nn.Module, adapter: Adapter):
        super().__init__()
        self.base, self.adapter = base, adapter

    def forward(self, *inputs: torch.Tensor, **named: torch.Tensor) -> torch.Tensor:
        """Return what the layer says, through the adapter."""
        return self.adapter(self.base(*inputs, **named))


def add_adapters(
    model: nn.Module, bottleneck: int = 32, at: Sequence[str] | None = None, *, norms: bool = True, seed: int = 0
) -> nn.Module:
    """Freeze ``model`` and put an adapter after each layer that ``at`` names, in place; return the model.

    What can learn afterwards: the adapters, the head, and the LayerNorms (``norms``), as in Houlsby et al.
    2019, section 2.1. BatchNorm layers stay frozen: their statistics belong to the body.

    Args:
        bottleneck: channels in the middle of each adapter.
        at: patterns of names, see :func:`transfer_utils.models.wrapping.find_layers`. ``None``: after both dense
            outputs of every transformer layer, or after every stage of EfficientNets and ResNets.

    Raises:
        ValueError: a pattern fits nothing, the bottleneck does not fit, or layers are wrapped already.
    """
    at = _usual_layers(model) if at is None else at
    found = find_layers(model, at)
    wrap_layers(
        model, found, lambda name, layer: Adapted(layer, _adapter_for(layer, bottleneck, named_seed(seed, name)))
    )
    freeze(model)
    unfreeze(*get_heads(model), *(wrapper.adapter for wrapper in wrappers(model, Adapted).values()))
    if norms:
        unfreeze(*(module for module in model.modules() if isinstance(module, nn.LayerNorm)))
    model.task_settings = {"method": "adapters", "bottleneck": bottleneck, "at": list(at), "norms": norms}
    return model


def _usual_layers(model: nn.Module) -> list[str]:
    names = [name for name, _ in model.named_modules()]
    for pattern in USUAL_LAYERS:
        if found := [name for name in names if re.fullmatch(pattern, name)]:
            return found
    raise ValueError(f"Where adapters go in this model is not known. Name layers: at=[{names[1]!r}, ...].")


def _adapter_for(layer: nn.Module, bottleneck: int, seed: int) -> Adapter:
    """Return an adapter for what comes out of ``layer``: its last module with channels decides."""
    with_channels = [m for m in layer.modules() if isinstance(m, (nn.Linear, nn.Conv2d, nn.BatchNorm2d))]
    if not with_channels:
        raise ValueError(f"An adapter needs the channels of its layer, and there are no channels in {layer}.")
    last = with_channels[-1]
    width = next(getattr(last, n) for n in ("out_features", "out_channels", "num_features") if hasattr(last, n))
    return Adapter(width, bottleneck, convolution=not isinstance(last, nn.Linear), seed=seed)
