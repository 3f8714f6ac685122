"""Findings about files: place, rule, message and fix, and their text form."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from runner.config.source import Source, Span
    from runner.config.yaml.nodes import Pointer


Severity = Literal["error", "warning"]

_MAX_QUOTE_LENGTH = 60  # of a quoted value: enough to recognize it
# Control and surrogate characters, and marks that change the writing direction: the
# content of a file must not control the terminal.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Replaces characters of a file: offsets into its text, end exclusive."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """A repair of a finding by edits of its file.

    A safe fix does what the author meant without doubt. Other fixes may change what the
    agent does and are applied only on request.
    """

    title: str  # imperative: "replace `voise` by `voice`"
    edits: tuple[Edit, ...]
    is_safe: bool = True


@dataclass(frozen=True, slots=True)
class Related:
    """Another place of the same file that is part of a finding (1-based)."""

    line: int
    column: int
    message: str


@dataclass(frozen=True, slots=True)
class Place:
    """The characters of a file that a finding is about."""

    source: Source
    span: Span
    related: tuple[Related, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of a rule at a place; id and severity come from the rule.

    `severity` overrides that of the rule. `invalidates` is the path of a value that
    later rules must skip. `intended` is the path of a value that is not missing,
    because its key is only misspelled.
    """

    place: Place
    message: str
    help: str | None = None
    fix: Fix | None = None
    severity: Severity | None = None
    invalidates: Pointer | None = None
    intended: Pointer | None = None

    @property
    def invalid_paths(self) -> tuple[Pointer, ...]:
        """The paths that later rules must skip."""
        return tuple(
            path for path in (self.invalidates, self.intended) if path is not None
        )


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding: where (1-based, in characters, end exclusive), which rule, what.

    Sorts by place. `help` is advice for people, `fix` the automatic repair. `excerpt`
    is the source line, kept so that a finding can be shown after its file has changed.
    """

    path: str
    line: int
    column: int
    end_line: int
    end_column: int
    rule: str
    severity: Severity
    message: str
    help: str | None = field(default=None, compare=False)
    related: tuple[Related, ...] = field(default=(), compare=False)
    fix: Fix | None = field(default=None, compare=False, repr=False)
    excerpt: str = field(default="", compare=False, repr=False)

    @property
    def is_error(self) -> bool:
        """True if the file is invalid because of it (a warning is not enough)."""
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
    related: tuple[Related, ...] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """Returns the diagnostic for the characters of `span` in `source`."""
    line, column = source.point(span.start)
    end_line, end_column = source.point(max(span.start, span.end))
    elsewhere = tuple(
        each for each in related if (each.line, each.column) != (line, column)
    )
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
        elsewhere,
        fix,
        excerpt=source.line(line),
    )


def replacement(
    place: Place, old: str, new: str, *, is_safe: bool = True
) -> Fix | None:
    """Returns the fix that replaces `old` with `new`; None if `place` is not `old`.

    The place differs from the text if it is an alias or has escapes.
    """
    start, end = place.span
    if place.source.text[start:end] != old:
        return None
    return Fix(f"replace `{old}` by `{new}`", (Edit(start, end, new),), is_safe)


def quoted(value: Any) -> str:
    """Returns a value for a message: as JSON, truncated, safe for a terminal."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _MAX_QUOTE_LENGTH:
        text = text[: _MAX_QUOTE_LENGTH - 1] + "…"
    return printable(text)


def printable(text: str) -> str:
    """Replaces characters that could control a terminal."""
    return _UNSAFE.sub("\ufffd", text)


# Text form of findings: the source line, a caret range, notes and help.

_MAX_LINE_LENGTH = 120  # longer source lines are truncated around the finding

# Select Graphic Rendition (ECMA-48, 8.3.117): the colors of every terminal.
_BOLD, _RED, _YELLOW, _BLUE, _CYAN = "1", "1;31", "1;33", "1;34", "1;36"


def render(diagnostics: Iterable[Diagnostic], *, color: bool = False) -> str:
    """Returns findings as text: headline, source line, caret range and help of each.

    Ends with a line break unless there are none. `color` adds terminal colors.
    """
    return "".join(_render_one(each, _Painter(color)) for each in diagnostics)


def headline(found: Diagnostic, *, color: bool = False) -> str:
    """Returns a finding as one line: place, severity, message, rule."""
    if not color:
        return str(found)
    paint = _Painter(True)
    place = paint(_BOLD, printable(f"{found.path}:{found.line}:{found.column}:"))
    severity = paint(_RED if found.is_error else _YELLOW, f"{found.severity}:")
    rule = paint(_CYAN, f"[{found.rule}]")
    return f"{place} {severity} {printable(found.message)} {rule}"


@dataclass(frozen=True, slots=True)
class _Painter:
    """Adds a color to a text, if enabled."""

    has_color: bool

    def __call__(self, color: str, text: str) -> str:
        return f"\x1b[{color}m{text}\x1b[0m" if self.has_color and text else text


def _render_one(found: Diagnostic, paint: _Painter) -> str:
    text = headline(found, color=paint.has_color) + "\n"
    number = str(found.line)
    margin = " " * len(number)
    bar, sign = paint(_BLUE, "|"), paint(_BLUE, "=")
    if found.excerpt:
        start = found.column - 1
        stop = found.end_column - 1 if found.end_line == found.line else None
        line, before, marked = _window(found.excerpt, start, stop)
        lead = _lead(before)
        length = max(1, sum(_width(each) for each in marked))
        caret = paint(_RED if found.is_error else _YELLOW, "^" * length)
        text += f"  {paint(_BLUE, number)} {bar} {line}\n"
        text += f"  {margin} {bar} {lead}{caret}\n"
    for each in found.related:
        place = f"line {each.line}, column {each.column}"
        note = f"{paint(_BOLD, 'note:')} {printable(each.message)} ({place})"
        text += f"  {margin} {sign} {note}\n"
    if found.help:
        text += f"  {margin} {sign} {paint(_BOLD, 'help:')} {printable(found.help)}\n"
    return text


def point_out(line: str, column: int) -> tuple[str, str]:
    """Returns a source line for display, and the line with a caret below `column`."""
    shown, before, _ = _window(line, column - 1, column)
    return shown, f"{_lead(before)}^"


def _lead(before: str) -> str:
    # Tabs stay tabs in both lines, so the caret is right at any tab width.
    return "".join("\t" if each == "\t" else " " * _width(each) for each in before)


def _window(line: str, start: int, stop: int | None) -> tuple[str, str, str]:
    """Returns the line for display, the part before the mark, and the marked part.

    `start` and `stop` are the offsets of the mark; without `stop` it ends with the
    line.
    """
    start = min(start, len(line))
    stop = len(line) if stop is None else stop
    cut = 0
    if len(line) > _MAX_LINE_LENGTH:
        cut = max(0, min(start - _MAX_LINE_LENGTH // 3, len(line) - _MAX_LINE_LENGTH))
        head = "…" if cut else ""
        tail = "…" if cut + _MAX_LINE_LENGTH < len(line) else ""
        line = head + line[cut + len(head) : cut + _MAX_LINE_LENGTH - len(tail)] + tail
    line = printable(line)
    start, stop = start - cut, min(stop - cut, len(line))
    return line, line[:start], line[start:stop]


def _width(character: str) -> int:
    """Returns the terminal columns of a character (Unicode Annex 11)."""
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
