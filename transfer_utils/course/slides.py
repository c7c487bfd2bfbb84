"""Lessons as slides: HTML files that need no server and no network, made with the copy of reveal.js in sphinx-revealjs.

A cell says in its metadata where it stands, ``slideshow.slide_type``, as Jupyter's cell toolbar writes it:

=============  ====================================================================================
slide          starts a slide
subslide       starts a slide as well; in the overview (Esc) it stands below the one before
fragment       appears at the next key press; the cells after it without a type appear with it
notes          for the speaker: press S for a second window with notes, clock and next slide
skip           is not on the slides
``-``, none    continues the slide, or the fragment, that is open
=============  ====================================================================================

Tags choose what a slide shows of a code cell: ``hide-input`` leaves the code out, ``hide-output`` the outputs
(the tags of Jupyter Book). What is printed to stderr, and live widgets, are never shown. A slide without a heading
repeats the title of the one before it, in grey.

Keys: arrows or Space to go on, Esc for the overview, F for the full screen, S for the notes. To print or make a PDF,
open ``NN_name.html?print-pdf`` in Chromium or Chrome and print it in landscape, with background graphics, without
margins: one page a slide.
"""

from __future__ import annotations

import html
import importlib.util
import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from nbformat import NotebookNode

from ..runtime.files import write_atomically
from .editions import read_notebook
from .slide_cells import cell_html
from .slide_safety import loaded_from_the_web, refuse_what_acts, without_loose_sections
from .slide_text import markdown_html

NEEDED = {"sphinx_revealjs": "sphinx-revealjs", "latex2mathml": "latex2mathml"}  # module -> what pip calls it
HEADING = re.compile(r"<h([1-3])\b[^>]*>(.*?)</h\1>", re.DOTALL)
STARTS, TYPES = ("slide", "subslide"), ("slide", "subslide", "fragment", "notes", "skip", "-")
FONT = "dist/theme/fonts/source-sans-pro"
REVEAL = ("LICENSE", "dist/reset.css", "dist/reveal.css", "dist/reveal.js", "plugin/notes/notes.js", f"{FONT}/LICENSE",
          f"{FONT}/source-sans-pro.css",
          *(f"{FONT}/source-sans-pro-{cut}.woff" for cut in ("regular", "italic", "semibold", "semibolditalic")),
          )  # fmt: skip


@dataclass
class Slide:
    """The cells of one slide. ``blocks`` appear one after the other; the first has no cells where a fragment opens."""

    below: bool  # a subslide
    blocks: list[list[NotebookNode]] = field(default_factory=lambda: [[]])
    notes: list[NotebookNode] = field(default_factory=list)


def write_slides(paths: Sequence[Path], out: Path) -> list[Path]:
    """Write one HTML file a lesson into ``out``, and what they share into ``out/reveal.js``.

    Lessons without slide types are left out, which is said on stderr.

    Returns:
        The HTML files, in the order of the lessons.

    Raises:
        RuntimeError: a package is missing, with the command that installs it.
        ValueError: no lesson has slide types, or a slide cannot be made; with lesson and slide.
    """
    reveal = _reveal()
    notebooks = {Path(path): read_notebook(path) for path in paths}
    shown = {path: notebook for path, notebook in notebooks.items() if slide_count(notebook)}
    for path in [path for path in notebooks if path not in shown]:
        print(f"{path.name}: no cell has a slide type, so there are no slides of it.", file=sys.stderr)
    if not shown:
        raise ValueError("no cell of these lessons has a slide type. Set it in JupyterLab: the property inspector, "
                         "Common Tools, Slide Type.")  # fmt: skip
    decks = {path.stem for path in shown}
    pages = {Path(out) / f"{path.stem}.html": deck_html(notebook, path, decks) for path, notebook in shown.items()}
    for name in REVEAL:
        write_atomically(Path(out) / "reveal.js" / name, lambda part, name=name: shutil.copyfile(reveal / name, part))
    for target, page in pages.items():
        write_atomically(target, lambda part, page=page: part.write_text(page, encoding="utf-8"))
    return list(pages)


def slide_count(notebook: NotebookNode) -> int:
    """Return how many slides, subslides included, a notebook makes; 0 where no cell has a slide type."""
    return len(slides_of(notebook)) if any(map(_slide_type, notebook.cells)) else 0


def slides_of(notebook: NotebookNode) -> list[Slide]:
    """Return the slides of a notebook, in order. The first cell that is shown starts one, whatever its type.

    Raises:
        ValueError: a slide type that is none.
    """
    slides: list[Slide] = []
    for cell in notebook.cells:
        kind = _slide_type(cell)
        if kind and kind not in TYPES:
            raise ValueError(f"the slide type {kind!r} of cell {cell.get('id', '?')} is none of {', '.join(TYPES)}.")
        if kind == "skip":
            continue
        if kind in STARTS or not slides:
            slides.append(Slide(below=kind == "subslide" and bool(slides)))
        if kind == "notes":
            slides[-1].notes.append(cell)
        elif kind == "fragment":
            slides[-1].blocks.append([cell])
        else:
            slides[-1].blocks[-1].append(cell)
    return slides


def deck_html(notebook: NotebookNode, path: Path, decks: set[str] = frozenset()) -> str:
    """Return the page with all slides of a notebook; it stands beside a folder ``reveal.js``.

    Args:
        path: of the notebook, for its pictures and for messages.
        decks: names of the lessons to whose slides a link may lead.

    Raises:
        ValueError: a slide is empty, cannot be drawn, holds a script or a frame, or would load something from the web.
    """
    import jinja2

    from ..lesson import plots

    stacks: list[list[dict]] = []
    title = ""
    for number, slide in enumerate(slides_of(notebook), 1):
        try:
            drawn = _drawn(slide, number, path.parent, decks) | {"title_before": title}
        except ValueError as error:
            raise ValueError(f"{path.name}, slide {number}: {error}") from error
        title = drawn["title"] or title
        stacks += [] if slide.below else [[]]
        stacks[-1].append(drawn)
    here = files(__package__)
    colours = {name: getattr(plots, name.upper()) for name in ("blue", "orange", "green", "pink", "sky", "red", "grey")}
    environment = jinja2.Environment(autoescape=False, trim_blocks=True, lstrip_blocks=True)
    page = environment.from_string((here / "slides.html.j2").read_text(encoding="utf-8")).render(
        title=_title(notebook, path), stacks=stacks, total=number, colours=colours,
        style=(here / "slides.css").read_text(encoding="utf-8"),
    )  # fmt: skip
    if web := loaded_from_the_web(page):
        raise ValueError(f"{path.name}: the slides would load {web[0]}, and they must work without a network.")
    return page


def _drawn(slide: Slide, number: int, folder: Path, decks: set[str]) -> dict:
    """Return what the template needs to know of a slide."""
    blocks = ["\n".join(filter(None, (cell_html(cell, folder, decks) for cell in cells))) for cells in slide.blocks]
    if not any(blocks):
        raise ValueError("nothing is shown on it. Was the notebook run? Or do tags hide both code and outputs?")
    notes = without_loose_sections("\n".join(markdown_html(cell.source, folder, decks) for cell in slide.notes))
    refuse_what_acts("\n".join([*blocks, notes]))
    heading = HEADING.search("\n".join(blocks))
    return {"number": number, "title": heading[2] if heading else "", "first": blocks[0],
            "fragments": list(filter(None, blocks[1:])), "notes": notes, "is_title": "<h1" in blocks[0]}  # fmt: skip


def _slide_type(cell: NotebookNode) -> str:
    return cell.metadata.get("slideshow", {}).get("slide_type", "")


def _title(notebook: NotebookNode, path: Path) -> str:
    """Return the first heading of a notebook, or its file's name."""
    headings = (re.search(r"^# +(.+)$", cell.source, re.M) for cell in notebook.cells if cell.cell_type == "markdown")
    return html.escape(next((found[1].strip() for found in headings if found), path.stem))


def _reveal() -> Path:
    """Return the folder of reveal.js 5 in the package sphinx_revealjs, which is not imported.

    Raises:
        RuntimeError: a package that slides need is missing.
    """
    found = {name: importlib.util.find_spec(name) for name in NEEDED}
    if missing := [NEEDED[name] for name, spec in found.items() if spec is None]:
        raise RuntimeError(f"slides need {' and '.join(missing)}: python -m pip install {' '.join(missing)}")
    folder = Path(found["sphinx_revealjs"].origin).parent / "_static" / "revealjs"
    if absent := [name for name in REVEAL if not (folder / name).is_file()]:
        raise RuntimeError(f"the installed sphinx-revealjs lacks {absent[0]}: "
                           "python -m pip install --upgrade 'sphinx-revealjs>=3.2'")  # fmt: skip
    return folder
