"""Reading lessons as files: which there are, their cells, their code as a tree, their prose."""

import ast
import re
from functools import cache

from transfer_utils.course.editions import read_notebook, tags
from transfer_utils.runtime.files import checkout

ROOT = checkout()
LESSONS = sorted((ROOT / "notebooks").glob("[0-9][0-9]_*.ipynb"))


@cache
def notebook_at(path):
    return read_notebook(path)


def code(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "markdown"]


def length(cell):
    """Return the lines of a cell that are not empty."""
    return sum(bool(line.strip()) for line in cell.source.splitlines())


def tree_of(cell):
    """Return the syntax tree of a code cell, without the lines of magics and of the shell."""
    return ast.parse("\n".join(line for line in cell.source.splitlines() if not line.lstrip().startswith(("%", "!"))))


def calls(cell, name):
    """Return the calls of ``name`` in a code cell, as ``name(...)`` or ``anything.name(...)``."""
    found = [node for node in ast.walk(tree_of(cell)) if isinstance(node, ast.Call)]
    return [call for call in found if ast.unparse(call.func).rpartition(".")[2] == name]


def defined(cell):
    """Return the names that a cell binds at any level."""
    names = {
        node.id for node in ast.walk(tree_of(cell)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    }
    return names | {node.name for node in ast.walk(tree_of(cell)) if isinstance(node, (ast.FunctionDef, ast.ClassDef))}


def used(cell):
    return {
        node.id for node in ast.walk(tree_of(cell)) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }


def without_code(text):
    """Return Markdown without code blocks and code spans."""
    return re.sub(r"```.*?```|~~~.*?~~~|`[^`\n]*`", "", text, flags=re.S)


def prose(text):
    """Return Markdown without code, formulas, addresses and HTML tags: what a person reads as words."""
    text = re.sub(r"\$\$.*?\$\$|\$[^$\n]*\$", " ", without_code(text), flags=re.S)
    return re.sub(r"\]\([^)]*\)|https?://\S+|<[^>]+>", " ", text)


def strings(cell):
    """Return the texts that a code cell may print: its strings of two words or more, with gaps where values go."""
    tree = ast.Module([], []) if "setup" in tags(cell) else tree_of(cell)
    filled = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    parts = {id(part) for node in filled for part in ast.walk(node)} - {id(node) for node in filled}
    texts = ["".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values) for node in filled]
    texts += [node.value for node in ast.walk(tree)
              if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts]  # fmt: skip
    return [text for text in texts if " " in text.strip()]


def headings(notebook):
    """Return (place of the cell, heading with its marks) for each heading, in their order."""
    return [(place, line) for place, cell in enumerate(notebook.cells) if cell.cell_type == "markdown"
            for line in without_code(cell.source).splitlines() if re.match(r"#+ ", line)]  # fmt: skip
