"""Findings about files as data: where, which rule, what, and how to mend it."""

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

_SHOWN_LENGTH = 60  # of a quoted value: enough to know it again
# Control and surrogate characters, and the marks that turn the writing direction:
# a file must not be able to steer the terminal that its findings are shown on.
_UNSAFE = re.compile(
    "[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


@dataclass(frozen=True, slots=True, order=True)
class Edit:
    """Characters of a file to be replaced: offsets into its text, end exclusive."""

    start: int
    end: int
    text: str


@dataclass(frozen=True, slots=True)
class Fix:
    """How a finding can be mended by editing the file that it is about.

    A fix is safe when it does what the author surely meant; the others may change what
    the agent does and are applied only when asked for.
    """

    title: str  # what it does, as an imperative: "replace `voise` by `voice`"
    edits: tuple[Edit, ...]
    is_safe: bool = True


@dataclass(frozen=True, slots=True)
class Related:
    """Another place of the same file that a finding has to do with (1-based)."""

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
    """What a rule has to say about a place; id and severity come from the rule.

    `severity` replaces the rule's own for this finding. `spoils` is the path of a value
    that later rules should not build on, `meant` of one that is surely not missing: its
    key is misspelt.
    """

    place: Place
    message: str
    help: str | None = None
    fix: Fix | None = None
    severity: Severity | None = None
    spoils: Pointer | None = None
    meant: Pointer | None = None

    @property
    def unsound(self) -> tuple[Pointer, ...]:
        """The paths that nothing more is to be said about."""
        return tuple(path for path in (self.spoils, self.meant) if path is not None)


@dataclass(frozen=True, slots=True, order=True)
class Diagnostic:
    """One finding: where (1-based, in characters, end exclusive), which rule, what.

    Sorts by place. `help` says what to do about it, `fix` how a program can do it;
    `excerpt` is the source line, kept here so that a finding can be shown after its
    file is gone or changed.
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
    related: tuple[Related, ...] = (),
    fix: Fix | None = None,
) -> Diagnostic:
    """Build the finding about the characters of `span` in `source`."""
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
    """Return the fix that writes `new` for `old`; None where `old` is not written.

    That is so where the place is wider than the text: through an alias or an escape.
    """
    start, end = place.span
    if place.source.text[start:end] != old:
        return None
    return Fix(f"replace `{old}` by `{new}`", (Edit(start, end, new),), is_safe)


def quoted(value: Any) -> str:
    """Show a value of the file in a message: as JSON, short, safe for a terminal."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    if len(text) > _SHOWN_LENGTH:
        text = text[: _SHOWN_LENGTH - 1] + "…"
    return printable(text)


def printable(text: str) -> str:
    """Replace what could steer a terminal."""
    return _UNSAFE.sub("\ufffd", text)


# Findings as text for people: the source line, a caret range, notes and help.


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
