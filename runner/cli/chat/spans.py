"""Styled text measured in the cells of a terminal: pure, and never wider than asked.

A line is a list of spans. Styles are roles, not colours: `paint` alone knows which
attributes a role has, and takes named colours of the terminal's own palette only, so
that light and dark backgrounds both work.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from rich.cells import cell_len, chop_cells


class Style(Enum):
    """What a piece of text is; the value is SGR attributes (ECMA-48, 8.3.117).

    Colours (30 to 37) are left out where they are not wanted, the rest stays.
    """

    PLAIN = ""
    CALLER = "1;36"
    AGENT = "1;35"
    DIM = "2"
    UNHEARD = "2;9"
    TOOL = "33"
    GOOD = "32"
    BAD = "31"
    STATE = "1"
    LEVEL = "36"
    LOUD = "35"
    KEY = "7"


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of a line in one style."""

    text: str
    role: Style = Style.PLAIN


Line: TypeAlias = list[Span]

_WORDS = re.compile(r"\s*\S+|\s+")


def width_of(spans: Iterable[Span]) -> int:
    """Return how many cells a line takes."""
    return sum(cell_len(span.text) for span in spans)


def fit(text: str, width: int, *, more: str = "…") -> str:
    """Cut a text to so many cells; what was cut is marked."""
    if cell_len(text) <= width:
        return text
    if width <= cell_len(more):
        return _head(text, width)
    return _head(text, width - cell_len(more)) + more


def fit_end(text: str, width: int, *, more: str = "…") -> str:
    """Keep the end of a text, in so many cells."""
    if cell_len(text) <= width:
        return text
    room = max(0, width - cell_len(more))
    while text and cell_len(text) > room:
        # Cells are at most two a character, so this is never too much.
        text = text[max(1, (cell_len(text) - room) // 2) :]
    return fit(more, width, more="") + text


def _head(text: str, width: int) -> str:
    if width <= 0 or not text:
        return ""
    head = chop_cells(text, width)[0] if width > 1 else text[:1]
    return head if cell_len(head) <= width else ""


def wrap(spans: Sequence[Span], width: int, indent: int = 0) -> list[Line]:
    """Break spans into lines at spaces; all but the first are indented.

    A word that is longer than a line is broken where the line ends.
    """
    width = max(width, 1)
    indent = min(indent, width // 2)
    lines: list[Line] = [[]]
    used = 0
    for word, role in _words(spans):
        size = cell_len(word)
        if used + size > width and used > (indent if len(lines) > 1 else 0):
            bare = word.lstrip()
            if cell_len(bare) <= width - indent:
                lines.append(_margin(indent))
                word, size, used = bare, cell_len(bare), indent
        while used + size > width:
            head = _head(word, width - used)
            if head:
                lines[-1].append(Span(head, role))
                word = word[len(head) :]
            elif used <= indent:  # not even one character of two cells has room
                word = word[1:]
            size = cell_len(word)
            if size:
                lines.append(_margin(indent))
                used = indent
        if word:
            lines[-1].append(Span(word, role))
            used += size
    return [_joined(line) for line in lines]


def _words(spans: Sequence[Span]) -> Iterable[tuple[str, Style]]:
    for span in spans:
        for word in _WORDS.findall(span.text):
            yield word, span.role


def _margin(indent: int) -> Line:
    return [Span(" " * indent)] if indent else []


def _joined(line: Line) -> Line:
    joined: Line = []
    for span in line:
        if joined and joined[-1].role is span.role:
            joined[-1] = Span(joined[-1].text + span.text, span.role)
        else:
            joined.append(span)
    return joined


@dataclass(frozen=True, slots=True)
class AnsiWriter:
    """Turns lines into what a terminal takes; without attributes, into plain text."""

    colours: bool = True
    attributes: bool = True

    def line(self, line: Iterable[Span]) -> str:
        """Return a line with its attributes, and none left open at its end."""
        return "".join(self._span(span) for span in line)

    def _span(self, span: Span) -> str:
        codes = span.role.value
        if codes and not self.colours:
            parts = [code for code in codes.split(";") if not code.startswith("3")]
            codes = ";".join(parts)
        if not codes or not self.attributes or not span.text:
            return span.text
        return f"\x1b[{codes}m{span.text}\x1b[0m"
