"""Findings as workflow commands, which GitHub Actions shows beside the lines."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING

from runner.checking.catalogue import find_rule
from runner.checking.reports.markup import workflow_command
from runner.checking.reports.places import shown_path
from runner.config.diagnostics import printable

if TYPE_CHECKING:
    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import Results


def write_github(results: Results) -> str:
    """Write a workflow command for each finding and each file not read."""
    lines = [_annotation(each, results.root) for each in results.findings]
    for each in results.unreadable:
        place = {"file": shown_path(each.path, results.root), "title": "unreadable"}
        lines.append(workflow_command("error", place, each.message))
    return "".join(f"{line}\n" for line in lines)


def _annotation(found: Diagnostic, root: PurePath) -> str:
    path = shown_path(PurePath(found.path), root)
    places = {"file": path, "line": found.line, "endLine": found.end_line}
    if found.line == found.end_line:  # columns are taken within one line only
        places |= {"col": found.column, "endColumn": found.end_column}
    properties = {**places, "title": f"{found.rule} {find_rule(found.rule).name}"}
    # The log shows nothing but the message, so the place is in it once more.
    text = printable(f"{path}:{found.line}:{found.column}: {found.message}")
    text += f" [{found.rule}]"
    if found.help:
        text += f"\nhelp: {printable(found.help)}"
    return workflow_command(found.severity, properties, text)
