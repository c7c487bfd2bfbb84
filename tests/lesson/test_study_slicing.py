"""Which statements a study depends on: made-up notebooks, cell by cell."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transfer_utils.lesson.studies.names_read import Use
from transfer_utils.lesson.studies.normalised import normalised
from transfer_utils.lesson.studies.slicing import slice_from, statements_of

# ------------------------------------------------------------ text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = f(a, b)", "x = f(\n    a,  # why\n\n    b,\n)"),
        (
            "def f(a):\n    return a",
            'def f(a):\n    """Say it.\n\n    At length.\n    """\n\n    # now\n    return a  # a',
        ),
        ("x = {'a': [1, 2]}", "x = {\n  'a': [1, 2,],\n}"),
        ("for i in y:\n    z = 1", "for i in y:\n  z=1"),
        ("x = f(a)[b](c=[1])", "x = f(\n  a,\n)[b](\n c = [1,],\n)"),
    ],
)
def test_what_changes_nothing_leaves_the_text_alone(one, other):
    assert normalised(one) == normalised(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("x = (1)", "x = (1,)"),
        ("x = y[1]", "x = y[1,]"),
        ("x = f((a))", "x = f((a,))"),
        ("x = '# a'", "x = '# b'"),
        ("x = f'{a:>{b}} # a'", "x = f'{a:>{b}} # b'"),
        ("x = '''a\n  b'''", "x = '''a\n b'''"),
        ("if a:\n    x = 1\ny = 2", "if a:\n    x = 1\n    y = 2"),
        ("x = y - 1", "x = y + 1"),
        ("x = not y", "x = noty"),
    ],
)
def test_what_changes_something_changes_the_text(one, other):
    assert normalised(one) != normalised(other)


def test_the_text_is_this_one_under_every_python():
    """Python 3.12 takes f-strings apart, and 3.11 does not; a stored key must fit both."""
    source = 'def f(a, *, b=2):\n    "doc"\n    return g(f"{a!r:>{b}} {a["k"] if a else 0}x", -1, [a])[0] @ b  # no\n'
    source = source.replace('a["k"]', "a['k']")
    assert normalised(source) == (
        "def f(a, *, b=2):\n    return g(f\"{a!r:>{b}} {a['k'] if a else 0}x\", - 1, [a])[0] @ b"
    )


# ------------------------------------------------------------ slices


def needed(notebook, name="x"):
    """Return the statements that ``name`` depends on at the end, as (number, ...), from cells parted by ---."""
    statements = statements_of(notebook.split("---\n"))
    found = slice_from(statements, [Use(name, called=True)], len(statements))
    return sorted({number for numbers in found.statements.values() for number in numbers})


@pytest.mark.parametrize(
    ("notebook", "expected"),
    [
        # chains
        ("a = 1\nb = 2\nx = a", [0, 2]),
        ("x = 1\nx = 2", [1]),
        ("x = 1\nx = x + 1", [0, 1]),
        ("x = 1\nx += 1", [0, 1]),
        ("x = []\ny = 3\nx[0] = y\nz = 1", [0, 1, 2]),
        ("x = {}\nx.a.b = 2", [0, 1]),
        ("x = 1\ny = x\nx = 2", [2]),
        ("a, (x, *b) = f()", [0]),
        ("x: int = 1\ny: int = 2", [0]),
        ("x = (y := 3)\nz = y", [0]),
        ("y = 1\nx = 5\ndel y", [1]),
        # a cell that was run again, another that was not
        ("a = 1\n---\nx = a\n---\na = 2\n---\nx = a\n", [2, 3]),
        ("a = 1\n---\nx = a\n---\na = 2\n", [0, 1]),
        ("a = 1\n---\nthis is no python\n---\nx = a", [0, 1]),
        # compound statements
        ("rows = [1]\nfor x in rows:\n    pass", [0, 1]),
        ("name = 1\nfor name in rows:\n    x = name", [1]),
        ("x = 1\nif flag:\n    x = 2", [0, 1]),
        ("x = 1\nif flag:\n    x = 2\nelse:\n    x = 3", [1]),
        ("flag = 1\nwith f() as x:\n    y = flag", [0, 1]),
        ("try:\n    import x\nexcept ImportError as e:\n    x = None", [0]),
        ("x = 1\ntry:\n    y = 1\nexcept ValueError:\n    x = 2", [0, 1]),
        ("x = 1\nmatch y:\n    case [a, *x]:\n        pass", [0, 1]),
        ("k = 3\nx = 0\nwhile x < k:\n    x += 1", [0, 1, 2]),
        # comprehensions have names of their own
        ("i = 1\nx = [i for i in range(3)]", [1]),
        ("i = 1\nx = {i: j for j in range(3)}", [0, 1]),
        ("i = [1]\nx = [i for i in i]", [0, 1]),
        # imports and classes
        ("import os\nimport torch.nn as nn\nx = nn.Linear", [1, 2]),
        ("import a.b\nx = a.b.c", [0, 1]),
        ("k = 1\nclass A:\n    n = k\n    def f(self):\n        return z\nz = 2\nx = A()", [0, 1, 2, 3]),
        ("k = 1\nclass A:\n    def f(self):\n        return k\nx = A()\nk = 2", [0, 1, 2]),
        # functions: names inside are looked up where the function is used
        ("def x():\n    return k\nk = 1", [0, 1]),
        ("k = 1\ndef x():\n    return k\nk = 2", [1, 2]),
        ("k = 1\ndef f():\n    return k\nx = f()\nk = 2", [0, 1, 2]),
        ("def f():\n    return g()\ndef x():\n    return f()\ndef g():\n    return k\nk = 3", [0, 1, 2, 3]),
        ("k = 1\ndef x(k):\n    return k", [1]),
        ("k = 1\ndef x():\n    k = 2\n    return k", [1]),
        ("k = 1\ndef x():\n    def inner():\n        return k\n    return inner", [0, 1]),
        ("k = 1\ndef x():\n    k = 2\n    def inner():\n        return k\n    return inner", [1]),
        ("k = 1\ndef x():\n    global k\n    k = 2", [0, 1]),
        ("k = 1\ndef x(a=k):\n    return a\nk = 2", [0, 1]),
        ("k = 1\ndef dec(f):\n    return f\n@dec\ndef x():\n    pass", [1, 2]),
        ("def x(n):\n    return x(n - 1)", [0]),
        ("def f():\n    return x()\ndef x():\n    return f()", [0, 1]),
        ("k = 1\nx = lambda a: a + k\nk = 2", [1, 2]),
        # a function that is held as a value is called later
        ("k = 1\ndef f():\n    return k\nx = {'f': f}\nk = 2", [0, 1, 2, 3]),
        # what changes an object without a new name
        ("x = net()\nfreeze(x)\nprint(x)", [0, 1]),
        ("x = []\nx.append(1)\nplots.show(x)", [0, 1]),
        ("x = net()\nresult = fit(x.head, data)", [0, 1]),
        ("x = net()\nwith measure() as cost:\n    fit(x, data)", [0, 1]),
        ("from torch import nn\nx = net()\nnn.init.zeros_(x.weight)", [0, 1, 2]),
        ("y = net()\nx = net()\ny.take(x)", [1]),
        ("import torch as x\nx.manual_seed(0)", [0]),
        ("def x():\n    pass\nx.cache_clear()", [0]),
        ("from lessons import x\nx(1)", [0]),
        # what changes parts of an object, or an object and returns something
        ("x = net()\nfor p in x.parameters():\n    p.requires_grad = False", [0, 1]),
        ("x = net()\nfor n, p in x.named_parameters():\n    p.requires_grad = n in y", [0, 1]),
        ("x = net()\nfor i, (a, b) in enumerate(zip(x.parameters(), y)):\n    a.data *= i", [0, 1]),
        ("x = net()\nfor m in x.children():\n    for p in m.parameters():\n        p.zero_()", [0, 1]),
        ("import torch\nx = net()\nwith torch.no_grad():\n    for p in x.parameters():\n        p *= 0", [0, 1, 2]),
        ("import torch\nx = net()\nwith torch.no_grad():\n    x.weight[:] = 0", [0, 1, 2]),
        ("x = net()\n[p.requires_grad_(False) for p in x.parameters()]", [0, 1]),
        ("x = net()\ny = [setattr(p, 'requires_grad', False) for p in x.parameters()]", [0, 1]),
        ("x = net()\n_ = [freeze(m) for m in x.children()]", [0, 1]),
        ("x = net()\nmissing = x.load_state_dict(saved)", [0, 1]),
        ("x = net()\n_ = x.requires_grad_(False)", [0, 1]),
        ("x = net()\nx.eval().requires_grad_(False)", [0, 1]),
        ("x = net()\n_ = x.apply(init)", [0, 1]),
        ("from torch import nn\nx = net()\n_ = nn.init.zeros_(x.weight)", [0, 1, 2]),
        ("x = net()\ny = x.head\ny.bias = None", [0, 1, 2]),
        ("x = net()\nchoose = SGD(x.parameters())\nfreeze(x)\nz = 1\nchoose.step()", [0, 1, 2, 4]),
        (
            "x = net()\no = SGD([{'params': x.head.parameters()}])\nfor b in bs:\n    f(b).backward()\n    o.step()",
            [0, 1, 2],
        ),
        # an argument of a function of the notebook, which changes it
        ("def train(m):\n    m.fit()\n    return 1\nx = net()\nlosses = train(x)", [0, 1, 2]),
        ("def train(m):\n    return fit(m, 3)\nx = net()\nlosses = [train(x) for _ in y]", [0, 1, 2]),
        ("def train(d, m):\n    o = SGD(m.parameters())\n    o.step()\nx = net()\nlosses = train(1, m=x)", [0, 1, 2]),
        ("def f(m):\n    m.a = 1\ndef train(m):\n    return f(m)\nx = net()\ny = train(x)", [0, 1, 2, 3]),
        ("def train(m):\n    return train(m)\nx = net()\nlosses = train(x)", [1]),
        ("def look(m, d):\n    m.eval()\n    return m(d)\nm = 1\nx = data()\ny = look(m, x)", [2]),
        ("def look(m):\n    print(m)\n    return copy(m).eval()\nx = net()\ny = look(x)", [1]),
        ("from lessons import look\nx = net()\ny = look(x)\nz = x.mean()", [1]),
        # a solution puts the names back
        ("def x():\n    pass\nwith solution('01.1'):\n    def x():\n        return 1", [0]),
        ("y = 1", []),
    ],
)
def test_a_name_leads_to_its_statements(notebook, expected):
    assert needed(notebook) == expected


def test_an_import_counts_for_the_name_alone():
    (statement,) = statements_of(["from a.b import (c, d as e,\n f)"])
    assert statement.text("e") == "from a.b import d as e"
    assert statements_of(["import a.b, c as d"])[0].text("a") == "import a.b"


def test_a_decorator_belongs_to_its_function():
    (statement,) = statements_of(["@cached(3)\ndef f():\n    pass"])
    assert "cached(3)" in statement.text("f")


LINES = st.sampled_from(["a = 1", "b = a", "a = a + b", "c = [a for a in d]", "def f():\n    return a + c", "d = f()",
                         "for a in d:\n    b = a", "if b:\n    c = 1", "c[0] = d", "b = f", "import a"])  # fmt: skip


@given(st.lists(LINES, max_size=12), st.lists(st.sampled_from(["# note", "", "z = 1", "print(a)"]), max_size=4))
def test_lines_that_do_not_matter_do_not_matter(lines, others):
    """Comments, blank lines, prints and names that nobody reads, anywhere between, leave the texts as they are."""

    def texts(cells):
        statements = statements_of(cells)
        found = slice_from(statements, [Use("f"), Use("b")], len(statements)).statements
        return {name: [statements[n].text(name) for n in sorted(numbers)] for name, numbers in found.items()}

    mixed = [line for pair in zip(lines, others * 12, strict=False) for line in pair] if others else lines
    assert texts(mixed) == texts(lines)


@given(st.lists(LINES, max_size=12))
def test_a_statement_is_followed_by_all_that_runs_need(lines):
    """Run only the statements of the slice: the name gets the same value as when all are run."""

    def value(cells):
        names = {"d": [1, 2], "c": [5], "a": 1, "b": 2, "f": lambda: [3]}
        names["__builtins__"] = {"__import__": lambda *_: 7}
        try:
            for cell in cells:
                exec(cell, names)
            return str(names["b"]()) if callable(names["b"]) else str(names["b"])
        except (TypeError, RecursionError):
            return None

    statements = statements_of(lines)
    found = slice_from(statements, [Use("b")], len(statements)).statements
    kept = sorted({number for numbers in found.values() for number in numbers})
    whole = value(lines)
    if whole is not None:
        assert value([lines[number] for number in kept]) == whole
