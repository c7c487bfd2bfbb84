"""What may stand on a slide: nothing from the web, no scripts, and nothing that reaches out of its place."""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser

REFUSED = ("script", "iframe", "frame", "object", "embed", "base", "portal")  # these load or run what is not shown
_SECTION = re.compile(r"<(/?)section\b[^>]*>", re.IGNORECASE)
_STYLE = re.compile(r"(<style\b[^>]*>)(.*?)(</style\s*>)", re.IGNORECASE | re.DOTALL)
_NO_BRACES = re.compile(r"\"[^\"\n]*\"|'[^'\n]*'|/\*.*?\*/", re.DOTALL)  # strings and comments of a style


def is_web_address(url: str) -> bool:
    """Return whether ``url`` leads out of this machine."""
    return url.strip().lower().startswith(("http://", "https://", "//"))


def contained_output(content: str) -> str:
    """Return the HTML of an output whose styles count only inside of it, as those of a table of pandas.

    Raises:
        ValueError: a style, or a comment, is not closed.

    >>> contained_output("<style>td { color: red }</style>")
    '<style>.output {td { color: red } }</style>'
    """
    for begin, end in (("<style", "</style"), ("<!--", "-->")):
        if len(re.findall(begin, content, re.IGNORECASE)) != len(re.findall(end, content, re.IGNORECASE)):
            raise ValueError(f"an output holds {begin} without {end}, and would hide what comes after it.")
    return _STYLE.sub(lambda found: f"{found[1]}.output {{{_balanced(found[2])}}}{found[3]}", content)


def _balanced(style: str) -> str:
    """Return the rules of a style, or nothing where its braces would end the block around them."""
    depth = 0
    for brace in re.findall(r"[{}]", _NO_BRACES.sub("", style)):
        depth += 1 if brace == "{" else -1
        if depth < 0:
            return ""
    return style.rstrip() + " " if depth == 0 else ""


def without_loose_sections(content: str) -> str:
    """Return HTML in which a ``<section>`` without its end, or an end without its section, is shown as text.

    Slides are sections: a loose one would end the slide, or begin another.

    >>> without_loose_sections("<section>a</section></section>")
    '<section>a</section>&lt;/section&gt;'
    """
    found, open_ones, loose = list(_SECTION.finditer(content)), [], set()
    for place, tag in enumerate(found):
        if not tag[1]:
            open_ones.append(place)
        elif open_ones:
            open_ones.pop()
        else:
            loose.add(place)
    loose.update(open_ones)
    places = iter(range(len(found)))
    return _SECTION.sub(lambda tag: html.escape(tag[0]) if next(places) in loose else tag[0], content)


def refuse_what_acts(content: str) -> None:
    """Refuse the HTML of a slide that would run something, or lead away from the slides by itself.

    Raises:
        ValueError: there is a script, a frame, a handler such as onclick, or a refresh; the text says what to do.
    """
    parser = _Acting()
    parser.feed(content)
    if parser.found:
        raise ValueError(f"{parser.found[0]} stands on it, and slides show only what needs no script and no other page."
                         " Tag the cell hide-output, or show a picture.")  # fmt: skip


class _Acting(HTMLParser):
    """Collects what does something by itself, or at a click."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in REFUSED or (tag == "meta" and "http-equiv" in dict(attrs)):
            self.found.append(f"<{tag}>")
        for name, value in attrs:
            if re.fullmatch(r"on[a-z]+", name):
                self.found.append(f"<{tag} {name}=...>")
            elif re.match(r"\s*javascript:", value or "", re.IGNORECASE):
                self.found.append(f"<{tag} {name}=javascript:...>")


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

    LOADING = ("src", "href", "data", "poster", "xlink:href", "background")
    SEVERAL = ("srcset", "imagesrcset")  # addresses with a width or a density, separated by commas

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []
        self._in_style = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._in_style = tag == "style"
        for name, value in attrs:
            is_clicked = tag in ("a", "area") and name == "href"
            if not value or is_clicked:
                continue
            if name in self.LOADING:
                self.found += filter(is_web_address, [value])
            elif name in self.SEVERAL:
                self.found += filter(is_web_address, re.split(r"[\s,]+", value))
            elif name == "srcdoc":
                self.found += loaded_from_the_web(value)
            elif name == "style":
                self._read_style(value)

    def handle_endtag(self, tag: str) -> None:
        self._in_style = False

    def handle_data(self, data: str) -> None:
        if self._in_style:
            self._read_style(data)

    def _read_style(self, text: str) -> None:
        self.found += re.findall(r"(?:url\(\s*|@import\s+)[\"']?((?:https?:)?//[^\"')\s]+)", text, re.IGNORECASE)
