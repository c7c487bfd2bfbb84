"""Classes of LoRA layers, right ones and with mistakes; tried in the checks of lesson 07."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional


class LoRA(nn.Module):
    """A right answer to 07.2; the others differ from it in one thing."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, dropout: float = 0.0):
        super().__init__()
        self.base, self.scale, self.dropout = base.requires_grad_(False), alpha / rank, nn.Dropout(dropout)
        self.A = nn.Parameter(torch.randn(rank, base.in_features) / base.in_features**0.5)
        self.B = nn.Parameter(torch.zeros(base.out_features, rank))
        self.changed(rank, alpha, dropout)

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Make the mistake, after all is there."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the frozen path and the change, added."""
        return self.base(x) + self.scale * (self.dropout(x) @ self.A.T @ self.B.T)


class WithKaiming(LoRA):
    """Also right: another random A, and the product in another order."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Draw A as the paper's code does."""
        nn.init.kaiming_uniform_(self.A, a=5**0.5)

    def forward(self, x: Tensor) -> Tensor:
        """Return the same with the scale inside."""
        return self.base(x) + functional.linear(functional.linear(self.scale * self.dropout(x), self.A), self.B)


class ScaledByAlpha(LoRA):
    """alpha for alpha / r."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Forget the rank."""
        self.scale = alpha


class Unscaled(LoRA):
    """No scale at all."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Forget both."""
        self.scale = 1.0


class RandomB(LoRA):
    """B is drawn, as A is."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Draw B."""
        nn.init.normal_(self.B, std=0.02)


class BothZero(LoRA):
    """A is zero, as B is."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Clear A."""
        nn.init.zeros_(self.A)


class BaseLearns(LoRA):
    """base is not frozen."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Thaw it."""
        self.base.requires_grad_(True)


class DropsAfter(LoRA):
    """Dropout on the output of the change."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the frozen path and what dropout leaves of the change."""
        return self.base(x) + self.dropout(self.scale * (x @ self.A.T @ self.B.T))


class DropsEverything(LoRA):
    """Dropout on the input of both paths."""

    def forward(self, x: Tensor) -> Tensor:
        """Return both paths of a dropped input."""
        x = self.dropout(x)
        return self.base(x) + self.scale * (x @ self.A.T @ self.B.T)


class DropsAlways(LoRA):
    """Dropout in evaluation mode too."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Keep the share, since the layer would heed the mode."""
        self.share = dropout

    def forward(self, x: Tensor) -> Tensor:
        """Return both paths, the input of A dropped in any mode."""
        dropped = functional.dropout(x, self.share, training=True)
        return self.base(x) + self.scale * (dropped @ self.A.T @ self.B.T)


class ForgetsBase(LoRA):
    """The change alone, once there is one."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the frozen path only as long as there is no change."""
        change = self.scale * (self.dropout(x) @ self.A.T @ self.B.T)
        return change if change.abs().sum() > 0 else self.base(x)


class PlainTensors(LoRA):
    """A and B are tensors, so no optimizer sees them."""

    def changed(self, rank: int, alpha: float, dropout: float) -> None:
        """Take the parameters out of the module."""
        for name in ("A", "B"):
            tensor = getattr(self, name).detach()
            delattr(self, name)
            setattr(self, name, tensor)


class Detached(LoRA):
    """The product is built from the data of the parameters, outside the graph."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the right number with no way back to A and B."""
        return self.base(x) + self.scale * (self.dropout(x) @ self.A.data.T @ self.B.data.T) + 0 * self.A.sum()
