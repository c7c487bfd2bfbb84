"""Markdown, formulas and code as HTML for slides: drawn before they are shown, so that no script is needed."""

from __future__ import annotations

import html
import re
from pathlib import Path

from nbconvert.filters.markdown_mistune import InvalidNotebook, IPythonRenderer, MarkdownWithMath, MathInlineParser

from .slide_safety import is_web_address

# Code and printed text: as large as the longest line allows, in pixels of a page that is 1280 wide.
LINE_WIDTH, LARGEST_CODE, SMALLEST_CODE, SENTENCE = 1120, 24, 18, 22
# In HTML between Markdown, such as a <summary>: a tag, which is left as it is, or a formula.
_TEXT_FORMULA = re.compile(r"<[^>]*>|(?<![$\\])\$([^$<>\n]+)(?<!\\)\$")
# In MathML of latex2mathml: the name of a function, whatever scripts follow it, and what stands before and after.
_FUNCTION = re.compile(
    r"(?P<before></m(?:i|n|frac|su[bp]|subsup)>)?(?P<scripts><m(?:su[bp]|subsup|under)>)?"
    r"<m(?P<tag>[io])>(?P<name>[a-zA-Z]{2,})</m(?P=tag)>(?P<opened>(?:<mrow>)?<mo[^>]*>(?:[(\[{]|&#x00028;|&#x0005B;|&#x0007B;))?"
)
_UPRIGHT = re.compile(r'<mrow>((?:<mi mathvariant="normal">[^<]+</mi>){2,})</mrow>')  # of \mathrm, letter by letter
_SCRIPTS_OF_LARGE = re.compile(r"(<m(?:su[bp]|subsup)>)(<mo minsize[^>]*>[^<]*</mo>)")
_IMG = re.compile(r"(<img\b[^>]*?\ssrc\s*=\s*)(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+))", re.IGNORECASE)  # up to its file
CHARACTER_WIDTH = 0.605  # of the size; DejaVu Sans Mono, the widest of the usual fonts of programs


def code_html(source: str) -> str:
    """Return Python code in colours, as large as its longest line allows."""
    from pygments import highlight
    from pygments.formatters import HtmlFormatter
    from pygments.lexers import get_lexer_by_name

    coloured = highlight(source.strip("\n"), get_lexer_by_name("ipython3"), HtmlFormatter(nowrap=True))
    return f'<pre class="code" style="font-size: {code_size(source)}px"><code>{coloured.rstrip()}</code></pre>'


def code_size(text: str, wrapped: int = SMALLEST_CODE) -> int:
    """Return the size in pixels at which the longest line of ``text`` fits.

    Args:
        wrapped: the size where it does not fit at the smallest size, so that lines are broken in any case.

    >>> code_size("x = 1"), code_size("x" * 100), code_size("x" * 200)
    (24, 18, 18)
    """
    longest = max(map(len, text.splitlines()), default=0) or 1
    fitting = int(LINE_WIDTH / (CHARACTER_WIDTH * longest))
    return min(LARGEST_CODE, fitting) if fitting >= SMALLEST_CODE else wrapped


def formula_html(latex: str, display: str = "inline") -> str:
    r"""Return a formula as MathML, which browsers draw without a script.

    Args:
        display: "inline" or "block".

    Raises:
        ValueError: it cannot be translated.

    >>> formula_html("x^2")[:5]
    '<math'
    """
    from latex2mathml.converter import convert

    try:
        drawn = convert(latex.strip(), display=display)
    except Exception as error:  # the library has no class of its own for all that can be wrong
        raise ValueError(f"The formula {latex.strip()!r} cannot be drawn ({type(error).__name__} {error}).") from error
    if unknown := re.search(r"<m\w+>(\\[a-zA-Z]+)", drawn):
        raise ValueError(f"The formula {latex.strip()!r} holds {unknown[1]}, which slides cannot draw.")
    return _set_as_tex_does(drawn)


def _set_as_tex_does(drawn: str) -> str:
    """Return MathML with a thin space around functions, words as words, and large brackets that have scripts."""
    drawn = _FUNCTION.sub(_with_thin_spaces, drawn)
    drawn = _UPRIGHT.sub(lambda found: f"<mi>{re.sub('<[^>]*>', '', found[1])}</mi>", drawn)
    return _SCRIPTS_OF_LARGE.sub(r"\1<mrow>\2</mrow>", drawn)  # browsers make brackets large only in a row


def _with_thin_spaces(found: re.Match[str]) -> str:
    before, scripts, opened = (found[name] or "" for name in ("before", "scripts", "opened"))
    left, right = ("0.167em" if wanted else "0em" for wanted in (before, not opened))
    return f'{before}{scripts}<mo lspace="{left}" rspace="{right}">{found["name"]}</mo>{opened}'


def markdown_html(source: str, folder: Path, decks: set[str], attachments: dict | None = None) -> str:
    """Return Markdown as HTML: formulas drawn, pictures embedded, links to lessons leading to their slides.

    Args:
        folder: of the notebook; its pictures lie there or below.
        decks: names of the lessons that have slides. Links to others, and to files, are left as text; links to the
            web stay links. A picture from the web (a badge) is left as its alternative text.
        attachments: pictures of the cell, as notebooks store them.

    Raises:
        ValueError: a formula cannot be drawn, or a picture is missing.
    """
    renderer = _Renderer(folder, decks, attachments or {})
    return MarkdownWithMath(renderer=renderer, inline=_Inline(hard_wrap=False)).render(source)


def embedded(content: str, folder: Path, attachments: dict | None = None) -> str:
    """Return HTML whose ``<img>`` hold their files; those of the web, and embedded ones, are left as they are.

    Raises:
        ValueError: a picture is missing.
    """
    renderer = _Renderer(folder, set(), attachments or {})
    return _IMG.sub(lambda found: f'{found[1]}"{renderer.picture(found[2] or found[3] or found[4] or "")}"', content)


class _Renderer(IPythonRenderer):
    """nbconvert's Markdown, without anything from the web."""

    def __init__(self, folder: Path, decks: set[str], attachments: dict):
        super().__init__(escape=False, exclude_anchor_links=True, embed_images=True, path=str(folder),
                         attachments=attachments)  # fmt: skip
        self.decks = decks

    def inline_math(self, body: str) -> str:
        return formula_html(body)

    def block_math(self, body: str) -> str:
        return formula_html(body, "block")

    def latex_environment(self, name: str, body: str) -> str:
        return formula_html(rf"\begin{{{name}}}{body}\end{{{name}}}", "block")

    def block_code(self, code: str, info: str | None = None) -> str:
        if info and info.strip().startswith("python"):
            return code_html(code)
        return (
            f'<pre class="printed" style="font-size: {code_size(code, SENTENCE)}px">{html.escape(code.rstrip())}</pre>'
        )

    def picture(self, url: str) -> str:
        """Return the address of a picture with the picture in it."""
        if is_web_address(url) or url.lower().startswith("data:"):
            return url
        try:
            drawn = self._embed_image_or_attachment(html.unescape(url))
        except (InvalidNotebook, OSError):
            drawn = ""
        if not drawn.startswith("data:"):
            raise ValueError(f"The picture {url} is not where the notebook looks for it.")
        return drawn

    def block_html(self, html: str) -> str:  # not as nbconvert reads it, which would close a <details> at once
        html = embedded(html, Path(self.path), self.attachments)
        return _TEXT_FORMULA.sub(lambda found: formula_html(found[1]) if found[1] else found[0], html) + "\n"

    def inline_html(self, html: str) -> str:
        return embedded(html, Path(self.path), self.attachments)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if is_web_address(url):
            return text
        return f'<span class="picture">{super().image(text, self.picture(url), title)}</span>'

    def link(self, text: str, url: str, title: str | None = None) -> str:
        lesson = re.fullmatch(r"(?:\./)?(\w+)\.ipynb(?:#.*)?", url)
        if lesson and lesson[1] in self.decks:
            return f'<a href="{lesson[1]}.html">{text}</a>'
        return f'<a href="{html.escape(url)}" target="_blank">{text}</a>' if is_web_address(url) else text


class _Inline(MathInlineParser):
    r"""Formulas as nbconvert knows them, and ``\(x\)`` and ``\[x\]`` with one backslash too."""

    SPECIFICATION = MathInlineParser.SPECIFICATION | {
        "inline_math_latex": r"(?s:\\{1,2}\((?P<math_inline_latex>.+?)\\{1,2}\))",
        "block_math_latex": r"(?s:\\{1,2}\[(?P<math_block_latex>.+?)\\{1,2}\])",
    }
