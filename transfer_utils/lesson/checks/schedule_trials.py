"""Training with a schedule, played: what it reaches is known, and what was asked for is remembered."""

from __future__ import annotations

from collections.abc import Sequence

from .registry import Conditions

Table = dict[int, int]


def well_run(lab: Trials, epochs: int, budget: float, costs: Sequence[float]) -> Conditions:
    """Every table within the budget was run with every seed, and no other."""
    within = lab.within
    tried = [one for one in lab.tables if any(run[0] == one for run in lab.runs)]
    yield tried, "No schedule was run: call `trial(table, seed)`."
    dear = [(one, cost) for one, cost in zip(lab.tables, costs, strict=True) if one in tried and one not in within]
    yield (
        not dear,
        "{} was run and costs {:g} seconds in {} epochs; the budget is {:g}.".format(
            *(dear or [(0, 0)])[0], epochs, budget
        ),
    )
    missed = [one for one in within if one not in tried]
    yield (
        not missed,
        (
            f"{missed[:1]} is within the budget of {budget:g} seconds, and was not run: an epoch costs the seconds "
            "of the number of groups that learn in it, and a cost equal to the budget is allowed."
        ),
    )
    seeds = {seed for _, seed in lab.runs}
    yield (
        seeds == set(lab.seeds),
        f"Run each schedule with every seed of `seeds`; you used {sorted(seeds)} of {lab.seeds}.",
    )
    complete = all((one, seed) in lab.runs for one in within for seed in seeds)
    yield complete, "Run every schedule with the same seeds, or you compare the seeds."


def well_chosen(lab: Trials, found: Table) -> Conditions:
    """``found`` is not the table that a single run, a single seed, or the wrong direction would choose."""
    chosen = found == lab.best
    yield chosen or found != lab.worst(), "The higher the average precision, the better."
    yield chosen or found != lab.luckiest(), "Take the mean over all seeds: the best single run is luck."
    for seed, which in ((lab.seeds[0], "first"), (lab.seeds[-1], "last")):
        yield (
            chosen or found != lab.best_with(seed),
            f"{found} is best with the {which} seed alone, {seed}. Does every seed count in what you compare?",
        )


class Trials:
    """Stands for training: the average precision that a schedule reaches with a seed; remembers what was asked.

    ``best`` is good with each of three seeds. Three others of those ``within`` the budget, where there are so many,
    excel with one seed each and are poor with the rest: whoever takes one seed or two, or the best run, chooses one of
    them, although their means and medians are lower. Any further table is bad with every seed.
    """

    def __init__(self, tables: Sequence[Table], best: Table, within: Sequence[Table], seeds: Sequence[int]) -> None:
        self.tables, self.best, self.within, self.seeds = list(tables), best, list(within), list(seeds)
        self.runs: list[tuple[Table, int]] = []
        first, middle, last = seeds  # the luck of the middle one is the greatest: the best run is not that of an end
        peaks = iter(((middle, 0.93), (first, 0.9), (last, 0.9)))
        self.reached: dict[tuple[int, int], float] = {}
        for place, one in enumerate(tables):
            lucky, peak = next(peaks, (None, 0.0)) if one in within and one != best else (None, 0.0)
            base = 0.7 if one == best else 0.4 if lucky is None else 0.55
            for seed in seeds:
                self.reached[place, seed] = (peak if seed == lucky else base) + 0.001 * place

    def __call__(self, table: Table, seed: int) -> float:
        """Return the average precision of a run."""
        self.runs.append((table, seed))
        return self.reached[self.tables.index(table), seed]

    def luckiest(self) -> Table:
        """Return the table within the budget with the best single run."""
        return max(self.within, key=lambda one: max(self._row(one)))

    def best_with(self, seed: int) -> Table:
        """Return the table within the budget that is best with one seed."""
        return max(self.within, key=lambda one: self._row(one)[self.seeds.index(seed)])

    def worst(self) -> Table:
        """Return the table within the budget with the lowest mean."""
        return min(self.within, key=lambda one: sum(self._row(one)))

    def _row(self, one: Table) -> list[float]:
        return [self.reached[self.tables.index(one), seed] for seed in self.seeds]
