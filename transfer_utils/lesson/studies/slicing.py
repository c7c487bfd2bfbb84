"""Which statements of a notebook a piece of code depends on, found in the source alone.

A notebook is a list of cells, in the order in which they ran. Each name that a piece of code reads is followed back to
the latest top-level statement before it that binds or changes the name, and so on. So two notebooks can be compared on
any machine, without running them.

What is not seen: most changes through a second name of the same object, changes by a method of a class of the notebook
in an assignment, and a global changed inside a function. The live seed of a study is compared for their sake.
"""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from .names_read import Argument, Effect, NameReader, Use
from .normalised import normalised
from .roots import last_name, with_held


@dataclass(frozen=True)
class Statement:
    """A top-level statement, and the names it binds, changes, reads at once, and reads later in its functions."""

    node: ast.stmt
    source: str
    binds: frozenset[str]
    may_change: frozenset[tuple[str, str | Argument]]
    reads: frozenset[Use]
    late: frozenset[Use]
    holds: Mapping[str, set[str]] = field(default_factory=dict)
    effects: Mapping[str, Effect] = field(default_factory=dict)

    def text(self, name: str) -> str:
        """Return what the statement says about ``name``: of an import, only that name."""
        if isinstance(self.node, (ast.Import, ast.ImportFrom)):
            return import_text(self.node, name)
        return normalised(self.source)


def import_text(node: ast.Import | ast.ImportFrom, name: str) -> str:
    """Return an import as if it brought ``name`` alone."""
    start = f"from {'.' * node.level}{node.module or ''} import " if isinstance(node, ast.ImportFrom) else "import "
    bringing = (a for a in node.names if name == (a.asname or a.name.partition(".")[0]))
    return "; ".join(start + alias.name + (f" as {alias.asname}" if alias.asname else "") for alias in bringing)


def statements_of(cells: Iterable[str]) -> list[Statement]:
    """Return the top-level statements of cells, in order; a cell that is no Python is left out, as it ran nothing."""
    return [statement for cell in cells for statement in _statements_of_cell(cell)]


@functools.lru_cache(maxsize=1000)
def _statements_of_cell(cell: str) -> list[Statement]:
    try:
        body = ast.parse(cell).body
    except (SyntaxError, ValueError):
        return []
    return [_statement(node, cell) for node in body]


def _statement(node: ast.stmt, cell: str) -> Statement:
    reader = NameReader()
    reader.visit(node)
    if _leaves_no_names(node):
        return Statement(node, _source_of(node, cell), *[frozenset()] * 4)
    # stored in one branch only: what was there before may still be
    chained = {Use(name) for name in reader.stored - reader.bound}
    binds = frozenset(reader.stored | reader.changed)
    return Statement(
        node,
        _source_of(node, cell),
        binds,
        frozenset(reader.may_change),
        frozenset(reader.reads | chained),
        frozenset(reader.late),
        reader.holds,
        reader.effects,
    )


def _leaves_no_names(node: ast.stmt) -> bool:
    """Return whether a block puts all names back at its end: ``with solution("01.2"): ...``."""
    opened = [item.context_expr for item in node.items] if isinstance(node, ast.With) else []
    return any(isinstance(call, ast.Call) and last_name(call.func) == "solution" for call in opened)


def _source_of(node: ast.stmt, cell: str) -> str:
    text = ast.get_source_segment(cell, node) or ""
    decorators = getattr(node, "decorator_list", [])
    if not decorators:
        return text
    above = cell.splitlines()[decorators[0].lineno - 1 : node.lineno - 1]
    return "\n".join([*above, text])


@dataclass
class Slice:
    """What some code depends on: statements by name, and the sizes and settings it uses, by statement."""

    statements: dict[str, set[int]] = field(default_factory=dict)
    settings: dict[tuple[str, int], set[str]] = field(default_factory=dict)  # "" among them: all attributes


def slice_from(statements: Sequence[Statement], uses: Iterable[Use], at: int) -> Slice:
    """Return what ``uses``, read just before statement number ``at``, depend on.

    Names inside functions are looked up where the function is used, as Python does: a helper that was defined after
    the function, or anew, counts in its latest form.
    """
    found, seen, changes = Slice(), set(), changed_by(statements)

    def follow(use: Use, before: int, late: int) -> None:
        index = _latest(statements, changes, use.name, before)
        if index is None:
            return
        if settings_kind(statements[index].node):
            found.settings.setdefault((use.name, index), set()).add(use.attribute)
            return
        found.statements.setdefault(use.name, set()).add(index)
        if use.name not in statements[index].binds:  # changed through another name: what it was before counts too
            follow(use, index, late)
        if (index, late) in seen:
            return
        seen.add((index, late))
        for read in statements[index].reads:
            follow(read, index, index)
            if not read.called:  # a function that is held as a value is called later
                follow(read, index, late)
        for read in statements[index].late:
            follow(read, late, late)

    for use in uses:
        follow(use, at, at)
    return found


def _latest(statements: Sequence[Statement], changes: Sequence[set[str]], name: str, before: int) -> int | None:
    """Return the number of the latest statement that binds or changes ``name``; ``None``: it is not the notebook's."""
    changed = None
    for index in range(before - 1, -1, -1):
        statement = statements[index]
        if name in statement.binds:
            fixed = isinstance(statement.node, (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef))
            return index if changed is None or fixed or settings_kind(statement.node) else changed
        if changed is None and name in changes[index]:
            changed = index
    return None


def changed_by(statements: Sequence[Statement]) -> list[set[str]]:
    """Return for each statement the names whose objects it may change without binding them."""
    modules: set[str] = set()
    effects: dict[str, Effect] = {}
    holds: dict[str, set[str]] = {}
    changes = []
    for statement in statements:
        names = {name for name, via in statement.may_change if _can_change(via, modules, effects)}
        changes.append(with_held(names, holds) - statement.binds)
        is_import = isinstance(statement.node, (ast.Import, ast.ImportFrom))
        modules = modules | statement.binds if is_import else modules - statement.binds
        effects |= statement.effects
        holds |= statement.holds
    return changes


def _can_change(via: str | Argument, modules: set[str], effects: Mapping[str, Effect],
                asked: frozenset[Argument] = frozenset()) -> bool:  # fmt: skip
    """Return whether a call through ``via`` can change its argument.

    ``module.f(x)`` can, ``object.method(x)`` not; a function of the notebook can, if its body changes that argument.
    """
    if not isinstance(via, Argument):
        return not via or via in modules
    effect = effects.get(via.function)
    if effect is None or via in asked:
        return False
    place = via.place
    if isinstance(place, int):
        place = effect.parameters[place] if place < len(effect.parameters) else ""
    return any(name == place and _can_change(deeper, modules, effects, asked | {via})
               for name, deeper in effect.changes)  # fmt: skip


def settings_kind(node: ast.stmt) -> str:
    """Return ``"sizes"`` or ``"profile"`` for the statement that makes a lesson's sizes or its profile, else ``""``."""
    value = node.value if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) else None
    if not isinstance(value, ast.Call):
        return ""
    name, owner = last_name(value.func), getattr(value.func, "value", None)
    if owner is not None and last_name(owner) not in ("lesson", "transfer_utils", "opening", "profile"):
        return ""
    if name == "sizes":
        return "sizes"
    return "profile" if name in ("get_profile", "set_profile") or (name == "start" and owner is not None) else ""


def uses_of(expressions: Iterable[ast.expr]) -> set[Use]:
    """Return the names that expressions read, now or in functions they hold."""
    reader = NameReader()
    for expression in expressions:
        reader.visit(expression)
    return reader.reads | reader.late
