"""Notebooks as files: the student edition, the drift between exercise and solution, hashes, addresses.

The solution is the source of an exercise. In a solution cell

    # @title Solution 01.2
    with solution("01.2"):
        def trainable(model):
            # BEGIN SOLUTION
            return sum(p.numel() for p in model.parameters() if p.requires_grad)
            # END SOLUTION

        check("01.2", trainable)

the starter cell is what stands in the block above the check, with each marked region replaced by ``...``. A region
that is one assignment to a name at the top of the block keeps the name (``points = ...``), and the text after a
colon is taken as it is: ``# BEGIN SOLUTION: return ...``.

In the lessons that wait for their second edition nothing is indented, and the starter is what stands above ``# CHECK``.
"""

from __future__ import annotations

import ast
import base64
import copy
import hashlib
import json
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from ..runtime.files import write_atomically

# The GitHub address that Colab links and the setup cell point to; `make address` replaces it.
REPOSITORY = "OWNER_NOT_SET/transfer-learning-course"
_BEGIN = re.compile(r"^(\s*)# BEGIN SOLUTION(?::\s*(.+?))?\s*$")
_END = re.compile(r"^\s*# END SOLUTION\s*$")
_BLOCK = re.compile(r"^with (?:\w+\.)?solution\(.*\):[ \t]*(?:#.*)?\n", re.MULTILINE)
_NAMED = re.compile(r"^(?:with |    )(?:\w+\.)?(?:solution|check)\(\s*[\"'](\d\d\.\d+)[\"']", re.MULTILINE)
_TITLE = re.compile(r"(# @title .*\n|\s)*")


def read_notebook(path: Path) -> NotebookNode:
    """Return the notebook at ``path``, as it is stored.

    Raises:
        ValueError: the file is not a notebook of format 4; the text names the file.
        OSError: it cannot be read.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        stored = json.loads(text)
    except ValueError as error:  # no text, or no JSON
        raise ValueError(f"{path} is not a notebook: it does not hold JSON.") from error
    if not isinstance(stored, dict) or not _are_cells(stored.get("cells")):
        older = isinstance(stored, dict) and stored.get("nbformat") in (1, 2, 3)
        advice = "it is of an older format. Open and save it in Jupyter." if older else "it holds no list of cells."
        raise ValueError(f"{path} is not a notebook of format 4: {advice}")
    if stored.get("nbformat") != 4:
        raise ValueError(f"{path} is not a notebook of format 4: it says nbformat {stored.get('nbformat')!r}.")
    return nbformat.reads(text, as_version=nbformat.NO_CONVERT)


def _are_cells(cells: object) -> bool:
    needed = {"cell_type": str, "source": (str, list), "metadata": dict}
    return isinstance(cells, list) and all(
        isinstance(cell, dict) and all(isinstance(cell.get(name), kind) for name, kind in needed.items())
        and (cell["cell_type"] != "code" or isinstance(cell.get("outputs"), list))
        for cell in cells
    )  # fmt: skip


def write_notebook(notebook: NotebookNode, path: Path) -> None:
    """Write ``notebook`` to ``path``, whole or not at all, the way Jupyter writes it."""
    text = nbformat.writes(notebook, version=nbformat.NO_CONVERT)
    text += "" if text.endswith("\n") else "\n"
    write_atomically(Path(path), lambda part: part.write_text(text, encoding="utf-8"))


def tags(cell: NotebookNode) -> set[str]:
    """Return the tags of a cell."""
    return set(cell.metadata.get("tags", []))


def cells_tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    """Return the cells that carry ``tag``, in their order."""
    return [cell for cell in notebook.cells if tag in tags(cell)]


def exercise_number(cell: NotebookNode) -> str:
    """Return the ``NN.k`` that pairs an exercise with its solution, or ``""``."""
    return cell.metadata.get("course", {}).get("exercise", "")


def source_hash(notebook: NotebookNode) -> str:
    """Return the SHA-256 of the code cells; stored outputs belong to the sources with this hash.

    The setup cell does not count: it is the same in all lessons, and where outputs are made it only prints versions.
    """
    counted = [c for c in notebook.cells if c.cell_type == "code" and "setup" not in c.metadata.get("tags", [])]
    code = [cell.source.rstrip() for cell in counted]
    return hashlib.sha256("\0".join(code).encode()).hexdigest()


def stamp(path: Path) -> None:
    """Write the hash of the code cells into the notebook; to be done when its outputs are made."""
    notebook = read_notebook(path)
    notebook.metadata.setdefault("course", {})["source_hash"] = source_hash(notebook)
    write_notebook(notebook, path)


def starter_of(solution: str) -> str:
    """Return the starter that belongs to the source of a solution cell, of either form.

    Raises:
        ValueError: a region is not closed, not opened, or there is none; there is code outside the block of the
            solution, or it checks nothing.
    """
    block = _BLOCK.search(solution)
    source = _inside(solution, block) if block else re.split(r"^# CHECK$", solution, flags=re.MULTILINE)[0]
    lines, begin, region = [], None, []
    for line in source.splitlines():
        if found := _BEGIN.match(line):
            if begin:
                raise ValueError("a second # BEGIN SOLUTION stands before the # END SOLUTION of the first")
            begin, region = found, []
        elif _END.match(line):
            if not begin:
                raise ValueError("# END SOLUTION stands without # BEGIN SOLUTION")
            lines.append(begin[1] + (begin[2] or _gap(begin[1], region)))
            begin = None
        else:
            (lines if begin is None else region).append(line.rstrip())
    if begin:
        raise ValueError("# BEGIN SOLUTION stands without # END SOLUTION")
    if "# BEGIN SOLUTION" not in solution:
        raise ValueError("nothing is marked with # BEGIN SOLUTION and # END SOLUTION")
    return "\n".join(lines).strip("\n")


def _inside(cell: str, block: re.Match[str]) -> str:
    """Return what stands in the block of a solution, not indented and without the check."""
    body = cell[block.end() :]
    if not _TITLE.fullmatch(cell[: block.start()]) or any(re.match(r"\S", line) for line in body.splitlines()):
        raise ValueError("code stands outside the block of the solution")
    body = textwrap.dedent(body)
    try:
        checks = [node for node in ast.parse(body).body if _is_check(node)]
    except SyntaxError as error:
        raise ValueError(f"the block of the solution is no Python: {error}") from error
    if not checks:
        raise ValueError("the block of the solution calls no check")
    return "\n".join(body.splitlines()[: checks[0].lineno - 1])


def _is_check(node: ast.stmt) -> bool:
    call = node.value if isinstance(node, ast.Expr) else None
    return isinstance(call, ast.Call) and ast.unparse(call.func).rpartition(".")[2] == "check"


def _gap(indent: str, region: list[str]) -> str:
    """Return what replaces a region: ``...``, or ``name = ...`` where it is one assignment, not indented."""
    try:
        body = ast.parse("\n".join(region)).body if not indent else []
    except SyntaxError:  # part of a larger statement
        return "..."
    if len(body) == 1 and isinstance(body[0], ast.Assign) and isinstance(body[0].targets[0], ast.Name):
        return f"{body[0].targets[0].id} = ..."
    return "..."


def drift(notebook: NotebookNode) -> list[str]:
    """Return a sentence for each exercise whose starter is not its solution without the marked regions."""
    problems = list(_unpaired(notebook))
    starters = {exercise_number(cell): cell for cell in cells_tagged(notebook, "exercise")}
    for cell in cells_tagged(notebook, "solution"):
        if cell.cell_type != "code" or (number := exercise_number(cell)) not in starters:
            continue
        try:
            expected = starter_of(cell.source)
        except ValueError as error:
            problems.append(f"solution {number}: {error}")
            continue
        written = "\n".join(line.rstrip() for line in starters[number].source.splitlines()).strip("\n")
        if {number} != set(_NAMED.findall(cell.source) or [number]):
            problems.append(f"solution {number}: its block is that of another exercise")
        # a formatter puts two empty lines around a function, and one where it stands in a block
        if re.sub(r"\n{3,}", "\n\n", written) != re.sub(r"\n{3,}", "\n\n", expected):
            problems.append(f"exercise {number} is not its solution without the marked regions; expected:\n{expected}")
    return problems


def _unpaired(notebook: NotebookNode) -> Iterator[str]:
    exercises = [exercise_number(cell) for cell in cells_tagged(notebook, "exercise")]
    solutions = [exercise_number(c) for c in cells_tagged(notebook, "solution") if c.cell_type == "code"]
    for kind, numbers, others in (("exercise", exercises, solutions), ("solution", solutions, exercises)):
        for number in numbers:
            if not number:
                yield f"a cell tagged {kind!r} has no metadata course.exercise"
            elif numbers.count(number) > 1:
                yield f"{kind} {number} exists more than once"
            elif number not in others:
                yield f"{kind} {number} has no {'solution' if kind == 'exercise' else 'exercise'}"


def student_edition(notebook: NotebookNode) -> NotebookNode:
    """Return a copy without cells tagged ``solution`` and without outputs."""
    edition = copy.deepcopy(notebook)
    edition.cells = [cell for cell in edition.cells if "solution" not in tags(cell)]
    edition.metadata.pop("widgets", None)
    for cell in edition.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if "course" in edition.metadata:
        edition.metadata.course.pop("source_hash", None)
    return edition


def write_student_editions(paths: list[Path], folder: Path) -> list[Path]:
    """Write the student edition of each notebook into ``folder`` and return what was written.

    Raises:
        ValueError: an exercise and its solution differ; nothing is written.
    """
    notebooks = {Path(path): read_notebook(path) for path in paths}
    problems = [f"{path.name}: {problem}" for path, nb in notebooks.items() for problem in drift(nb)]
    if problems:
        raise ValueError("Exercises and solutions differ. No student edition was written.\n" + "\n".join(problems))
    for path, notebook in notebooks.items():
        write_notebook(student_edition(notebook), Path(folder) / path.name)
    return [Path(folder) / path.name for path in notebooks]


def first_picture(notebook: NotebookNode, tag: str) -> tuple[bytes, str] | None:
    """Return the first PNG that a cell tagged ``tag`` shows, with its alternative text; ``None`` without one."""
    for cell in cells_tagged(notebook, tag):
        for output in cell.get("outputs", []):
            if picture := output.get("data", {}).get("image/png"):
                alt = output.get("metadata", {}).get("image/png", {}).get("alt", "")
                return base64.b64decode(picture), alt
    return None


def set_address(root: Path, repository: str) -> list[Path]:
    """Replace the GitHub address in every file of the course that names it, and return those files.

    Outputs stay valid: only the address in the setup cell changes, which the hash of the sources leaves out.

    Raises:
        ValueError: ``repository`` is not of the form ``owner/name``.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9-]*/[A-Za-z0-9._-]+", repository):
        raise ValueError(f"{repository!r} is not a GitHub address of the form owner/name.")
    folders = [(root, "*.md"), (root, "*.toml"), (root / "data", "*.md"), (root / "transfer_utils", "**/*.py"),
               (root / "notebooks", "*.ipynb")]  # fmt: skip
    changed = []
    for path in sorted(path for folder, pattern in folders for path in folder.glob(pattern)):
        text = path.read_text(encoding="utf-8")
        if REPOSITORY not in text:
            continue
        replaced = text.replace(REPOSITORY, repository)
        write_atomically(path, lambda part, text=replaced: part.write_text(text, encoding="utf-8"))
        changed.append(path)
    return changed


def is_fresh(notebook: NotebookNode) -> bool:
    """Return whether the stored outputs were made by the code that is stored."""
    return notebook.metadata.get("course", {}).get("source_hash") == source_hash(notebook)
