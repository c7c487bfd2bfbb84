"""Source text without what changes nothing: comments, blank lines, docstrings, line breaks.

Made from tokens, so that it is the same under every version of Python that the course runs on, which the text of
``ast.unparse`` is not.
"""

from __future__ import annotations

import functools
import io
import keyword
import tokenize
from collections.abc import Iterator

_NO_SPACE_BEFORE, _NO_SPACE_AFTER, _CLOSING = {",", ")", "]", "}", ".", ":", ";"}, {"(", "[", "{", "."}, ")]}"


@functools.lru_cache(maxsize=2000)
def normalised(source: str) -> str:
    """Return the statement ``source`` as text that comments, line breaks, spaces and docstrings do not change.

    Example:
        >>> normalised("x = f(a,   # why\\n      b)")
        'x = f(a, b)'
    """
    lines, line, indent = [], [], 0
    for kind, text in _tokens(source):
        if kind == tokenize.INDENT:
            indent += 1
        elif kind == tokenize.DEDENT:
            indent -= 1
        elif kind == tokenize.NEWLINE:
            if line and not _is_lone_string(line):  # a docstring, or a string that nobody reads
                lines.append("    " * indent + _join(line))
            line = []
        else:
            line.append((kind, text))
    return "\n".join(lines)


def _tokens(source: str) -> Iterator[tuple[int, str]]:
    """Yield the tokens that count; a string is one token also where Python 3.12 or later takes it apart."""
    source_lines = source.splitlines(keepends=True)
    openings = {getattr(tokenize, name, None) for name in ("FSTRING_START", "TSTRING_START")} - {None}
    endings = {getattr(tokenize, name, None) for name in ("FSTRING_END", "TSTRING_END")} - {None}
    depth, start = 0, (0, 0)
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in openings:
            start = start if depth else token.start
            depth += 1
        elif token.type in endings:
            depth -= 1
            if not depth:
                yield tokenize.STRING, _between(source_lines, start, token.end)
        elif not depth and token.type not in (tokenize.COMMENT, tokenize.NL, tokenize.ENDMARKER):
            yield token.type, token.string


def _between(lines: list[str], start: tuple[int, int], end: tuple[int, int]) -> str:
    (first, left), (last, right) = start, end
    if first == last:
        return lines[first - 1][left:right]
    return "".join([lines[first - 1][left:], *lines[first : last - 1], lines[last - 1][:right]])


def _is_lone_string(line: list[tuple[int, str]]) -> bool:
    return len(line) == 1 and line[0][0] == tokenize.STRING


def _join(line: list[tuple[int, str]]) -> str:
    """Return the tokens of a logical line with spaces by a rule, and without commas at the end of a bracket."""
    text, before, least_commas = "", "", []  # how many more commas an open bracket needs to be what it is
    for number, (_, token) in enumerate(line):
        following = line[number + 1][1] if number + 1 < len(line) else ""
        inside = bool(least_commas)
        after_name = before.isidentifier() and not keyword.iskeyword(before) or before in (")", "]")
        if token in ("(", "[", "{"):
            is_tuple = (token == "[") == after_name if token != "{" else False
            least_commas.append(1 if is_tuple else 0)
        elif token in _CLOSING and least_commas:
            least_commas.pop()
        elif token == "," and least_commas:
            if least_commas[-1] <= 0 and following and following in _CLOSING:
                continue
            least_commas[-1] -= 1
        in_call = inside and "=" in (token, before)
        calls = token in ("(", "[") and after_name
        tight = not text or token in _NO_SPACE_BEFORE or before in _NO_SPACE_AFTER or in_call or calls
        text, before = text + ("" if tight else " ") + token, token
    return text
