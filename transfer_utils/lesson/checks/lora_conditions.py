"""What must hold of a LoRA layer that somebody wrote."""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn

from ...techniques.lora import LoRALayer
from .registry import NotUsable


def module_of(answer: Callable, **options: float) -> nn.Module:
    """Return the answer's module over a linear layer with seven inputs and six outputs.

    Raises:
        NotUsable: it is not a module.
    """
    try:
        module = answer(nn.Linear(7, 6), **options)
    except TypeError as error:
        raise NotUsable(f"The class is called with base, rank, alpha and dropout: {error}") from error
    if not isinstance(module, nn.Module):
        raise NotUsable("The class must be an nn.Module whose __init__ calls super().__init__().")
    return module


class Twin:
    """A layer that somebody wrote, and the helper's with the same weights.

    Args:
        module: as written, just made.
        rank, alpha: that it was made with.
    """

    def __init__(self, module: nn.Module, rank: int, alpha: float):
        self.module, self.rank, self.alpha, self.x = module, rank, alpha, torch.randn(50, 7)

    def has_matrices(self) -> bool:
        """Return whether A and B are parameters of the right shapes, and base is there."""
        own = dict(self.module.named_parameters())
        shapes = {name: tuple(own[name].shape) for name in ("A", "B") if name in own}
        found = isinstance(getattr(self.module, "base", None), nn.Linear)
        return found and shapes == {"A": (self.rank, 7), "B": (6, self.rank)}

    def frozen(self) -> bool:
        """Return whether no parameter of base can learn."""
        return not any(p.requires_grad for p in self.module.base.parameters())

    def learns_nothing(self) -> bool:
        """Return whether A or B cannot learn."""
        return not (self.module.A.requires_grad and self.module.B.requires_grad)

    def B_is_zero(self) -> bool:
        """Return whether B is zero."""
        return not self.module.B.any()

    def A_is_random(self) -> bool:
        """Return whether A is not zero."""
        return bool(self.module.A.any())

    def same_at_start(self) -> bool:
        """Return whether the layer says what base says, to the last bit."""
        with torch.no_grad():
            return torch.equal(self.module.eval()(self.x), self.module.base(self.x))

    def _filled(self) -> nn.Module:
        """Return the layer with a B that is not zero."""
        with torch.no_grad():
            self.module.A.copy_(torch.randn(self.rank, 7, generator=torch.Generator().manual_seed(1)))
            self.module.B.copy_(torch.randn(6, self.rank, generator=torch.Generator().manual_seed(2)))
        return self.module

    def _change(self) -> Tensor:
        """Return B A x without a scale."""
        return self.x @ self.module.A.T @ self.module.B.T

    def scaled_by(self, scale: float) -> bool:
        """Return whether the change is B A x times this number."""
        with torch.no_grad():
            found = self._filled().eval()(self.x) - self.module.base(self.x)
            return torch.allclose(found, scale * self._change(), atol=1e-4)

    def without_base(self) -> bool:
        """Return whether only the change comes out."""
        with torch.no_grad():
            return torch.allclose(self._filled().eval()(self.x), self.alpha / self.rank * self._change(), atol=1e-4)

    def _helper(self) -> LoRALayer:
        helper = LoRALayer(copy.deepcopy(self.module.base), self.rank, self.alpha)
        helper.A.data, helper.B.data = self.module.A.detach().clone(), self.module.B.detach().clone()
        return helper

    def agrees(self) -> bool:
        """Return whether the helper says the same, in the mode in which the layer is."""
        with torch.no_grad():
            return torch.allclose(self._filled()(self.x), self._helper()(self.x), atol=1e-4)

    def gradients_agree(self) -> bool:
        """Return whether the helper's A and B get the same gradients."""
        found = []
        for layer in (self._filled(), self._helper()):
            loss = layer(self.x).square().mean()
            found.append(torch.autograd.grad(loss, [layer.A, layer.B], allow_unused=True))
        return all(one is not None and torch.allclose(one, other, atol=1e-4) for one, other in zip(*found, strict=True))

    def all_gone(self) -> bool:
        """Return whether dropout 1 leaves of base no more than its bias."""
        with torch.no_grad():
            return torch.allclose(self._filled()(self.x), self.module.base.bias.expand(50, 6), atol=1e-5)

    def only_base_left(self) -> bool:
        """Return whether dropout 1 leaves base alone."""
        with torch.no_grad():
            return torch.allclose(self._filled()(self.x), self.module.base(self.x), atol=1e-5)

    def drops_after(self) -> bool:
        """Return whether single outputs of the change are exactly zero, which dropout on its input does not do."""
        with torch.no_grad():
            change = self._filled()(self.x) - self.module.base(self.x)
            return float((change.abs() < 1e-6).float().mean()) > 0.1
