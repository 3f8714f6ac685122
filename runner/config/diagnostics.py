"""A finding about a file as sortable data, and its text for a terminal."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.source import Source, Span

Severity = Literal["error", "warning"]

_SHOWN_LENGTH = 60  # of a quoted value: enough to know it again
_LINE_LENGTH = 120  # of a source line: longer ones are cut around the finding
# Control and surrogate characters, and the marks that turn the writing direction:
# a file must not be able to steer the terminal that its findings are shown on.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding: where (1-based, in characters, end exclusive), which rule, what.

    Sorts by place. `help` says what to do about it; `excerpt` is the source line, kept
    here so that a finding can be shown after its file is gone or changed.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    rule: str
    severity: Severity
    message: str
    help: str | None = None
    excerpt: str = field(default="", compare=False, repr=False)

    @property
    def is_error(self) -> bool:
        """Whether it fails the file (a warning does not)."""
        return self.severity == "error"

    def __str__(self) -> str:
        return printable(
            f"{self.path}:{self.line}:{self.column}: {self.severity}: "
            f"{self.message} [{self.rule}]"
        )


def diagnose(
    source: Source,
    span: Span,
    rule: str,
    message: str,
    help_: str | None = None,
    *,
    severity: Severity = "error",
) -> Diagnostic:
    """Build the finding about the characters of `span` in `source`."""
    line, column = source.point(span.start)
    end_line, end_column = source.point(max(span.start, span.end))
    return Diagnostic(
        source.path,
        line,
        column,
        end_line,
        end_column,
        rule,
        severity,
        message,
        help_,
        excerpt=source.line(line),
    )


def quoted(value: Any) -> str:
    """Show a value of the file in a message: as JSON, short, safe for a terminal."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _SHOWN_LENGTH:
        text = text[: _SHOWN_LENGTH - 1] + "…"
    return printable(text)


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return _UNSAFE.sub("\ufffd", text)


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
