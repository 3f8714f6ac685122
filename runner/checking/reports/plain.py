"""Findings as text for people, with the source lines or a line each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.rendering import headline, render

if TYPE_CHECKING:
    from runner.config.lint.results import Results


def write_text(results: Results) -> str:
    """Write each finding with its source line, a caret range and help."""
    return render(results.findings)


def write_coloured_text(results: Results) -> str:
    """Write the same for a terminal that has colours."""
    return render(results.findings, colour=True)


def write_concise(results: Results) -> str:
    """Write each finding as one line: `path:line:column: severity: message [rule]`."""
    return "".join(f"{headline(each)}\n" for each in results.findings)


def write_coloured_concise(results: Results) -> str:
    """Write the same for a terminal that has colours."""
    return "".join(f"{headline(each, colour=True)}\n" for each in results.findings)
