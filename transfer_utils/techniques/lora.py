"""LoRA: frozen weights, and beside each a change of low rank that learns (Hu et al. 2021).

model = load_encoder()
add_lora(model, rank=8, targets=["query", "value"])    # freezes the rest; the head learns too
fit(model, films.train, films.validation, epochs=3, lr=1e-3)
merge_lora(model)                                       # the plain model again, as fast as before
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import nn

from ..models.freezing import freeze, unfreeze
from ..models.heads import get_heads
from ..models.wrapping import Wrapper, find_layers, replace_everywhere, wrap_layers, wrappers
from ..runtime.seeding import generator, named_seed

QUERY_AND_VALUE = ("query", "value")  # what Hu et al. 2021 adapt, section 4.2 and table 5


def low_rank_update(A: torch.Tensor, B: torch.Tensor, alpha: float) -> torch.Tensor:
    """Return ``(alpha / r) B A``, the change of a weight matrix; its rank is at most r.

    Args:
        A: (r, in), from the inputs to r numbers.
        B: (out, r), from there to the outputs.
        alpha: scale; divided by r, so that the rank can change and the learning rate stay.

    Returns:
        (out, in). Hu et al. 2021, section 4.1.
    """
    return alpha / A.shape[0] * B @ A


class LoRALayer(Wrapper):
    """A linear layer or 1x1 convolution W that stays, plus ``(alpha / r) B A`` that learns.

    A starts as PyTorch starts a linear layer (Kaiming, a = sqrt(5)) and B with zeros, so before training the
    layer says what ``base`` says, to the last bit. Dropout acts on the input of A only.

    Args:
        base: ``nn.Linear`` or ``nn.Conv2d`` with 1x1 kernel and one group; it is frozen.
        rank: r, from 1 to the smaller side of the weight matrix.
        alpha: scale.
        dropout: share of A's inputs that is dropped in training.
        seed: for A.

    Raises:
        TypeError: ``base`` is another kind of layer.
        ValueError: the rank does not fit.
    """

    def __init__(self, base: nn.Module, rank: int, alpha: float, dropout: float = 0.0, seed: int = 0):
        super().__init__()
        require_room_for(base, rank)
        outputs, inputs = base.weight.shape[:2]
        self.base, self.rank, self.alpha = base, rank, alpha
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()  # Dropout(0) would draw random numbers too
        self.A, self.B = nn.Parameter(torch.empty(rank, inputs)), nn.Parameter(torch.zeros(outputs, rank))
        nn.init.kaiming_uniform_(self.A, a=5**0.5, generator=generator(seed, "lora", rank, outputs, inputs))
        self.weight_before: torch.Tensor | None = None  # of base, while merged
        freeze(base)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return ``W x + (alpha / r) B A x``, of the shape that ``base`` gives."""
        if self.merged:
            return self.base(x)
        return self.base(x) + self.alpha / self.rank * self._low_rank(self.dropout(x))

    def _low_rank(self, x: torch.Tensor) -> torch.Tensor:
        if isinstance(self.base, nn.Linear):
            return F.linear(F.linear(x, self.A), self.B)
        narrow = F.conv2d(x, self.A[..., None, None], stride=self.base.stride, padding=self.base.padding)
        return F.conv2d(narrow, self.B[..., None, None])

    def update(self) -> torch.Tensor:
        """Return the change of the weight matrix, (out, in)."""
        return low_rank_update(self.A.detach(), self.B.detach(), self.alpha)

    @property
    def merged(self) -> bool:
        """Whether the change has been added to the weights of ``base``."""
        return self.weight_before is not None

    def merge(self) -> None:
        """Add the change to the weights, so that a forward pass costs what it cost before."""
        if not self.merged:
            self.weight_before = self.base.weight.detach().clone()
            self.base.weight.data += self.update().view_as(self.base.weight)

    def unmerge(self) -> None:
        """Put the weights back as they were, to the last bit: a copy was kept, because subtracting rounds."""
        if self.merged:
            self.base.weight.data.copy_(self.weight_before)
            self.weight_before = None


def require_room_for(layer: nn.Module, rank: int) -> None:
    """Raise ``TypeError`` or ``ValueError`` unless LoRA of this rank can stand beside ``layer``."""
    pointwise = isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1) and layer.groups == 1
    if not (isinstance(layer, nn.Linear) or pointwise):
        raise TypeError(f"LoRA is for nn.Linear and 1x1 nn.Conv2d with one group, not for {layer}.")
    outputs, inputs = layer.weight.shape[:2]
    if not 1 <= rank <= min(outputs, inputs):
        largest = min(outputs, inputs)
        raise ValueError(f"The rank of a {outputs} x {inputs} layer is between 1 and {largest}, not {rank}.")


def add_lora(
    model: nn.Module,
    rank: int = 8,
    targets: Sequence[str] = QUERY_AND_VALUE,
    *,
    alpha: float | None = None,
    dropout: float = 0.0,
    seed: int = 0,
) -> nn.Module:
    """Freeze ``model`` and put LoRA beside each layer that ``targets`` names, in place; return the model.

    What can learn afterwards: A and B of each target, and the head.

    Args:
        rank: columns of B and rows of A.
        targets: patterns of names, see :func:`transfer_utils.models.wrapping.find_layers`. Only linear layers and
            1x1 convolutions are looked at; the head is left out, it learns anyway.
        alpha: scale of the change; ``None`` takes twice the rank.
        dropout: on the input of A.

    Raises:
        ValueError: a pattern fits no layer, or all fit the head alone; the rank is larger than a layer; LoRA is
            there already; or a target shares its weights with another layer, which merging would change too.
    """
    found = find_layers(model, targets, (nn.Linear, nn.Conv2d))
    inside_head = {module for head in get_heads(model) for module in head.modules()}
    found = {name: layer for name, layer in found.items() if layer not in inside_head}
    if not found:
        raise ValueError("The patterns fit the head alone, which learns anyway. Name layers of the body in targets.")
    _refuse_shared_weights(model, found)
    alpha = 2.0 * rank if alpha is None else alpha
    for layer in found.values():  # before anything is changed
        require_room_for(layer, rank)
    freeze(model)
    wrap_layers(model, found, lambda name, layer: LoRALayer(layer, rank, alpha, dropout, named_seed(seed, name)))
    unfreeze(*get_heads(model))
    model.task_settings = {"method": "lora", "rank": rank, "targets": list(targets), "alpha": alpha, "dropout": dropout}
    return model


def _refuse_shared_weights(model: nn.Module, found: dict[str, nn.Module]) -> None:
    """Raise where a weight of ``found`` belongs to a second module too, as tied embeddings do."""
    owners: dict[int, list[str]] = {}
    for name, module in model.named_modules():
        for parameter in module.parameters(recurse=False):
            owners.setdefault(id(parameter), []).append(name)
    for name, layer in found.items():
        shared = [other for other in owners[id(layer.weight)] if other != name]
        if shared:
            raise ValueError(f"{name} shares its weights with {shared[0]}; merging would change both. Leave it out.")


def lora_layers(model: nn.Module) -> dict[str, LoRALayer]:
    """Return the LoRA layers of ``model`` by name.

    Raises:
        ValueError: there are none.
    """
    found = wrappers(model, LoRALayer)
    if not found:
        raise ValueError("The model has no LoRA layers. add_lora(model) puts them in.")
    return found


def merge_lora(model: nn.Module) -> nn.Module:
    """Add each change to its weights and take the LoRA layers out, in place; return the plain model.

    It has the layers, the names and the speed of the model before LoRA, and predicts what the
    model with LoRA predicts, up to rounding. To go back and forth, use ``merge`` and ``unmerge`` of a layer.
    """
    for layer in lora_layers(model).values():
        layer.merge()
        replace_everywhere(model, layer, layer.base)
    del model.task_settings
    return model


def effective_rank(matrix: torch.Tensor) -> float:
    """Return how many directions a matrix (out, in) really uses, from 1 to its rank.

    The exponential of the entropy of its singular values, taken as shares (Roy and Vetterli 2007,
    equation 1). Three equal singular values give 3; one large and two tiny ones little more than 1.

    Raises:
        ValueError: the matrix is zero, and uses none.
    """
    values = torch.linalg.svdvals(matrix.double())
    if float(values.sum()) == 0:
        raise ValueError("The matrix is zero: before training B is zero, and the change has no direction yet.")
    shares = values / values.sum()
    shares = shares[shares > 0]
    return float(torch.exp(-(shares * shares.log()).sum()))


def random_effective_rank(outputs: int, inputs: int, rank: int, draws: int = 5, seed: int = 0) -> float:
    """Return the mean effective rank of B A for random normal matrices: what a learned change is compared with.

    It is somewhat below ``rank``, so an effective rank below the rank alone says nothing about what was learned.
    """
    random = generator(seed, "random effective rank", outputs, inputs, rank)
    found = []
    for _ in range(draws):
        B, A = torch.randn(outputs, rank, generator=random), torch.randn(rank, inputs, generator=random)
        found.append(effective_rank(B @ A))
    return sum(found) / draws
