"""Checks of lesson 02, fine-tuning."""

from __future__ import annotations

import copy
import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor, nn

from .augmentation_answers import (
    covered,
    crop,
    says,
    shifted,
    sometimes,
    tilted,
    turned_at_random,
    turned_beyond_repeat,
)
from .augmentation_conditions import keeps_the_defect, verdict_follows
from .rate_conditions import groups_fall
from .registry import Conditions, NotUsable, exercise, number_from, right, wrong
from .small_models import never_train
from .still_conditions import holds_still, norms_of

# ---------------------------------------------------------------------- 02.1


@exercise("02.1", "The rate of the stem", asked="a number")
def stem_rate(answer: object, head_rate: float, decay: float, group_count: int) -> Conditions:
    """Rate of the first of ``group_count`` groups: the last has ``head_rate``, each below less by ``decay``."""
    rate, steps = number_from(answer), group_count - 1
    yield not math.isclose(rate, head_rate), "That is the rate of the head. Each group below is slower."
    yield rate < head_rate, "The stem must be slower than the head. Did the exponent get a minus sign?"
    wrong_count = math.isclose(rate, head_rate * decay**group_count)
    yield not wrong_count, "One time too often: count the steps from the head down to the stem, not the groups."
    linear = math.isclose(rate, head_rate * decay * steps) or math.isclose(rate, head_rate * decay / steps)
    yield not linear, "The factor is applied again at each group: a power, not a product."
    yield (
        not math.isclose(rate, head_rate * decay),
        "That is one group below the head. How many steps is the stem below?",
    )
    right_one = math.isclose(rate, head_rate * decay**steps)
    yield right_one, "The rate of the head, times the factor once for each step from the head down to the stem."


GROUPS = {"head_rate": 4e-3, "decay": 0.5, "group_count": 12}
right("02.1", 4e-3 * 0.5**11, **GROUPS)
wrong("02.1", "count the steps", 4e-3 * 0.5**12, **GROUPS)
wrong("02.1", "minus sign", 4e-3 * 0.5**-11, **GROUPS)
wrong("02.1", "a power", 4e-3 * 0.5 / 11, **GROUPS)
wrong("02.1", "rate of the head", 4e-3, **GROUPS)
wrong("02.1", "one group below", 4e-3 * 0.5, **GROUPS)
wrong("02.1", "once for each step", 1e-9, **GROUPS)
wrong("02.1", "not a number", "4e-3 * 0.5 ** 11", **GROUPS)

# ---------------------------------------------------------------------- 02.2


@exercise("02.2", "Groups with falling rates",
          asked="a function of a list of groups, a rate and a decay that returns a list of dicts")  # fmt: skip
def decaying_groups(answer: Callable) -> Conditions:
    """One dict a group, each parameter in one, the head at ``lr``, each group below slower by ``decay``."""
    draw = random.Random("02.2")
    for count in (4, 2, 7):
        lr, decay = draw.uniform(1e-3, 1e-2), draw.uniform(0.3, 0.9)
        yield from groups_fall(answer, count, lr, decay)
    yield from groups_fall(answer, 3, 1e-2, 1.0)


def _falling(groups: Sequence, lr: float, decay: float) -> list[dict[str, Any]]:
    return [{"params": list(g), "lr": lr * decay ** (len(groups) - 1 - n)} for n, g in enumerate(groups)]


@right("02.2")
def _from_the_head_down(groups: Sequence, lr: float, decay: float) -> list[dict[str, Any]]:
    found = []
    for group in reversed(groups):
        found.append({"params": group, "lr": lr, "name": "a group"})
        lr *= decay
    return found


right("02.2", _falling)
wrong("02.2", "Reversed", lambda gs, lr, d: [{"params": g, "lr": lr * d**n} for n, g in enumerate(gs)])
wrong("02.2", "Off by one",
      lambda gs, lr, d: [{"params": g, "lr": lr * d ** (len(gs) - n)} for n, g in enumerate(gs)])  # fmt: skip
wrong("02.2", "sign of the exponent",
      lambda gs, lr, d: [{"params": g, "lr": lr * d ** (n + 1 - len(gs))} for n, g in enumerate(gs)])  # fmt: skip
wrong("02.2", "The head is missing", lambda gs, lr, d: _falling(gs, lr, d)[:-1])
wrong("02.2", "Group 0", lambda gs, lr, d: _falling(gs, lr, d)[1:])
wrong(
    "02.2",
    "two groups",
    lambda gs, lr, d: [{**one, "params": sum(gs[: n + 1], [])} for n, one in enumerate(_falling(gs, lr, d))],
)
wrong("02.2", "`decay` is not used", lambda gs, lr, d: [{"params": g, "lr": lr} for g in gs])
wrong("02.2", "as often",
      lambda gs, lr, d: [{"params": g, "lr": lr * (d if g is not gs[-1] else 1)} for g in gs])  # fmt: skip
wrong("02.2", "frozen parameter",
      lambda gs, lr, d: _falling([[p for p in g if p.requires_grad] for g in gs], lr, d))  # fmt: skip
wrong("02.2", "only once", lambda gs, lr, d: [{**one, "params": iter(one["params"])} for one in _falling(gs, lr, d)])
wrong("02.2", "copies", lambda gs, lr, d: _falling(copy.deepcopy(gs), lr, d))
wrong("02.2", "list of dicts", lambda gs, lr, d: torch.optim.AdamW(_falling(gs, lr, d)))
wrong("02.2", "`params` and `lr`", lambda gs, lr, d: [{"params": g} for g in gs])
wrong("02.2", "returned nothing", lambda gs, lr, d: None)

# ---------------------------------------------------------------------- 02.3


@exercise("02.3", "BatchNorm that stays still", asked="a function of a model that returns the model")
def keep_batchnorm_still(answer: Callable) -> Conditions:
    """Running statistics stay and are used, through every later ``train()``; all else learns as before."""
    yield from holds_still(answer)


@right("02.3")
def _binds_train(model: nn.Module) -> nn.Module:
    never_train(norms_of(model))
    return model


@right("02.3")
def _swaps_the_class(model: nn.Module) -> nn.Module:
    def train(module: nn.Module, mode: bool = True) -> nn.Module:
        return nn.Module.train(module, False)

    for module in norms_of(model):
        module.__class__ = type("Still", (type(module),), {"train": train})
        module.eval()
    return model


@wrong("02.3", "The next `model.train()` undid")
def _evaluates_once(model: nn.Module) -> nn.Module:
    nn.ModuleList(norms_of(model)).eval()
    return model


@wrong("02.3", "other kinds")
def _only_after_convolutions(model: nn.Module) -> nn.Module:
    never_train(module for module in norms_of(model) if isinstance(module, nn.BatchNorm2d))
    return model


@wrong("02.3", "may learn")
def _freezes_them(model: nn.Module) -> nn.Module:
    never_train(norms_of(model))
    for module in norms_of(model):
        module.requires_grad_(False)
    return model


@wrong("02.3", "those of the batch")
def _sets_momentum_to_zero(model: nn.Module) -> nn.Module:
    for module in norms_of(model):
        module.momentum = 0.0
    return model


@wrong("02.3", "not there any more")
def _tracks_nothing(model: nn.Module) -> nn.Module:
    for module in norms_of(model):
        module.track_running_stats, module.running_mean, module.running_var = False, None, None
    return model


@wrong("02.3", "dropout is off")
def _evaluates_everything(model: nn.Module) -> nn.Module:
    never_train(model.modules())
    return model


@wrong("02.3", "undoes it")
def _overrides_train_of_the_whole(model: nn.Module) -> nn.Module:
    def train(mode: bool = True) -> nn.Module:
        nn.Module.train(model, mode)
        nn.ModuleList(norms_of(model)).eval()
        return model

    model.train = train
    return model.train()


@wrong("02.3", "A copy of the model")
def _binds_the_original(model: nn.Module) -> nn.Module:
    for module in norms_of(model):
        module.train = lambda mode=True, module=module: nn.Module.train(module, False)
        module.eval()
    return model


@wrong("02.3", "changed what the model computes")
def _takes_it_out(model: nn.Module) -> nn.Module:
    model.norm = nn.Identity()
    return _binds_train(model)


wrong("02.3", "still move", lambda model: model)
wrong("02.3", "not another one", lambda model: _binds_train(copy.deepcopy(model)))
wrong("02.3", "returned nothing", lambda model: _binds_train(model) and None)
wrong("02.3", "does not learn", lambda model: _binds_train(model).requires_grad_(False))

# ---------------------------------------------------------------------- 02.4


@exercise("02.4", "An augmentation of your own",
          asked="a dict with augmentation, with_it, with_flips, flips_again, difference and verdict")  # fmt: skip
def my_experiment(answer: dict, labels: Tensor) -> Conditions:
    """The augmentation keeps a defect, the scores are of validation, and the verdict follows from their difference."""
    if not isinstance(answer, dict):
        raise NotUsable(f"it is a {type(answer).__name__}")
    keys = ("augmentation", "with_it", "with_flips", "flips_again", "difference", "verdict")
    missing = [key for key in keys if answer.get(key) is None or answer.get(key) is ...]
    yield not missing, f"Not there yet: {', '.join(missing)}."
    yield from keeps_the_defect(answer["augmentation"])
    scores = {key: torch.as_tensor(answer[key]) for key in keys[1:4]}
    for key, value in scores.items():
        yield value.ndim == 2, f"`{key}` holds scores of shape (cells, classes), as `predict` returns them."
        yield len(value) == len(labels), f"`{key}` has {len(value)} rows, and there are {len(labels)} validation cells."
    same = any(torch.equal(scores[a], scores[b]) for a, b in (keys[1:3], keys[2:4]))
    yield (
        not same,
        "Two of the three runs gave the same scores: each is a training of its own, the third with another seed.",
    )
    yield from verdict_follows(answer, *scores.values(), labels)


LABELS = {"labels": torch.arange(200) % 2}
TIE = {"augmentation": turned_at_random, "with_it": says(range(30)), "with_flips": says(range(2, 33)),
       "flips_again": says(range(5, 33)), "difference": 0.005, "verdict": "cannot tell"}  # fmt: skip
GAIN = TIE | {"with_it": says(range(10)), "with_flips": says(range(60)), "flips_again": says(range(58)),
              "difference": 0.25, "verdict": "better"}  # fmt: skip
right("02.4", TIE, **LABELS)
right("02.4", GAIN, **LABELS)
right("02.4", GAIN | {"flips_again": says(range(5)), "verdict": "cannot tell"}, **LABELS)
right("02.4", TIE | {"augmentation": shifted(8)}, **LABELS)  # no defect lies nearer to the border
right("02.4", TIE | {"augmentation": shifted(40, border=False)}, **LABELS)
right("02.4", TIE | {"augmentation": tilted}, **LABELS)
right("02.4", TIE | {"augmentation": covered(12)}, **LABELS)
right("02.4", TIE | {"augmentation": turned_beyond_repeat}, **LABELS)
black = sometimes(lambda picture: Image.new(picture.mode, picture.size), 0.15)
wrong("02.4", "nothing is left", TIE | {"augmentation": black}, **LABELS)
wrong("02.4", "cut off", TIE | {"augmentation": crop}, **LABELS)
blurred = sometimes(lambda picture: picture.filter(ImageFilter.GaussianBlur(12)), 0.5)
wrong("02.4", "too faint", TIE | {"augmentation": blurred}, **LABELS)
wrong("02.4", "it is pushed out", TIE | {"augmentation": shifted(30)}, **LABELS)
wrong("02.4", "something else covers it", TIE | {"augmentation": covered(30)}, **LABELS)
own = np.random.default_rng(0)
wrong("02.4", "something else covers it, and", TIE | {"augmentation": covered(30, own)}, **LABELS)
wrong("02.4", "not random", TIE | {"augmentation": lambda picture: picture.rotate(90)}, **LABELS)
wrong("02.4", "size", TIE | {"augmentation": lambda p: p.resize((random.randrange(9, 60), 9))}, **LABELS)
wrong("02.4", "contains zero", TIE | {"verdict": "better"}, **LABELS)
wrong("02.4", "another seed differ", GAIN | {"flips_again": says(range(5))}, **LABELS)
wrong("02.4", "say which is better", GAIN | {"verdict": "cannot tell"}, **LABELS)
wrong("02.4", "sign is turned", GAIN | {"difference": -0.25}, **LABELS)
wrong("02.4", "per cent", GAIN | {"difference": 25}, **LABELS)
wrong("02.4", "not the difference", GAIN | {"difference": 0.1}, **LABELS)
wrong("02.4", "same scores", GAIN | {"flips_again": GAIN["with_flips"]}, **LABELS)
wrong("02.4", "validation cells", GAIN | {"with_it": says(range(9), 50)}, **LABELS)
wrong("02.4", "Not there yet: verdict", GAIN | {"verdict": ...}, **LABELS)
wrong("02.4", "The verdict is one of", TIE | {"verdict": "equal"}, **LABELS)
