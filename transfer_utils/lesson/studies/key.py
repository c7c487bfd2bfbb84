"""What the runs of a study depend on, as text that is the same on every machine: its key.

The key has a line for each name that the call of ``study`` leads to (:mod:`transfer_utils.lesson.studies.slicing`),
for each size and each setting of the profile that is used, and for each data set. No number that was computed with
floats is in it, so a key made on another computer agrees. What it cannot see is the code of the helper package; see
:mod:`transfer_utils.lesson.studies.study`.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from ...data.labelled import Labelled, Splits
from ...runtime.profile import PROFILES, Profile
from .names_read import Use
from .normalised import normalised
from .roots import last_name
from .slicing import Statement, settings_kind, slice_from, statements_of, uses_of

# Options of study() that say which runs are wanted or how they are judged, not what a run is.
REPORTING_OPTIONS = ("seeds", "tolerance")
DATA = "data "


@dataclass(frozen=True)
class Call:
    """A call of ``study`` in a notebook: its name, the number of its statement, and its syntax in ``source``."""

    name: str
    at: int
    node: ast.Call
    source: str


def find_calls(statements: Sequence[Statement]) -> list[Call]:
    """Return the calls ``study("name", run, ...)`` that stand in a simple statement, in order."""
    calls = []
    for index, statement in enumerate(statements):
        if isinstance(statement.node, (ast.Assign, ast.AnnAssign, ast.Expr)):
            for node in ast.walk(ast.parse(statement.source)):
                if isinstance(node, ast.Call) and last_name(node.func) == "study" and _name_of(node):
                    calls.append(Call(_name_of(node), index, node, statement.source))
    return calls


def _name_of(call: ast.Call) -> str:
    named = [*call.args[:1], *(keyword.value for keyword in call.keywords if keyword.arg == "name")]
    first = named[0] if named else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def latest_call(statements: Sequence[Statement], name: str) -> Call:
    """Return the last call of the study ``name``.

    Raises:
        ValueError: there is none that can be read without running the notebook.
    """
    calls = [call for call in find_calls(statements) if call.name == name]
    if not calls:
        raise ValueError(f"The call of study({name!r}, ...) was not found in the cells. Write it at the top level of a "
                         "cell, with its name as a text in quotes, and without a magic such as %%time, which makes "
                         "the cell a text: "
                         f'results = lesson.study("{name}", run, seeds=size.seeds)')  # fmt: skip
    return calls[-1]


def key_parts(statements: Sequence[Statement], call: Call, profile: Profile) -> dict[str, str]:
    """Return what the runs of ``call`` depend on: label -> text; data sets not among them.

    Labels are names of the notebook, ``size.epochs`` and the like, ``profile``, and ``study``: the call itself.
    """
    arguments = [*call.node.args[1:], *(k.value for k in call.node.keywords if k.arg not in REPORTING_OPTIONS)]
    found = slice_from(statements, uses_of(arguments), call.at)
    parts = {
        "study": _call_text(call),
        "profile": f"{profile.name}, {profile.backbone}, {profile.encoder}",
    }
    for name, numbers in found.statements.items():
        parts[name] = "\n".join(statements[number].text(name) for number in sorted(numbers))
    for (name, number), attributes in sorted(found.settings.items()):
        for attribute, text in _settings(statements[number], attributes, profile):
            parts[f"{name}.{attribute}"] = text
    return parts


def _call_text(call: Call) -> str:
    """Return the call without its reporting options."""
    kept = [_text(node, call.source) for node in call.node.args[1:]]
    kept += [f"{k.arg or '**'}={_text(k.value, call.source)}" for k in call.node.keywords
             if k.arg not in (*REPORTING_OPTIONS, "name")]  # fmt: skip
    return f"study({', '.join([repr(call.name), *kept])})"


def _text(node: ast.expr, source: str) -> str:
    """Return the text of an expression in ``source``; in parentheses, since it may go over several lines."""
    return normalised(f"({ast.get_source_segment(source, node)})")[1:-1]


def _settings(statement: Statement, attributes: set[str], profile: Profile) -> Iterable[tuple[str, str]]:
    if settings_kind(statement.node) == "profile":
        # used as a whole: name and models, which count always
        return [(name, repr(getattr(profile, name, None))) for name in sorted(attributes - {""})]
    rows = rows_of_sizes(statement, profile.name)
    wanted = rows if "" in attributes else [name for name in sorted(attributes) if name in rows]
    return [(name, rows[name][0]) for name in wanted]


def rows_of_sizes(statement: Statement, profile: str) -> dict[str, tuple[str, Any]]:
    """Return the rows of a statement ``size = lesson.sizes(...)``: name -> its entry in a profile as text and as value.

    The value is ``None`` where the entry is no literal; its text is then the source.
    """
    column = list(PROFILES).index(profile)
    rows = {}
    for keyword in ast.parse(statement.source).body[0].value.keywords:
        entries = keyword.value.elts if isinstance(keyword.value, ast.Tuple) else []
        if keyword.arg and len(entries) == len(PROFILES):
            known, value = evaluated(entries[column], {})
            rows[keyword.arg] = (repr(value) if known else _text(entries[column], statement.source), value)
    return rows


_SAFE = (ast.Expression, ast.Constant, ast.Tuple, ast.List, ast.UnaryOp, ast.USub, ast.BinOp, ast.Add, ast.Sub,
         ast.Mult, ast.Dict, ast.Attribute, ast.Name, ast.Load, ast.Subscript, ast.Slice, ast.Starred)  # fmt: skip
_FUNCTIONS = {"range": range, "tuple": tuple, "list": list}


def evaluated(node: ast.expr, names: Mapping[str, object]) -> tuple[bool, Any]:
    """Return whether an expression is made of literals, ``range`` and ``names`` alone, and its value."""
    for part in ast.walk(node):
        plain_call = isinstance(part, ast.Call) and last_name(part.func) in _FUNCTIONS and not part.keywords
        if not (isinstance(part, _SAFE) or plain_call) or getattr(part, "attr", "").startswith("_"):
            return False, None
    try:
        code = compile(ast.fix_missing_locations(ast.Expression(node)), "sizes", "eval")
        return True, eval(code, {"__builtins__": {}, **_FUNCTIONS, **names})
    except Exception:
        return False, None


def seeds_in(statements: Sequence[Statement], call: Call, profile: str) -> tuple[int, ...]:
    """Return the seeds that a call asks for in a profile; none where only a run can tell."""
    given = [keyword.value for keyword in call.node.keywords if keyword.arg == "seeds"]
    names = {}
    for use in uses_of(given):
        made = slice_from(statements, [Use(use.name)], call.at).settings
        for name, number in made:
            is_sizes = settings_kind(statements[number].node) == "sizes"
            rows = rows_of_sizes(statements[number], profile) if is_sizes else {}
            names[name] = SimpleNamespace(**{row: value for row, (_, value) in rows.items()})
    known, value = evaluated(given[0], names) if given else (False, None)
    return tuple(value) if known and isinstance(value, (tuple, list, range)) else ()


def data_parts(parts: Mapping[str, str], namespace: Mapping[str, object]) -> dict[str, str]:
    """Return items, classes and labels of the data sets among the names in ``parts``: label -> text."""
    held = {name: namespace.get(name) for name in parts}
    return {f"{DATA}{name}": _describe(value) for name, value in held.items() if isinstance(value, (Labelled, Splits))}


def _describe(data: Labelled | Splits) -> str:
    pieces = [data] if isinstance(data, Labelled) else [data.train, data.validation, data.test]
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.labels.cpu().numpy().astype("<i8").tobytes())
    counts = " + ".join(str(len(piece)) for piece in pieces)
    return f"{counts} items; classes {', '.join(data.class_names)}; labels {digest.hexdigest()[:16]}"


def digest(parts: Mapping[str, str]) -> str:
    """Return 16 hexadecimal digits for a key."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def what_changed(stored: Mapping[str, str], now: Mapping[str, str], most: int = 3) -> str:
    """Return in one line how the key now differs from the stored one, an empty text where it does not.

    Example:
        >>> what_changed({"size.epochs": "5"}, {"size.epochs": "6"})
        'size.epochs: 5 is now 6'
    """
    changes = []
    for label in sorted({*stored, *now}):
        if label not in now:
            changes.append(f"{label} is no longer used")
        elif label not in stored:
            changes.append(f"{label} is new")
        elif stored[label] != now[label]:
            changes.append(f"{label}: {_difference(stored[label], now[label])}")
    shown = changes[:most] + [f"and {len(changes) - most} more"] * (len(changes) > most)
    return "; ".join(shown)


def _difference(old: str, new: str) -> str:
    """Return the first line that differs, as it was and as it is."""
    before, after = old.splitlines(), new.splitlines()
    for first, second in zip(before, after, strict=False):
        if first != second:
            same = len(os.path.commonprefix([first.strip(), second.strip()]))
            return f"{_short(first, same)} is now {_short(second, same)}"
    return (
        f"{_short(after[len(before)])} is new" if len(after) > len(before) else f"{_short(before[len(after)])} is gone"
    )


def _short(line: str, place: int = 0, most: int = 70) -> str:
    """Return a line, or of a long one what stands around the character at ``place``."""
    line = line.strip()
    start = 0 if place < most - 10 else line.rfind(" ", 0, place - 20) + 1  # not within a word
    end = len(line) if len(line) < start + most + 10 else start + most
    return "... " * (start > 0) + line[start:end] + " ..." * (end < len(line))


def key_of(cells: Iterable[str], name: str, profile: Profile, namespace: Mapping[str, object]) -> dict[str, str]:
    """Return the whole key of the study ``name`` for the cells run so far and the values they left."""
    statements = statements_of(cells)
    parts = key_parts(statements, latest_call(statements, name), profile)
    return {**parts, **data_parts(parts, namespace)}
