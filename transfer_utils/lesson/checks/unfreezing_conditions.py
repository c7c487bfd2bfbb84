"""What must hold of a network whose groups learn one after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable

from torch import nn

from ...models.layer_groups import LayerGroup
from .registry import Conditions
from .small_models import changed, state_of, take_a_step


def right_groups_learn(
    answer: Callable, model: nn.Module, groups: list[LayerGroup], plan: dict[int, int], epoch: int
) -> Conditions:
    """Let ``answer`` prepare ``model`` for an epoch, after ``train()``, and look at what learns and what then moves."""
    where = f"With the table {plan}, in epoch {epoch},"
    count, table, names = groups_at(plan, epoch), dict(plan), [group.name for group in groups]
    model.train()
    before = state_of(model)
    answer(epoch, groups, plan)
    yield plan == table and names == [group.name for group in groups], "Leave the table and the groups as they are."
    yield from _asks_for(where, groups, count)
    take_a_step(model)
    moved = changed(before, model)
    drifted = [name for group in groups[:-count] for name in moved if name.startswith(f"{group.name}.")]
    yield (
        not drifted,
        (
            f"{where} `{''.join(drifted[:1])}` moved. `requires_grad` does not stop BatchNorm: a waiting group is in "
            "evaluation mode, although `network.train()` was called just before."
        ),
    )
    still = [group.name for group in groups[-count:] if not any(name.startswith(f"{group.name}.") for name in moved)]
    yield not still, f"{where} nothing in the {''.join(still[:1])} moved."


def _asks_for(where: str, groups: list[LayerGroup], count: int) -> Conditions:
    waiting, learning = groups[:-count], groups[-count:]
    asked = [group.name for group in groups if all(p.requires_grad for p in group.parameters.values())]
    wanted, from_stem = [group.name for group in learning], [group.name for group in groups[:count]]
    for_four = [group.name for group in groups[max(4 - count, 0) :]]  # in the other networks four is a wrong number
    yield (
        not asked == for_four != wanted,
        (
            f"{where} {', '.join(asked) or 'nothing'} learned in a network of {len(groups)} groups. In one of four "
            "groups your count was right: is there a 4 in your code?"
        ),
    )
    reversed_ = asked == from_stem != wanted
    yield not reversed_, f"{where} {', '.join(asked)} learned: count from the head, not from the stem."
    missing = [name for name in wanted if name not in asked]
    yield not missing, f"{where} the {' and the '.join(missing)} should learn, and require no gradient."
    loose = [group.name for group in waiting if any(p.requires_grad for p in group.parameters.values())]
    yield not loose, f"{where} the {' and the '.join(loose)} should wait, and require a gradient."
    asleep = [group.name for group in learning for module in group.modules if not module.training]
    yield (
        not asleep,
        (f"{where} the {''.join(asleep[:1])} learns, but is in evaluation mode: its BatchNorm stands still."),
    )


def network_of_groups(count: int = 4) -> tuple[nn.Module, list[LayerGroup]]:
    """Return a small network of three groups or more, ``stem`` to ``head``, all but the head with BatchNorm."""

    def block(width: int) -> nn.Module:
        return nn.Sequential(nn.Linear(width, 12), nn.BatchNorm1d(12), nn.ReLU())

    stages = OrderedDict((f"stage {place}", block(12)) for place in range(1, count - 1))
    parts = OrderedDict(stem=block(6), **stages, head=nn.Linear(12, 3))
    groups = [
        LayerGroup(name, tuple(part.modules()), {f"{name}.{key}": p for key, p in part.named_parameters()})
        for name, part in parts.items()
    ]
    return nn.Sequential(parts), groups


def groups_at(plan: dict[int, int], epoch: int) -> int:
    """Return how many groups learn in ``epoch``: what the table says at the latest start so far."""
    return plan[max(start for start in plan if start <= epoch)]
