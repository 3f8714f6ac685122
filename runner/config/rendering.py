"""Findings as text for people: the source line, a caret range, notes and help."""

from __future__ import annotations

import unicodedata
from typing import TYPE_CHECKING

from runner.config.diagnostics import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.diagnostics import Diagnostic

_LINE_LENGTH = 120  # of a source line: longer ones are cut around the finding


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """Write findings as text: a line each, the source line, a caret range, the help.

    Ends with a line break unless there are none.
    """
    return "".join(_render_one(each) for each in diagnostics)


def _render_one(found: Diagnostic) -> str:
    text = f"{found}\n"
    number = str(found.line)
    margin = " " * len(number)
    if found.excerpt:
        line, before, marked = _window(found)
        # Tabs stay tabs in both lines, so the caret is right at any tab width.
        lead = "".join("\t" if each == "\t" else " " * _width(each) for each in before)
        caret = "^" * max(1, sum(_width(each) for each in marked))
        text += f"  {number} | {line}\n  {margin} | {lead}{caret}\n"
    for each in found.related:
        place = f"line {each.line}, column {each.column}"
        text += f"  {margin} = note: {printable(each.message)} ({place})\n"
    if found.help:
        text += f"  {margin} = help: {printable(found.help)}\n"
    return text


def _window(found: Diagnostic) -> tuple[str, str, str]:
    """Return the line to show, what stands before the mark, and what is marked."""
    line = found.excerpt
    start = min(found.column - 1, len(line))
    stop = found.end_column - 1 if found.end_line == found.line else len(line)
    cut = 0
    if len(line) > _LINE_LENGTH:
        cut = max(0, min(start - _LINE_LENGTH // 3, len(line) - _LINE_LENGTH))
        head = "…" if cut else ""
        tail = "…" if cut + _LINE_LENGTH < len(line) else ""
        line = head + line[cut + len(head) : cut + _LINE_LENGTH - len(tail)] + tail
    line = printable(line)
    start, stop = start - cut, min(stop - cut, len(line))
    return line, line[:start], line[start:stop]


def _width(character: str) -> int:
    """Columns that a terminal gives to a character (Unicode Annex 11)."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
