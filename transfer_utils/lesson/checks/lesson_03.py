"""Checks of lesson 03, progressive unfreezing."""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Callable, Sequence

import torch
from torch import nn

from ...models.layer_groups import LayerGroup
from .registry import NOTHING, Conditions, NotUsable, exercise, right, wrong
from .schedule_trials import Table, Trials, well_chosen, well_run
from .unfreezing_conditions import groups_at, network_of_groups, right_groups_learn

# ---------------------------------------------------------------------- 03.1


@exercise("03.1", "From a sentence to a table", asked="a table: {first epoch of a stage: number of groups that learn}")
def table(answer: object, n: int) -> Conditions:
    """Two epochs the head; three with the last two stages as well; then all ``n`` groups."""
    if not isinstance(answer, dict) or not all(type(x) is int for pair in answer.items() for x in pair):
        raise NotUsable(f"{answer!r} is no table of whole numbers")
    yield 0 in answer, "The first stage begins at epoch 0: epochs are counted from 0."
    yield set(answer) != {0, 2, 3}, "A key is the epoch at which a stage begins, not how many epochs it lasts."
    yield set(answer) == {0, 2, 5}, "Stages begin at epoch 0, after two epochs, and three epochs after that."
    yield answer[0] == 1, "In the first stage one group learns: the head."
    yield answer[2] != 2, "The head goes on learning, so the head and two stages are three groups."
    yield answer[2] == 3, "In the second stage the head and the last two stages learn. Count groups, from the head."
    yield answer[5] == n, f"In the end all {n} groups learn, the head among them."


right("03.1", {0: 1, 2: 3, 5: 9}, n=9)
right("03.1", {5: 4, 2: 3, 0: 1}, n=4)
wrong("03.1", "counted from 0", {1: 1, 3: 3, 6: 9}, n=9)
wrong("03.1", "not how many epochs it lasts", {0: 1, 2: 3, 3: 9}, n=9)
wrong("03.1", "goes on learning", {0: 1, 2: 2, 5: 9}, n=9)
wrong("03.1", "all 9 groups", {0: 1, 2: 3, 5: 8}, n=9)
wrong("03.1", "three epochs after that", {0: 1, 2: 3, 4: 9}, n=9)
wrong("03.1", "the head.", {0: 0, 2: 3, 5: 9}, n=9)
wrong("03.1", "no table", [1, 3, 9], n=9)

# ---------------------------------------------------------------------- 03.2


@exercise("03.2", "Write the unfreezing schedule", asked="a function of epoch, groups and table")
def unfreeze_at(answer: Callable) -> Conditions:
    """Let the groups learn that the table wants in an epoch; judged by what a step of training moves."""
    plan = {0: 1, 2: 2, 5: 4}
    model, groups = network_of_groups()
    try:
        answer(1, groups, plan)
    except KeyError:
        yield False, "Epoch 1 is no key of the table {0: 1, 2: 2, 5: 4}: the stage that began at epoch 0 goes on."
    for epoch in (0, 1, 2, 4, 5, 7, 3, 0):  # and back, as a run does that is resumed or begun again
        yield from right_groups_learn(answer, model, groups, plan, epoch)
    shuffled = {4: 3, 0: 2, 1: 4}
    for epoch in (1, 4, 0):
        yield from right_groups_learn(answer, *network_of_groups(), shuffled, epoch)
    for count, plan, epochs in ((3, {0: 1, 2: 2, 4: 3}, (0, 3, 4)), (7, {0: 2, 1: 4, 3: 5, 6: 7}, (0, 2, 5, 8))):
        for epoch in epochs:
            yield from right_groups_learn(answer, *network_of_groups(count), plan, epoch)


def _set(group: LayerGroup, learns: bool, mode: bool | None = None) -> None:
    for parameter in group.parameters.values():
        parameter.requires_grad = learns
    for module in group.modules:
        module.training = learns if mode is None else mode


@right("03.2")
def _sets_every_group(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - groups_at(plan, epoch))


@right("03.2")
def _sorts_the_table(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    count = [number for start, number in sorted(plan.items()) if start <= epoch][-1]
    for place, group in enumerate(reversed(groups)):
        _set(group, place < count)


@wrong("03.2", "Epoch 1 is no key")
def _looks_the_epoch_up(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - plan[epoch])


@wrong("03.2", "count from the head")
def _counts_from_the_stem(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place < groups_at(plan, epoch))


@wrong("03.2", "does not stop BatchNorm")
def _forgets_the_mode(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - groups_at(plan, epoch), mode=True)


@wrong("03.2", "its BatchNorm stands still")
def _evaluates_everything(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - groups_at(plan, epoch), mode=False)


@wrong("03.2", "in epoch 0, the stem and the stage 1 and the stage 2 should wait")
def _only_wakes(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for group in groups[-groups_at(plan, epoch) :]:
        _set(group, True)


@wrong("03.2", "should learn, and require no gradient")
def _only_freezes(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for group in groups[: -groups_at(plan, epoch)]:
        _set(group, False)


@wrong("03.2", "in epoch 2, the stage 2 should learn")
def _wakes_an_epoch_late(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    count = plan[max(start for start in plan if start < max(epoch, 1))]
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - count)


@wrong("03.2", "the stem should wait")
def _takes_the_largest_number(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    count = max(number for start, number in plan.items() if start <= epoch)
    for place, group in enumerate(groups):
        _set(group, place >= len(groups) - count)


@wrong("03.2", "is there a 4 in your code")
def _knows_one_network(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    for place, group in enumerate(groups):
        _set(group, place >= 4 - groups_at(plan, epoch))


@wrong("03.2", "stage 5, head learned in a network of 7 groups")
def _takes_four_groups_for_all(epoch: int, groups: Sequence[LayerGroup], plan: Table) -> None:
    count = groups_at(plan, epoch)
    for place, group in enumerate(groups):
        _set(group, count == 4 or place >= len(groups) - count)


wrong("03.2", "should wait, and require a gradient", lambda epoch, groups, plan: None)

# ---------------------------------------------------------------------- 03.3


@exercise("03.3", "The orphan detector", asked="a function of a model and an optimizer that returns names")
def find_orphans(answer: Callable) -> Conditions:
    """Name the parameters that no group of the optimizer holds, in the order of the model."""
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3), nn.Linear(3, 2))
    model[1].load_state_dict(model[0].state_dict())  # equal numbers in another parameter
    model[2].requires_grad_(False)  # waits for its stage
    names = [name for name, _ in model.named_parameters()]
    for held in (names, names[:2], names[2:], ["0.weight", "1.bias"], [names[0], *names[3:]]):
        own = dict(model.named_parameters())
        optimizer = torch.optim.SGD([{"params": [own[name]]} for name in held], lr=0.1)
        found = answer(model, optimizer)
        yield found is not None, NOTHING
        named = not isinstance(found, str) and all(isinstance(name, str) for name in found)
        yield named, "Return names, as `named_parameters()` gives them, not parameters."
        found, orphans = list(found), [name for name in names if name not in held]
        case = f"An optimizer has a group for each of {', '.join(held)}."
        yield found != held or held == orphans, f"{case} Those are held: return the others."
        equal = [name for name in orphans if name not in found and name[0] in "01"]
        taken = [name for name in found if name not in orphans]
        first = taken and set(held) - set(taken) == {held[0]}
        yield not first, f"{case} You found only {held[0]}: go through every group of `optimizer.param_groups`."
        yield not taken, f"{case} {', '.join(taken)} is held, and you call it an orphan."
        asleep = [name for name in orphans if name not in found and name[0] == "2"]
        yield not asleep, f"{case} {asleep[:1]} is frozen now, and an orphan: once it is unfrozen, nobody moves it."
        yield (
            not equal,
            f"{case} {', '.join(equal)} is missing. Equal numbers are not the same parameter: compare `is`.",
        )
        yield found == orphans, f"{case} The orphans are not in the order of the model."


@right("03.3")
def _by_identity(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in held]


@right("03.3")
def _by_hash(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    held = set(itertools.chain.from_iterable(group["params"] for group in optimizer.param_groups))
    return [name for name, parameter in model.named_parameters() if parameter not in held]


@wrong("03.3", "every group")
def _looks_into_one_group(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    held = {id(p) for p in optimizer.param_groups[0]["params"]}
    return [name for name, parameter in model.named_parameters() if id(parameter) not in held]


@wrong("03.3", "compare `is`")
def _by_value(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    held = [p for group in optimizer.param_groups for p in group["params"]]
    return [name for name, one in model.named_parameters() if not any(torch.equal(one, p) for p in held)]


@wrong("03.3", "once it is unfrozen")
def _only_what_learns_now(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    own = dict(model.named_parameters())
    return [name for name in _by_identity(model, optimizer) if own[name].requires_grad]


@wrong("03.3", "return the others")
def _what_is_held(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    orphans = _by_identity(model, optimizer)
    return [name for name, _ in model.named_parameters() if name not in orphans]


@wrong("03.3", "not in the order")
def _sorted_backwards(model: nn.Module, optimizer: torch.optim.Optimizer) -> list[str]:
    return sorted(_by_identity(model, optimizer), reverse=True)


wrong("03.3", "not parameters", lambda model, optimizer: list(model.parameters()))
wrong("03.3", "returned nothing", lambda model, optimizer: None)

# ---------------------------------------------------------------------- 03.4


@exercise("03.4", "A schedule within a budget",
          asked="a function of tables, epochs, seconds, budget, trial and seeds: a table, or None")  # fmt: skip
def choose_schedule(answer: Callable) -> Conditions:
    """Run the schedules that a budget allows, each with every seed, and return the best by validation."""
    seconds, seeds = {1: 1.0, 2: 2.0, 3: 2.5, 4: 4.0}, [3, 5, 8]
    tables = [{0: 4}, {0: 1}, {0: 1, 2: 4}, {0: 1, 1: 2, 3: 4}, {0: 2}]  # 16, 4, 10, 9 and 8 seconds in four epochs
    rounds = ((4, 16.0, 0), (4, 10.0, 2), (4, 9.5, 3), (4, 4.0, 1), (6, 17.5, 3), (4, 10.0, 3))
    for epochs, budget, best in rounds:
        costs = [_seconds_of(one, epochs, seconds) for one in tables]
        within = [one for one, cost in zip(tables, costs, strict=True) if cost <= budget]
        lab = Trials(tables, tables[best], within, seeds)
        found = answer([*tables], epochs, dict(seconds), budget, lab, [*seeds])
        yield from well_run(lab, epochs, budget, costs)
        yield found is not None, NOTHING
        yield found in tables, "Return one of the tables."
        yield from well_chosen(lab, found)
        yield found == tables[best], f"With {budget:g} seconds, {tables[best]} has the best mean of those within it."
    lab = Trials(tables, tables[0], tables, seeds)
    found = answer([*tables], 4, dict(seconds), 3.0, lab, [*seeds])
    yield found is None and not lab.runs, "Where no table is within the budget, run none and return None."


def _seconds_of(plan: Table, epochs: int, seconds: dict[int, float]) -> float:
    return sum(seconds[groups_at(plan, epoch)] for epoch in range(epochs))


def _experiment(
    cost: Callable = _seconds_of, over_seeds: Callable = sum, pick: Callable = max, taken: slice = slice(None)
) -> Callable:
    """Return an answer to 03.4 that differs from a right one in what is given."""

    def choose(
        tables: list[Table], epochs: int, seconds: dict[int, float], budget: float, trial: Callable, seeds: list[int]
    ) -> Table | None:
        affordable = [one for one in tables if cost(one, epochs, seconds) <= budget]
        return pick(affordable, key=lambda one: over_seeds(trial(one, seed) for seed in seeds[taken]), default=None)

    return choose


def _strict(plan: Table, epochs: int, seconds: dict[int, float]) -> float:
    return _seconds_of(plan, epochs, seconds) + 1e-6


right("03.4", _experiment())
right("03.4", _experiment(over_seeds=lambda values: sum(values) / 3))
right("03.4", _experiment(over_seeds=statistics.median))
wrong("03.4", "the best single run is luck", _experiment(over_seeds=max))
wrong("03.4", "best with the first seed alone", _experiment(over_seeds=lambda values: list(values)[0]))
wrong("03.4", "best with the last seed alone", _experiment(over_seeds=lambda values: list(values)[-1]))
wrong("03.4", "Take the mean over all seeds", _experiment(over_seeds=lambda values: sum(list(values)[:2])))
wrong("03.4", "the mean over all", _experiment(over_seeds=lambda values: sum(list(values)[1:])))
wrong("03.4", "every seed of `seeds`", _experiment(taken=slice(1)))
wrong("03.4", "The higher", _experiment(pick=min))
wrong("03.4", "the budget is 10", _experiment(cost=lambda plan, epochs, seconds: 0.0))
wrong("03.4", "was run and costs 24", _experiment(cost=lambda plan, epochs, seconds: _seconds_of(plan, 4, seconds)))
wrong("03.4", "was run and costs 16", _experiment(cost=lambda plan, epochs, seconds: _seconds_of(plan, 1, seconds)))
wrong("03.4", "equal to the budget is allowed", _experiment(cost=_strict))
wrong("03.4", "was not run", _experiment(cost=lambda plan, epochs, seconds: epochs * seconds[max(plan.values())]))
wrong("03.4", "No schedule was run", lambda tables, *rest: tables[0])
wrong("03.4", "returned nothing", lambda *given: _experiment()(*given) and None)
