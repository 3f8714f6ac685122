"""Renders check results as text for wide and narrow terminals."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from runner.cli.doctor_checks.model import CheckResult, State
from runner.config.diagnostics import printable

_MARKS = {State.OK: "✓", State.FAILED: "✗", State.SKIPPED: "–"}
# Words of the same length, for encodings without these marks and for screen readers.
_WORDS = {State.OK: "ok  ", State.FAILED: "FAIL", State.SKIPPED: "-   "}
# SGR codes of the 16 colors that every palette has, light or dark.
_COLORS = {State.OK: "32", State.FAILED: "1;31", State.SKIPPED: "2"}
_NAME_COLUMNS = 19
# Below this width the name has a line of its own.
_MIN_COLUMNS_WITH_NAME = 60
_MAX_COLUMNS = 100  # longer lines are hard to read


@dataclass(frozen=True, slots=True)
class ReportStyle:
    """The width of the report, with marks or words, with or without color."""

    columns: int = 80
    has_marks: bool = True
    has_color: bool = False


def render(result: CheckResult, style: ReportStyle) -> str:
    """Returns the lines of a result: the wrapped detail, then its fix, unwrapped.

    The fix is not wrapped so that it can be copied.
    """
    marks: Mapping[State, str] = _MARKS if style.has_marks else _WORDS
    mark = marks[result.state]
    margin = " " * (len(mark) + 1)
    if style.columns < _MIN_COLUMNS_WITH_NAME:
        head, indent = f"{mark} {result.name}", margin
        lines = [head, *_wrapped(result.detail, style, indent)]
    else:
        head = f"{mark} {result.name:<{_NAME_COLUMNS}}"
        indent = " " * len(head)
        lines = _wrapped(result.detail, style, indent)
        lines[0] = head + lines[0][len(head) :]
    if result.fix:
        arrow = "→" if style.has_marks else "->"
        lines.append(f"{indent}{arrow} {printable(result.fix)}")
    if style.has_color:
        colored = f"\x1b[{_COLORS[result.state]}m{mark.strip()}\x1b[0m"
        lines[0] = lines[0].replace(mark.strip(), colored, 1)
    return "\n".join(line.rstrip() for line in lines)


def summarize(results: list[CheckResult]) -> str:
    """Returns the last line: the number of failed checks."""
    failures = sum(each.state is State.FAILED for each in results)
    return f"{failures} of {len(results)} checks failed"


def _wrapped(text: str, style: ReportStyle, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        min(style.columns, _MAX_COLUMNS),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,  # paths and addresses are copied as well
        break_on_hyphens=False,
    ) or [indent]
