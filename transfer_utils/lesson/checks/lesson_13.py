"""Checks of lesson 13, distillation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .registry import NOTHING, Conditions, NotUsable, exercise, right, wrong


def _scores(count: int, classes: int) -> tuple[Tensor, Tensor]:
    student, teacher = 2 * torch.randn(2, count, classes, generator=torch.Generator().manual_seed(count))
    return student, teacher


def _tensor(answer: object, shape: tuple[int, ...]) -> Tensor:
    if not isinstance(answer, Tensor):
        raise NotUsable(f"It returned a {type(answer).__name__}")
    if tuple(answer.shape) != shape:
        raise NotUsable(f"It returned a tensor of shape {tuple(answer.shape)}, not {shape}")
    return answer


def _near(one: Tensor, other: Tensor) -> bool:
    return torch.allclose(one, other, rtol=1e-4, atol=1e-6)


# ---------------------------------------------------------------------- 13.1


@exercise("13.1", "Soften the scores", asked="a function of z and T that returns a tensor of the shape of z")
def soften(answer: Callable) -> Conditions:
    """softmax(z / T) over the classes (Hinton et al. 2015, equation 1)."""
    _, z = _scores(3, 5)
    given = answer(z, 4.0)
    yield given is not None, NOTHING
    found = _tensor(given, (3, 5))
    yield not _near(found, F.softmax(z / 4, 0)), "Each column sums to 1: the softmax goes over the classes, dim=1."
    yield not _near(found, F.softmax(z, 1) / 4), "Divide the scores before the softmax, not the probabilities after it."
    yield not _near(found, F.softmax(z * 4, 1)), "That sharpens: divide by T, do not multiply."
    yield not _near(found, F.log_softmax(z / 4, 1)), "Those are logarithms: probabilities are asked for."
    yield not _near(found, F.softmax(z, 1)), "T has no effect."
    yield bool(torch.isfinite(answer(1000 * z, 1.0)).all()), "Large scores overflow: torch.softmax does not, exp does."
    for T in (1.0, 4.0, 20.0):
        yield _near(_tensor(answer(z, T), (3, 5)), F.softmax(z / T, 1)), f"At T = {T:g} it is not softmax(z / T)."


right("13.1", lambda z, T: (z / T).softmax(-1))
right("13.1", lambda z, T: torch.log_softmax(z / T, 1).exp())
wrong("13.1", "Each column sums to 1", lambda z, T: torch.softmax(z / T, 0))
wrong("13.1", "before the softmax", lambda z, T: torch.softmax(z, 1) / T)
wrong("13.1", "That sharpens", lambda z, T: torch.softmax(z * T, 1))
wrong("13.1", "Those are logarithms", lambda z, T: torch.log_softmax(z / T, 1))
wrong("13.1", "T has no effect", lambda z, T: torch.softmax(z, 1))
wrong("13.1", "Large scores overflow", lambda z, T: torch.exp(z / T) / torch.exp(z / T).sum(1, keepdim=True))
wrong("13.1", "not softmax(z / T)", lambda z, T: torch.softmax(z / min(T, 4.0), 1))
wrong("13.1", "returned nothing", lambda z, T: None)

# ---------------------------------------------------------------------- 13.2


def kd_loss(student: Tensor, teacher: Tensor, T: float) -> Tensor:
    """Return the distillation loss as an explicit sum."""
    p, q = torch.softmax(teacher / T, 1), torch.softmax(student / T, 1)
    return T**2 * (p * (p / q).log()).sum(1).mean()


def _kl(log_q: Tensor, p: Tensor, factor: float, reduction: str = "batchmean") -> Tensor:
    """Compute the reduction "mean", which divides by the classes too, without the warning that PyTorch gives."""
    if reduction == "mean":
        return factor * F.kl_div(log_q, p, reduction="none").mean()
    return factor * F.kl_div(log_q, p, reduction=reduction)


def _log(scores: Tensor, T: float) -> Tensor:
    return torch.log_softmax(scores / T, 1)


# What people write instead -> how to see the mistake.
MISTAKES: dict[str, Callable[[Tensor, Tensor, float], Tensor]] = {
    "It is smaller by the number of classes: the mean is over the items, so `batchmean`, not `mean`.":
        lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), T**2, "mean"),
    "`mean` divides by the classes as well, and the factor T squared is missing.":
        lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), 1, "mean"),
    "The factor T squared is missing: without it the gradient shrinks as T grows.":
        lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), 1),
    "The factor is T squared, not T.": lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), T),
    "It is the sum over the items, not their mean.": lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), T**2, "sum"),
    "Student and teacher are swapped: the student's logarithm comes first.":
        lambda s, t, T: _kl(_log(t, T), _log(s, T).exp(), T**2),
    "The student is not softened: the same T on both sides.":
        lambda s, t, T: _kl(_log(s, 1), _log(t, T).exp(), T**2),
    "The teacher is not softened: the same T on both sides.":
        lambda s, t, T: _kl(_log(s, T), _log(t, 1).exp(), T**2),
    "The first argument of kl_div is a logarithm: the student's log_softmax, not its softmax.":
        lambda s, t, T: _kl(_log(s, T).exp(), _log(t, T).exp(), T**2),
    "That is the cross-entropy: it is not 0 where both agree. The entropy of the teacher is missing.":
        lambda s, t, T: T**2 * -(_log(t, T).exp() * _log(s, T)).sum(1).mean(),
}  # fmt: skip


@exercise("13.2", "Write the distillation loss",
          asked="a function of student, teacher and T that returns one scalar")  # fmt: skip
def distillation_loss(answer: Callable) -> Conditions:
    """T**2 KL(teacher || student), mean over the items (Hinton et al. 2015, section 2)."""
    student, teacher = _scores(6, 5)
    given = answer(student, teacher, 4.0)
    yield given is not None, NOTHING
    found = _tensor(given, ())
    yield not found.isnan(), "It is not a number: the second argument of kl_div is a probability, not its logarithm."
    for advice, mistake in MISTAKES.items():
        yield not _near(found, mistake(student, teacher, 4.0)), advice
    for count, classes, T in ((6, 5, 4.0), (3, 10, 1.0), (4, 2, 20.0)):
        student, teacher = _scores(count, classes)
        wanted, here = kd_loss(student, teacher, T), _tensor(answer(student, teacher, T), ())
        told = f"For {count} items of {classes} classes at T = {T:g} it is {float(here):.4f}, not {float(wanted):.4f}."
        yield torch.allclose(here, wanted, rtol=1e-3, atol=1e-5), told
    student.requires_grad_()
    loss = answer(student, teacher, 4.0)
    yield loss.requires_grad, "No gradient reaches the student: was its answer detached?"


right("13.2", kd_loss)
right("13.2", lambda s, t, T: _kl(_log(s, T), _log(t, T).exp(), T**2))
right("13.2", lambda s, t, T: T**2 * F.kl_div(_log(s, T), _log(t, T), reduction="batchmean", log_target=True))
for _advice, _mistake in MISTAKES.items():
    wrong("13.2", _advice, _mistake)
wrong("13.2", "not its logarithm", lambda s, t, T: _kl(_log(s, T), _log(t, T), T**2))
wrong("13.2", "was its answer detached", lambda s, t, T: kd_loss(s.detach(), t, T))
wrong("13.2", "of shape (6,)", lambda s, t, T: F.kl_div(_log(s, T), _log(t, T).exp(), reduction="none").sum(1))
wrong("13.2", "at T = 1", lambda s, t, T: kd_loss(s, t, 4.0))
wrong("13.2", "returned nothing", lambda s, t, T: None)

# ---------------------------------------------------------------------- 13.3

SEEDS = (3, 5, 8)


def _trial(targets: str, images: str, seed: int) -> float:
    """Return an accuracy made up so that each wrong comparison gives other numbers; seeds differ in all of them."""
    if targets not in ("hard", "soft") or images not in ("labelled", "all") or seed not in SEEDS:
        raise NotUsable(f"trial({targets!r}, {images!r}, {seed!r}) was called; there is no such trial")
    soft, every = targets == "soft", images == "all"
    return 0.5 + 0.01 * seed + soft * (0.02 + 0.001 * seed) + every * (0.07 - 0.002 * seed) - 0.012 * soft * every


Trial = Callable[[str, str, int], float]
Gain = Callable[[Trial, int], float]


def _softness(trial: Trial, seed: int) -> float:
    pairs = (trial("soft", where, seed) - trial("hard", where, seed) for where in ("labelled", "all"))
    return sum(pairs) / 2


def _images(trial: Trial, seed: int) -> float:
    return sum(trial(targets, "all", seed) - trial(targets, "labelled", seed) for targets in ("hard", "soft")) / 2


def parts(softness: Gain = _softness, images: Gain = _images) -> Callable[[Trial, Iterable[int]], dict]:
    """Return an answer to 13.3 with these two gains."""
    return lambda trial, seeds: {
        "softness": [softness(trial, seed) for seed in seeds],
        "more images": [images(trial, seed) for seed in seeds],
    }


def _together(trial: Trial, seed: int) -> float:
    return trial("soft", "all", seed) - trial("hard", "labelled", seed)


CONFOUNDED: dict[str, Callable] = {
    "Your softness compares two students that differ in their images as well.": parts(softness=_together),
    "Your gain of more images compares two students that differ in their targets as well.": parts(images=_together),
    "Softness is measured on the labelled images alone; take the mean of both places.":
        parts(lambda trial, seed: trial("soft", "labelled", seed) - trial("hard", "labelled", seed)),
    "Softness is measured on all images alone; take the mean of both places.":
        parts(lambda trial, seed: trial("soft", "all", seed) - trial("hard", "all", seed)),
    "More images are measured with hard targets alone; take the mean of both.":
        parts(images=lambda trial, seed: trial("hard", "all", seed) - trial("hard", "labelled", seed)),
    "More images are measured with soft targets alone; take the mean of both.":
        parts(images=lambda trial, seed: trial("soft", "all", seed) - trial("soft", "labelled", seed)),
    "The two gains stand under each other's name.": parts(_images, _softness),
    "The sign of softness is turned round: soft minus hard.": parts(lambda trial, seed: -_softness(trial, seed)),
    "The gains are sums over both places, not means.":
        parts(lambda trial, seed: 2 * _softness(trial, seed), lambda trial, seed: 2 * _images(trial, seed)),
}  # fmt: skip


def _listed(answer: object, name: str) -> Tensor:
    if not isinstance(answer, Mapping) or name not in answer:
        raise NotUsable(f"It returned no dictionary with {name!r}")
    return torch.as_tensor(answer[name], dtype=torch.double)


@exercise("13.3", "Which part is softness?",
          asked="a function of trial and seeds that returns a dictionary of two lists")  # fmt: skip
def parts_of_the_gain(answer: Callable) -> Conditions:
    """Paired gains with all else equal: soft minus hard, all minus labelled, each the mean over both of the other."""
    given = answer(_trial, SEEDS)
    yield given is not None, NOTHING
    names = ("softness", "more images")
    found, wanted = ({name: _listed(one, name) for name in names} for one in (given, parts()(_trial, SEEDS)))
    single = all(found[name].ndim == 0 for name in names)
    yield not single, "That is one number for all seeds: a list with a gain for each seed, or no interval can be made."
    for name in names:
        yield found[name].shape == (3,), f"For {name} there should be a gain for each of the three seeds."
    for advice, mistake in CONFOUNDED.items():
        other = mistake(_trial, SEEDS)
        yield not all(torch.allclose(found[name], _listed(other, name)) for name in names), advice
    for name in names:
        told = f"The gains of {name} are {found[name].tolist()}, not {wanted[name].tolist()}: one difference a seed."
        yield torch.allclose(found[name], wanted[name]), told


right("13.3", parts())
for _advice, _mistake in CONFOUNDED.items():
    wrong("13.3", _advice, _mistake)
wrong("13.3", "one number for all seeds", lambda trial, seeds: {
    name: sum(gains) / len(gains) for name, gains in parts()(trial, seeds).items()})  # fmt: skip
wrong("13.3", "each of the three seeds", lambda trial, seeds: parts()(trial, seeds[:1]))
wrong("13.3", "one difference a seed", lambda trial, seeds: parts()(trial, seeds[:1] * 3))
wrong("13.3", "no dictionary", lambda trial, seeds: [0.0])
wrong("13.3", "returned nothing", lambda trial, seeds: None)
