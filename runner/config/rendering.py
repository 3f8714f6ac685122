"""Findings as text for people: the source line, a caret range, notes and help."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runner.config.diagnostics import printable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.diagnostics import Diagnostic

_LINE_LENGTH = 120  # of a source line: longer ones are cut around the finding

# Select Graphic Rendition (ECMA-48, 8.3.117): the colours that every terminal has.
_BOLD, _RED, _YELLOW, _BLUE, _CYAN = "1", "1;31", "1;33", "1;34", "1;36"


def render(diagnostics: Iterable[Diagnostic], *, colour: bool = False) -> str:
    """Write findings as text: a line each, the source line, a caret range, the help.

    Ends with a line break unless there are none. `colour` is for terminals.
    """
    return "".join(_render_one(each, _Pen(colour)) for each in diagnostics)


def headline(found: Diagnostic, *, colour: bool = False) -> str:
    """Write a finding as one line: the place, the severity, the message, the rule."""
    if not colour:
        return str(found)
    pen = _Pen(True)
    place = pen(_BOLD, printable(f"{found.path}:{found.line}:{found.column}:"))
    severity = pen(_RED if found.is_error else _YELLOW, f"{found.severity}:")
    rule = pen(_CYAN, f"[{found.rule}]")
    return f"{place} {severity} {printable(found.message)} {rule}"


@dataclass(frozen=True, slots=True)
class _Pen:
    """Writes a text in a colour, or plainly."""

    has_colour: bool

    def __call__(self, colour: str, text: str) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self.has_colour and text else text


def _render_one(found: Diagnostic, pen: _Pen) -> str:
    text = headline(found, colour=pen.has_colour) + "\n"
    number = str(found.line)
    margin = " " * len(number)
    bar, sign = pen(_BLUE, "|"), pen(_BLUE, "=")
    if found.excerpt:
        start = found.column - 1
        stop = found.end_column - 1 if found.end_line == found.line else None
        line, before, marked = _window(found.excerpt, start, stop)
        lead = _lead(before)
        length = max(1, sum(_width(each) for each in marked))
        caret = pen(_RED if found.is_error else _YELLOW, "^" * length)
        text += f"  {pen(_BLUE, number)} {bar} {line}\n"
        text += f"  {margin} {bar} {lead}{caret}\n"
    for each in found.related:
        place = f"line {each.line}, column {each.column}"
        note = f"{pen(_BOLD, 'note:')} {printable(each.message)} ({place})"
        text += f"  {margin} {sign} {note}\n"
    if found.help:
        text += f"  {margin} {sign} {pen(_BOLD, 'help:')} {printable(found.help)}\n"
    return text


def point_out(line: str, column: int) -> tuple[str, str]:
    """Return a source line as it is shown, and what puts a caret below a column."""
    shown, before, _ = _window(line, column - 1, column)
    return shown, f"{_lead(before)}^"


def _lead(before: str) -> str:
    # Tabs stay tabs in both lines, so the caret is right at any tab width.
    return "".join("\t" if each == "\t" else " " * _width(each) for each in before)


def _window(line: str, start: int, stop: int | None) -> tuple[str, str, str]:
    """Return the line to show, what stands before the mark, and what is marked.

    The mark is given by its offsets; without `stop` it goes to the line's end.
    """
    start = min(start, len(line))
    stop = len(line) if stop is None else stop
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
