"""One cell of a notebook as the HTML of a slide: its text, or its code and what the code put out."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote

from nbconvert.filters import ansi2html, strip_ansi
from nbformat import NotebookNode

from .editions import tags
from .slide_text import SENTENCE, code_html, code_size, formula_html, is_web_address, markdown_html

# What is shown of an output that Jupyter stored in several forms: the still picture first.
FORMS = ("image/png", "image/jpeg", "image/svg+xml", "text/html", "text/markdown", "text/latex", "text/plain")
WIDGET = "application/vnd.jupyter.widget-view+json"


def cell_html(cell: NotebookNode, folder: Path, decks: set[str]) -> str:
    """Return what a slide shows of a cell; nothing where all of it is hidden.

    The tag ``hide-input`` leaves the code out, ``hide-output`` the outputs. Of the outputs, stderr and live widgets
    are left out too: a widget's still picture is stored when ``COURSE_STATIC`` is set.

    Args:
        folder: the folder of the notebook, from which its pictures are read.
        decks: names of the lessons that have slides; links to others are left as text.

    Raises:
        ValueError: a formula cannot be drawn, a picture is missing, or an output is an error.
    """
    if cell.cell_type == "markdown":
        return markdown_html(cell.source, folder, decks, cell.get("attachments", {}))
    if cell.cell_type != "code":
        return ""
    parts = [] if "hide-input" in tags(cell) or not cell.source.strip() else [code_html(cell.source)]
    if "hide-output" not in tags(cell):
        parts += [_output(output, folder, decks) for output in cell.outputs]
    return "\n".join(filter(None, parts))


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
            return f'<div class="output">{content}</div>'
        case "text/markdown":
            return markdown_html(content, folder, decks)
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


# ------------------------------------------------------------ nothing from the web


def loaded_from_the_web(page: str) -> list[str]:
    """Return the web addresses that an HTML page would load when it is opened: scripts, styles, fonts, pictures.

    Links that a person may click are none of them.

    >>> loaded_from_the_web('<a href="https://a.org">a</a><img src="https://b.org/b.png">')
    ['https://b.org/b.png']
    """
    parser = _Loaded()
    parser.feed(page)
    return parser.found


class _Loaded(HTMLParser):
    """Collects the addresses that a page loads by itself."""

    LOADING = ("src", "href", "srcset", "data", "poster", "xlink:href")

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            is_clicked = tag in ("a", "area") and name == "href"
            if value and name in self.LOADING and not is_clicked and is_web_address(value):
                self.found.append(value)
            elif value and name == "style":
                self._read_style(value)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._read_style(data)

    def _read_style(self, text: str) -> None:
        self.found += re.findall(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", text)
