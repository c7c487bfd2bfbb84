"""One cell of a notebook as the HTML of a slide: its text, or its code and what the code put out."""

from __future__ import annotations

import html
from pathlib import Path
from urllib.parse import quote

from nbconvert.filters import ansi2html, strip_ansi
from nbformat import NotebookNode

from .editions import tags
from .slide_safety import contained_output, without_loose_sections
from .slide_text import SENTENCE, code_html, code_size, embedded, formula_html, markdown_html

# What is shown of an output that Jupyter stored in several forms: the still picture first.
FORMS = ("image/png", "image/jpeg", "image/svg+xml", "text/html", "text/markdown", "text/latex", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"


def cell_html(cell: NotebookNode, folder: Path, decks: set[str]) -> str:
    """Return what a slide shows of a cell; nothing where all of it is hidden.

    The tag ``hide-input`` leaves the code out, ``hide-output`` the outputs. Of the outputs, stderr and live widgets
    are left out too: a widget's still picture is stored when ``COURSE_STATIC`` is set. Styles of an output count only
    inside of outputs, and a ``<section>`` that is not balanced is shown as text, since slides are sections.

    Args:
        folder: the folder of the notebook, from which its pictures are read.
        decks: names of the lessons that have slides; links to others are left as text.

    Raises:
        ValueError: a formula cannot be drawn, a picture is missing, or an output is an error.
    """
    if cell.cell_type == "markdown":
        return without_loose_sections(markdown_html(cell.source, folder, decks, cell.get("attachments", {})))
    if cell.cell_type != "code":
        return ""
    parts = [] if "hide-input" in tags(cell) or not cell.source.strip() else [code_html(cell.source)]
    if "hide-output" not in tags(cell):
        parts += [_output(output, folder, decks) for output in cell.outputs]
    return without_loose_sections("\n".join(filter(None, parts)))


def _output(output: NotebookNode, folder: Path, decks: set[str]) -> str:
    if output.output_type == "stream":
        return _printed(output.text) if output.name == "stdout" else ""
    if output.output_type == "error":
        raise ValueError(f"a cell ended with {output.ename}: {output.evalue}. Run the notebook without errors first.")
    form = next((form for form in FORMS if form in output.data), "")
    if not form or (WIDGET in output.data and not form.startswith("image/")):
        return ""
    content, alt = output.data[form], output.get("metadata", {}).get(form, {}).get("alt", "")
    match form:
        case "image/svg+xml":
            return _picture(f"{form};utf8,{quote(content)}", alt)
        case "image/png" | "image/jpeg":
            return _picture(f"{form};base64,{''.join(content.split())}", alt)
        case "text/html":
            return f'<div class="output">{contained_output(embedded(content, folder))}</div>'
        case "text/markdown":
            return f'<div class="output">{contained_output(markdown_html(content, folder, decks))}</div>'
        case "text/latex":
            return formula_html(content.strip().strip("$"), "block")
    return _printed(content)


def _picture(data: str, alt: str) -> str:
    return f'<div class="picture"><img src="data:{data}" alt="{html.escape(alt)}"></div>'


def _printed(text: str) -> str:
    """Return printed text; a line that must be broken is most often a sentence, which is large all the same."""
    text = text.strip("\n")
    size = code_size(strip_ansi(text), wrapped=SENTENCE)
    return f'<pre class="printed" style="font-size: {size}px">{ansi2html(text)}</pre>' if text else ""
