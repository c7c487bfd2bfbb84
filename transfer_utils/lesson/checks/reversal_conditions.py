"""What must hold of a loss of domains whose gradient is turned round on its way into the features."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from .registry import NOTHING, Conditions, NotUsable
from .small_models import changed, state_of

Answer = Callable[[Tensor, Tensor, nn.Module, float], Tensor]


@dataclass
class Domains:
    """Features of both domains from a body, a classifier of domains, and what is right for them.

    Args:
        sizes: items of the source and of the target.
    """

    sizes: tuple[int, int]

    def __post_init__(self) -> None:
        self.body = nn.Sequential(nn.Linear(3, 5), nn.Tanh())
        self.classifier = nn.Sequential(nn.Linear(5, 4), nn.Tanh(), nn.Linear(4, 1))
        with torch.no_grad():
            self.classifier[2].bias.fill_(0.7)  # off the middle, so that the two domains have different losses
            self.classifier[2].weight.mul_(3)
        self.source, self.target = (self.body(torch.randn(count, 3)) for count in self.sizes)
        self.logits = self.classifier(torch.cat([self.source, self.target])).squeeze(1)
        self.truth = torch.cat([torch.zeros(self.sizes[0]), torch.ones(self.sizes[1])])
        self.loss = functional.binary_cross_entropy_with_logits(self.logits, self.truth)
        self.of_classifier, *self.of_features = self.gradients(self.loss)

    def gradients(self, loss: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the gradients of the classifier's parameters in one row, and of both features; 0 where none comes."""
        parameters = list(self.classifier.parameters())
        into = [*parameters, self.source, self.target]
        found = torch.autograd.grad(loss, into, retain_graph=True, allow_unused=True)
        found = [torch.zeros_like(at) if one is None else one for one, at in zip(found, into, strict=True)]
        return torch.cat([one.flatten() for one in found[:-2]]), found[-2], found[-1]

    def values_of_mistakes(self, strength: float) -> list[tuple[Tensor, str]]:
        """Return what the loss is where a mistake was made, each with what to say."""
        single = functional.binary_cross_entropy_with_logits(self.logits, self.truth, reduction="none")
        means = [part.mean() for part in single.split(self.sizes)]
        halves = (torch.arange(len(self.truth)) >= len(self.truth) // 2).float()
        logistic = functional.binary_cross_entropy_with_logits
        return [
            (single.sum(), "That is the sum over the items: take the mean."),
            (sum(means), "Those are the two domains' means added, as in equation 18: here, the mean over all items."),
            (sum(means) / 2, "That is half of each domain's mean: here every one of N + M items counts the same."),
            (strength * self.loss, "The strength multiplies your loss as well: it belongs on the way back alone."),
            (logistic(self.logits, 1 - self.truth), "The labels are swapped: the target has 1."),
            (logistic(self.logits, halves), "The labels take the batches for equal: N zeros and M ones are needed."),
            (logistic(self.logits.sigmoid(), self.truth), "The sigmoid is applied twice: this loss takes logits."),
        ]  # fmt: skip


def right_loss(answer: Answer, sizes: tuple[int, int], strength: float) -> Conditions:
    """Ask for the loss of two domains of these sizes: its value, and the gradients that it sends back."""
    case, where = Domains(sizes), f"With {sizes[0]} and {sizes[1]} items and strength {strength:g}:"
    source, target, state = case.source.detach().clone(), case.target.detach().clone(), state_of(case.classifier)
    try:
        loss = answer(case.source, case.target, case.classifier, strength)
    except (ValueError, RuntimeError) as error:
        if sizes[0] == sizes[1] or "size" not in str(error):
            raise
        loss = torch.tensor(torch.nan)
        yield False, f"{where} the sizes do not fit, though two equal batches did. Make N zeros and M ones."
    yield loss is not None, NOTHING
    if not isinstance(loss, Tensor) or loss.numel() != 1:
        raise NotUsable(f"{where} it returned {_kind(loss)}, not one number")
    yield loss.requires_grad, f"{where} no gradient leaves this loss. Was it detached, or made a number?"
    yield not changed(state, case.classifier), "The loss moved the domain classifier: the optimizer does that, later."
    backward = any(parameter.grad is not None for parameter in case.classifier.parameters())
    yield not backward, "Return the loss: `backward` is called in the training loop, once, on the sum of both losses."
    learns = all(parameter.requires_grad for parameter in case.classifier.parameters())
    yield learns, "The domain classifier no longer requires a gradient, so it would never learn."
    kept = torch.equal(case.source, source) and torch.equal(case.target, target)
    yield kept, "The features were changed in place: the head needs them as they are."
    yield from _right_way_back(case, loss, strength, where)


def _right_way_back(case: Domains, loss: Tensor, strength: float, where: str) -> Conditions:
    value, wanted = loss.detach(), case.loss.detach()
    of_classifier, *of_features = case.gradients(loss)
    minus = _near(value, -case.loss) or (strength != 0 and _near(value, -strength * case.loss))
    forward = all(_near(one, -strength * other) for one, other in zip(of_features, case.of_features, strict=True))
    again = "A minus sign and a reversal cancel: the body would help, and the domain classifier learn the wrong way."
    alone = "A minus sign before the loss turns all of it round: the domain classifier would learn the wrong way, too."
    yield not minus, f"{where} {alone if forward or strength == 0 or _turned_once(case, of_features) else again}"
    for wrong_value, advice in case.values_of_mistakes(strength):
        named = _near(value, wrong_value) and not _near(value, case.loss)
        yield not named, f"{where} {advice}"
    yield _near(value, case.loss), f"{where} the loss is {float(value):.4f}, and should be {float(wanted):.4f}."
    yield from _right_for_the_classifier(case, of_classifier, strength, where)
    yield from _right_for_the_features(case, of_features, strength, where)
    weights = torch.randn_like(case.source)
    together = case.gradients(loss + (case.source * weights).sum())[1]
    apart = _near(together, of_features[0] + weights)
    yield apart, f"{where} the gradient of the classes was turned round as well: reverse a copy, not the features."


def _right_for_the_classifier(case: Domains, found: Tensor, strength: float, where: str) -> Conditions:
    wanted = case.of_classifier
    turned = strength != 0 and (_near(found, -strength * wanted) or _near(found, -wanted))
    yield not turned, f"{where} the domain classifier's gradient is turned round: reverse what goes into it, not out."
    yield found.any(), f"{where} no gradient reaches the domain classifier: it would never learn."
    yield _near(found, wanted), f"{where} the domain classifier's own gradient is not that of the loss, unscaled."


def _right_for_the_features(case: Domains, found: list[Tensor], strength: float, where: str) -> Conditions:
    def all_near(factor: float) -> bool:
        return all(_near(one, factor * other) for one, other in zip(found, case.of_features, strict=True))

    if strength == 0:
        yield all_near(0), f"{where} nothing of this loss may reach the features."
        return
    yield any(one.any() for one in found), f"{where} no gradient reaches the features: the body cannot learn from it."
    helped = all_near(1) or all_near(strength)
    yield not helped, f"{where} the gradient of the features is not turned round: the body helps the domain classifier."
    yield strength == 1 or not all_near(-1), f"{where} the gradient is turned round, but the strength is not in it."
    for name, one, wanted in zip(("source", "target"), found, case.of_features, strict=True):
        right = _near(one, -strength * wanted)
        yield right, f"{where} the gradient of the {name} features is not -strength times that of the loss."


def _turned_once(case: Domains, found: list[Tensor]) -> bool:
    """Return whether the features' gradient points against that of the loss."""
    return float((torch.cat(found) * torch.cat(case.of_features)).sum()) < 0


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one.detach().float(), other.detach().float(), rtol=1e-3, atol=1e-6)


def _kind(loss: object) -> str:
    return f"a tensor of shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"a {type(loss).__name__}"
