"""The floor plan of the package: what an import brings, who may import whom, and how long a file may get."""

import ast
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pytest

import transfer_utils

PACKAGE = Path(transfer_utils.__file__).parent
ROOMS = (
    "course",
    "apply",
    "lesson",
    "techniques",
    "training",
    "evaluation",
    "models",
    "data",
    "runtime",
)  # from the top
HEAVY = {
    "IPython",
    "ipywidgets",
    "matplotlib",
    "pandas",
    "peft",
    "scipy",
    "sklearn",
    "timm",
    "torchvision",
    "transformers",
}
TESTS = {"tests", *(path.stem for path in Path(__file__).parent.glob("*.py"))}
FILE_LINES, FUNCTION_LINES = 300, 40  # of a function without its docstring


# ---------------------------------------------------------- what an import brings


@pytest.mark.parametrize("statement", ["import transfer_utils", "from transfer_utils import *"])
def test_an_import_brings_none_of_the_heavy_libraries(statement):
    code = f"{statement}; import sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert HEAVY & set(ended.stdout.split()) == set()


@pytest.mark.parametrize("name", transfer_utils.__all__)
def test_a_public_name_exists(name):
    assert getattr(transfer_utils, name) is not None
    assert name in dir(transfer_utils)


# ------------------------------------------------------------ who may import whom


def modules(package):
    """Return the syntax tree of every file below the folder ``package``, by dotted name within it."""
    paths = {path.relative_to(package).with_suffix("").parts: path for path in package.rglob("*.py")}
    return {".".join(parts).removesuffix("__init__").rstrip("."): ast.parse(path.read_text(encoding="utf-8"))
            for parts, path in sorted(paths.items())}  # fmt: skip


def imports(name, trees, package):
    """Yield (module, imported name or None, local name) of every import of the package, in functions too."""
    is_package = name == "" or any(other.startswith(f"{name}.") for other in trees) or name in ROOMS
    here = name.split(".") if name else []
    for node in ast.walk(trees[name]):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == package:
                    yield alias.name.partition(".")[2], None, alias.asname
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                up = node.level - is_package
                base = ".".join([*here[: len(here) - up], *(node.module or "").split(".")]).strip(".")
            elif (node.module or "").partition(".")[0] == package:
                base = node.module.partition(".")[2]
            else:
                continue
            for alias in node.names:
                deeper = f"{base}.{alias.name}".strip(".")
                found = (deeper, None) if deeper in trees else (base, alias.name)
                yield *found, alias.asname or alias.name


def complaints(folder):
    """Return what is wrong with the imports of the package in ``folder``: upwards, in a circle, private, from tests."""
    trees, found, uses = modules(folder), [], {}
    for name, tree in trees.items():
        made = list(imports(name, trees, folder.name))
        uses[name] = {module for module, _, _ in made if module}
        level = _level(name)
        found += [
            f"{name} imports upwards from {m}" for m in sorted(uses[name]) if level is not None and _level(m) < level
        ]
        found += [f"{name} imports the private {m}.{what}" for m, what, _ in made if what and _is_private(what)]
        aliases = {local for _, what, local in made if what is None and local}
        found += [f"{name} uses the private {node.value.id}.{node.attr}" for node in ast.walk(tree)
                  if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                  and node.value.id in aliases and _is_private(node.attr)]  # fmt: skip
        statements = [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
        found += [f"{name} imports from the tests" for node in statements if _first_names(node) & TESTS]
    return found + [f"circle: {' -> '.join(circle)}" for circle in _circles(uses)]


def _level(name):
    """Return the number of the room from the top; ``None`` for the entrance, which may open every room."""
    room = name.partition(".")[0]
    return ROOMS.index(room) if room in ROOMS else None


def _is_private(name):
    return name.startswith("_") and not name.startswith("__")


def _first_names(node):
    if isinstance(node, ast.Import):
        return {alias.name.partition(".")[0] for alias in node.names}
    return {node.module.partition(".")[0]} if node.module and not node.level else set()


def _circles(uses):
    """Return one circle of imports for each file from which a search meets itself."""
    done, found = set(), []

    def visit(name, path):
        if name in path:
            found.append([*path[path.index(name) :], name])
        elif name not in done:
            for other in sorted(uses.get(name, ())):
                visit(other, [*path, name])
            done.add(name)

    for name in uses:
        visit(name, [])
    return found


def test_rooms_import_only_downwards_without_circles_and_without_private_names():
    assert complaints(PACKAGE) == []


def test_every_file_stands_in_a_room():
    assert {name.partition(".")[0] for name in modules(PACKAGE)} <= {*ROOMS, "", "__main__"}


@pytest.fixture
def house(tmp_path):
    """Return a maker of small packages ``house(file=text, ...)``; a double underscore in a name is a folder."""

    def make(**files):
        root = tmp_path / "house"
        for name, text in {"__init__": "", "runtime__files": "def read(): ...", **files}.items():
            path = root / f"{name if name.startswith('__') else name.replace('__', '/', 1)}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            (path.parent / "__init__.py").touch()
            path.write_text(text)
        return root

    return make


@pytest.mark.parametrize(
    "allowed",
    [
        "from ..runtime import files\nfiles.read()",
        "from ..runtime.files import read",
        "import house.runtime.files",
        "import torch\nfrom os import _exit\ntorch._C",
        "from . import texts",
    ],
)
def test_what_is_allowed_is_not_complained_about(house, allowed):
    assert complaints(house(data__images=allowed, data__texts="", __init__="from .data.images import x")) == []


@pytest.mark.parametrize(
    ("wrong", "complaint"),
    [
        ("from ..training.loop import fit", "data.images imports upwards from training.loop"),
        ("from ..training import loop", "data.images imports upwards from training.loop"),
        ("def late():\n    from house.training import loop", "data.images imports upwards from training.loop"),
        ("import house.training.loop", "data.images imports upwards from training.loop"),
        ("from ..training import fit", "data.images imports upwards from training"),
        ("from ..runtime.files import _root", "data.images imports the private runtime.files._root"),
        ("from ..runtime import files as f\nf._root()", "data.images uses the private f._root"),
        ("from . import texts", "circle: data.images -> data.texts -> data.images"),
        ("from tiny import TinyNet", "data.images imports from the tests"),
    ],
)
def test_a_wrong_import_is_noticed(house, wrong, complaint):
    texts = "from .images import x" if "circle" in complaint else ""
    root = house(data__images=wrong, data__texts=texts, training__loop="")
    assert complaints(root) == [complaint]


# ------------------------------------------------------------------- how long


def too_long(folder):
    """Return the files and functions that are longer than a reader wants."""
    found = []
    for name, tree in modules(folder).items():
        lines = max((node.end_lineno for node in tree.body), default=0)
        found += [f"{name}: {lines} lines"] * (lines > FILE_LINES)
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                has_docstring = ast.get_docstring(node) is not None
                lines = node.end_lineno - (node.body[0].end_lineno if has_docstring else node.lineno - 1)
                found += [f"{name}.{node.name}: {lines} lines"] * (lines > FUNCTION_LINES)
    return found


def test_files_and_functions_stay_short():
    assert too_long(PACKAGE) == []


def test_what_is_too_long_is_noticed(house):
    root = house(data__images="x = 1\n" * 301, data__texts="def f():\n" + "    x = 1\n" * 60)
    assert too_long(root) == ["data.images: 301 lines", "data.texts.f: 61 lines"]


# ---------------------------------------------------- the tables of CONTRIBUTING.md


def missing_paths(text):
    """Return the paths ``room/file`` in the tables of ``text`` that the package does not have."""
    tables = "\n".join(line for line in text.splitlines() if line.startswith("|"))
    paths = re.findall(rf"`((?:{'|'.join(ROOMS)})/[\w/]*\.\w+)`", tables)
    assert paths
    return [path for path in paths if not (PACKAGE / path).is_file()]


def test_paths_in_the_tables_of_contributing_exist():
    assert missing_paths((PACKAGE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")) == []


def test_a_path_that_leads_nowhere_is_noticed():
    assert missing_paths("`data/gone.py`\n| where? | `data/folder.py`, from `data/no.toml` |") == ["data/no.toml"]


# ------------------------------------------------------- references in docstrings


REFERENCE = re.compile(r":(?:func|class|mod|meth|data):`~?(transfer_utils[\w.]*)`")


def referred():
    return sorted({(path.name, name) for path in PACKAGE.rglob("*.py") for name in REFERENCE.findall(path.read_text())})


@pytest.mark.parametrize(("file", "name"), referred())
def test_what_a_docstring_refers_to_is_there(file, name):
    assert pkgutil.resolve_name(name) is not None


def test_a_reference_that_leads_nowhere_is_noticed():
    (name,) = REFERENCE.findall("see :func:`transfer_utils.techniques.lora.add_nothing`")
    with pytest.raises(AttributeError):
        pkgutil.resolve_name(name)
