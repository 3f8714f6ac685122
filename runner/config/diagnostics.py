"""Findings about files as data: where, which rule, what, and how to mend it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
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
