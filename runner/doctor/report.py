"""Findings as lines that a person reads, on a wide terminal or a narrow one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

from runner.config.diagnostics import printable
from runner.doctor.findings import Finding, State

_MARKS = {State.OK: "✓", State.FAILED: "✗", State.SKIPPED: "–"}
# Words of one length: for terminals and encodings that know no marks, and for ears.
_WORDS = {State.OK: "ok  ", State.FAILED: "FAIL", State.SKIPPED: "-   "}
# SGR codes of the sixteen that every palette has, light or dark.
_COLOURS = {State.OK: "32", State.FAILED: "1;31", State.SKIPPED: "2"}
_NAME_WIDTH = 19
# Below this the name has a line of its own.
_NARROW = 60
_WIDEST = 100  # longer lines are hard to read


@dataclass(frozen=True, slots=True)
class Manners:
    """How lines are written: in so many columns, with marks or words, in colour."""

    columns: int = 80
    has_marks: bool = True
    has_colour: bool = False


def render(finding: Finding, manners: Manners) -> str:
    """Return the line of a finding, wrapped, and below it what mends it.

    What mends it is never wrapped: it is there to be copied.
    """
    marks: Mapping[State, str] = _MARKS if manners.has_marks else _WORDS
    mark = marks[finding.state]
    margin = " " * (len(mark) + 1)
    if manners.columns < _NARROW:
        head, indent = f"{mark} {finding.name}", margin
        lines = [head, *_wrapped(finding.detail, manners, indent)]
    else:
        head = f"{mark} {finding.name:<{_NAME_WIDTH}}"
        indent = " " * len(head)
        lines = _wrapped(finding.detail, manners, indent)
        lines[0] = head + lines[0][len(head) :]
    if finding.fix:
        arrow = "→" if manners.has_marks else "->"
        lines.append(f"{indent}{arrow} {printable(finding.fix)}")
    if manners.has_colour:
        paint = f"\x1b[{_COLOURS[finding.state]}m{mark.strip()}\x1b[0m"
        lines[0] = lines[0].replace(mark.strip(), paint, 1)
    return "\n".join(line.rstrip() for line in lines)


def summarise(findings: list[Finding]) -> str:
    """Return the last word: how many lines want mending."""
    bad = sum(each.state is State.FAILED for each in findings)
    if not bad:
        return f"nothing to mend ({len(findings)} lines)"
    return f"{bad} of {len(findings)} to mend"


def _wrapped(text: str, manners: Manners, indent: str) -> list[str]:
    return textwrap.wrap(
        printable(text),
        min(manners.columns, _WIDEST),
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,  # paths and addresses are copied, too
        break_on_hyphens=False,
    ) or [indent]
