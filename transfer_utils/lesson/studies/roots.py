"""The name that an expression starts with, and the names whose objects another name may hold.

``optimizer = SGD(body.parameters())`` holds body, so ``optimizer.step()`` changes it.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Mapping

# Methods that hand out parts: an optimizer that was given body.parameters() changes body.
PARTS = {"parameters", "named_parameters", "modules", "named_modules", "children", "named_children", "buffers",
         "get_submodule"}  # fmt: skip


def last_name(function: ast.expr) -> str:
    """Return ``c`` for ``a.b.c`` and for ``c``, else an empty text."""
    return getattr(function, "attr", getattr(function, "id", ""))


def root_of(node: ast.expr, through_methods: bool = False) -> set[str]:
    """Return ``{"x"}`` for ``x``, ``x.a``, ``x[0].b``, and nothing for what does not start with a name.

    ``through_methods``: for ``x.eval().b`` too.
    """
    while True:
        if isinstance(node, (ast.Attribute, ast.Subscript, ast.Starred)):
            node = node.value
        elif through_methods and isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            node = node.func
        else:
            return {node.id} if isinstance(node, ast.Name) else set()


def names_in(node: ast.expr) -> set[str]:
    """Return the names that an iterator may hand out parts of: of ``zip(a, b.parameters())``, a and b."""
    called = {id(part.func) for part in ast.walk(node) if isinstance(part, ast.Call)}
    return {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and id(part) not in called}


def held_by(value: ast.expr) -> set[str]:
    """Return the names whose object, or a part of it, an assigned value may be or may hold."""
    values = value.elts if isinstance(value, (ast.Tuple, ast.List)) else [value]
    handed = (
        part.func.value
        for part in ast.walk(value)
        if isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and part.func.attr in PARTS
    )
    return set().union(*map(root_of, values), *map(names_in, handed))


def with_held(names: Iterable[str], holds: Mapping[str, set[str]]) -> set[str]:
    """Return ``names``, with those that they hold, and so on."""
    found, waiting = set(), list(names)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += holds.get(name, ())
    return found
