"""The names that a piece of Python reads, binds and changes, in the order in which Python runs it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from .roots import held_by, last_name, names_in, root_of, with_held

# Calls whose result is thrown away are there for what they change (freeze(model)), but these only show something.
REPORTING = {"print", "display", "claim", "check", "quiz", "record", "explore", "show", "study", "differences",
             "report_difference", "report_runs", "print_environment", "ledger_table", "close"}  # fmt: skip
# Functions of the course that change their first argument and also return something.
CHANGERS = {"fit", "freeze", "unfreeze", "replace_head", "add_lora", "add_adapters", "merge_lora", "switch_task",
            "setattr"}  # fmt: skip
# Methods that change their object and also return something; with them all whose names end in one underscore.
IN_PLACE = {"load_state_dict", "apply"}


@dataclass(frozen=True)
class Use:
    """A name that code reads: ``size.epochs`` has the attribute ``epochs``; ``called`` in ``f(x)``, where it is f."""

    name: str
    attribute: str = ""
    called: bool = False


@dataclass(frozen=True)
class Argument:
    """An argument of a call: of ``function``, by its position or by its name."""

    function: str
    place: int | str


@dataclass(frozen=True)
class Effect:
    """What a function does to its arguments: their names, and changes as in ``NameReader.may_change``."""

    parameters: tuple[str, ...]
    changes: frozenset[tuple[str, str | Argument]]


class NameReader(ast.NodeVisitor):
    """Walks through a statement in the order in which Python runs it, and notes names.

    Attributes:
        bound: names that have a value at the end, whichever way was taken. A loop counts as run.
        stored: names that were stored on some way.
        changed: ``x`` of ``x[0] = 1``, ``x.a = 1``, ``x += 1``.
        may_change: ``x`` of ``x.append(1)`` and ``freeze(x)``, each with the empty text; for ``a.f(x)`` also x with a,
            since x counts where a is a module; for ``y = f(x)`` x as an argument of f, if the notebook's f changes it.
        holds: for a name, those whose object, or a part of it, it may be: p and x of ``for p in x.parameters()``.
        effects: of the functions defined here.
        reads: names read before they were bound here.
        late: names that functions defined here read when they are called.
    """

    def __init__(self, bound: Iterable[str] = ()):
        self.bound = set(bound)
        self.stored: set[str] = set()
        self.changed: set[str] = set()
        self.may_change: set[tuple[str, str | Argument]] = set()
        self.holds: dict[str, set[str]] = {}
        self.effects: dict[str, Effect] = {}
        self.reads: set[Use] = set()
        self.late: set[Use] = set()

    def _all(self, nodes: Iterable[ast.AST | None]) -> None:
        for node in nodes:
            if node is not None:
                self.visit(node)

    def _store(self, name: str | None) -> None:
        if name:
            self.bound.add(name)
            self.stored.add(name)

    def _change(self, names: set[str], via: str | Argument = "") -> None:
        self.may_change |= {(name, via) for name in with_held(names, self.holds)}

    def _hold(self, target: ast.expr, names: set[str]) -> None:
        self.holds |= {node.id: names for node in ast.walk(target)
                       if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}  # fmt: skip

    def _read(self, name: str, attribute: str = "", called: bool = False) -> None:
        if name not in self.bound:
            self.reads.add(Use(name, attribute, called))

    # ------------------------------------------------------------ names

    def visit_Name(self, node: ast.Name) -> None:  # noqa: N802, D102
        if isinstance(node.ctx, ast.Load):
            self._read(node.id)
        else:
            self._store(node.id)

    def visit_Attribute(self, node: ast.Attribute) -> None:  # noqa: N802, D102
        if not isinstance(node.ctx, ast.Load):
            self.changed |= root_of(node)
            self._change(root_of(node))
        if isinstance(node.value, ast.Name):
            self._read(node.value.id, node.attr)
        else:
            self.visit(node.value)

    def visit_Subscript(self, node: ast.Subscript) -> None:  # noqa: N802, D102
        if not isinstance(node.ctx, ast.Load):
            self.changed |= root_of(node)
            self._change(root_of(node))
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:  # noqa: N802, D102
        if isinstance(node.func, ast.Name):
            self._read(node.func.id, called=True)
        else:
            self.visit(node.func)
        self._all([*node.args, *node.keywords])
        name = last_name(node.func)
        if name in CHANGERS and node.args:
            self._change(root_of(node.args[0]))
        elif isinstance(node.func, ast.Attribute) and (name in IN_PLACE or re.search(r"[^_]_$", name)):
            self._call_changes(node)
        elif isinstance(node.func, ast.Name) and name not in REPORTING:
            places = [*enumerate(node.args), *((given.arg, given.value) for given in node.keywords if given.arg)]
            for place, given in places:
                self._change(root_of(given), Argument(name, place))

    def visit_Expr(self, node: ast.Expr) -> None:  # noqa: N802, D102
        self.visit(node.value)
        call = node.value.value if isinstance(node.value, ast.Await) else node.value
        if isinstance(call, ast.Call) and last_name(call.func) not in REPORTING:
            self._call_changes(call)

    def _call_changes(self, call: ast.Call) -> None:
        """Note that a call changes its object, and its first argument where the object is a module."""
        owner = root_of(call.func, through_methods=True) if isinstance(call.func, ast.Attribute) else set()
        self._change(owner)
        self._change(root_of(call.args[0]) if call.args else set(), "".join(owner))

    # ------------------------------------------------- order of evaluation

    def visit_Assign(self, node: ast.Assign) -> None:  # noqa: N802, D102
        self._all([node.value, *node.targets])
        for target in node.targets:
            self._hold(target, held_by(node.value))

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:  # noqa: N802, D102
        if node.value is not None:
            self._all([node.value, node.target])

    def visit_AugAssign(self, node: ast.AugAssign) -> None:  # noqa: N802, D102
        self.visit(node.value)
        if isinstance(node.target, ast.Name):
            self._read(node.target.id)
            self._store(node.target.id)
            self._change(self.holds.get(node.target.id, set()))  # p *= 0 changes a tensor in place
        else:
            self.visit(node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:  # noqa: N802, D102
        self._all([node.value, node.target])

    def visit_For(self, node: ast.For) -> None:  # noqa: N802, D102
        self._all([node.iter, node.target])
        self._hold(node.target, names_in(node.iter))
        self._all([*node.body, *node.orelse])

    visit_AsyncFor = visit_For  # noqa: N815

    def visit_If(self, node: ast.If) -> None:  # noqa: N802, D102
        self.visit(node.test)
        self._branches(node.body, node.orelse)

    def visit_Try(self, node: ast.Try) -> None:  # noqa: N802, D102
        self._branches([*node.body, *node.orelse], *([handler] for handler in node.handlers))
        self._all(node.finalbody)

    visit_TryStar = visit_Try  # noqa: N815

    def visit_Match(self, node: ast.Match) -> None:  # noqa: N802, D102
        self.visit(node.subject)
        self._branches(*([case] for case in node.cases), [])

    def _branches(self, *blocks: list[ast.AST]) -> None:
        before, ends = set(self.bound), []
        for block in blocks:
            self.bound = set(before)
            self._all(block)
            ends.append(self.bound)
        self.bound = set.intersection(*ends)

    # ------------------------------------------------------------ scopes

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:  # noqa: N802, D102
        arguments = node.args
        self._all([*node.decorator_list, *arguments.defaults, *arguments.kw_defaults])
        body = self._later(node.body, arguments)
        parameters = tuple(given.arg for given in [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs])
        self.effects[node.name] = Effect(parameters, frozenset(c for c in body.may_change if c[0] in parameters))
        self._store(node.name)

    visit_AsyncFunctionDef = visit_FunctionDef  # noqa: N815

    def visit_Lambda(self, node: ast.Lambda) -> None:  # noqa: N802, D102
        self._all([*node.args.defaults, *node.args.kw_defaults])
        self._later([node.body], node.args)

    def _later(self, body: Sequence[ast.AST], arguments: ast.arguments) -> NameReader:
        """Note what the body of a function reads from outside; of its own names, all count as bound from the start."""
        own = {node.arg for node in ast.walk(arguments) if isinstance(node, ast.arg)}
        first = NameReader()
        first._all(body)
        outside = {name for part in body for node in ast.walk(part) if isinstance(node, ast.Global)
                   for name in node.names}  # fmt: skip
        second = NameReader(own | (first.stored - outside))
        second._all(body)
        read = second.reads | second.late | {Use(name) for name in outside}
        # an enclosing function's names are its own; at the top level all names are global, and looked up late
        self.late |= {use for use in read if use.name not in own | (first.stored - outside)}
        return second

    def visit_ClassDef(self, node: ast.ClassDef) -> None:  # noqa: N802, D102
        self._all([*node.decorator_list, *node.bases, *node.keywords])
        body = NameReader(self.bound)
        body._all(node.body)
        self.reads |= body.reads
        self.late |= body.late
        self._store(node.name)

    def visit_ListComp(self, node: ast.ListComp) -> None:  # noqa: N802, D102
        self._comprehension(node, [node.elt])

    visit_SetComp = visit_GeneratorExp = visit_ListComp  # noqa: N815

    def visit_DictComp(self, node: ast.DictComp) -> None:  # noqa: N802, D102
        self._comprehension(node, [node.key, node.value])

    def _comprehension(self, node: ast.ListComp | ast.DictComp, elements: list[ast.expr]) -> None:
        inner = NameReader(self.bound)
        inner.holds = dict(self.holds)
        for part in node.generators:
            inner._all([part.iter, part.target])
            inner._hold(part.target, names_in(part.iter))
            inner._all(part.ifs)
        own = set(inner.stored)
        inner._all(elements)
        self.reads |= inner.reads
        self.late |= {use for use in inner.late if use.name not in own}
        self.may_change |= {(name, via) for name, via in inner.may_change if name not in own}

    # ------------------------------------------------------- other binders

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:  # noqa: N802, D102
        for alias in node.names:
            self._store(alias.asname or alias.name.partition(".")[0])

    visit_ImportFrom = visit_Import  # noqa: N815

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:  # noqa: N802, D102
        self._all([node.type])
        self._store(node.name)
        self._all(node.body)

    def visit_MatchAs(self, node: ast.MatchAs) -> None:  # noqa: N802, D102
        self.generic_visit(node)
        self._store(node.name)

    def visit_MatchStar(self, node: ast.MatchStar) -> None:  # noqa: N802, D102
        self._store(node.name)

    def visit_MatchMapping(self, node: ast.MatchMapping) -> None:  # noqa: N802, D102
        self.generic_visit(node)
        self._store(node.rest)
