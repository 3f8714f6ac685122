"""Annotations and the job summary for GitHub Actions."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import TYPE_CHECKING

from runner.cli.reports.common import find_rule, workflow_command
from runner.cli.reports.text import describe_rest
from runner.config.diagnostics import printable
from runner.config.lint.discovery import shown_path
from runner.testing.results import Report, ScenarioResult, Status, describe_failure

if TYPE_CHECKING:
    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import Results


def write_github(results: Results) -> str:
    """Returns a workflow command for each finding and each unreadable file."""
    lines = [_annotation(each, results.root) for each in results.findings]
    for each in results.unreadable:
        place = {"file": shown_path(each.path, results.root), "title": "unreadable"}
        lines.append(workflow_command("error", place, each.message))
    return "".join(f"{line}\n" for line in lines)


def _annotation(found: Diagnostic, root: PurePath) -> str:
    path = shown_path(PurePath(found.path), root)
    places = {"file": path, "line": found.line, "endLine": found.end_line}
    if found.line == found.end_line:  # GitHub accepts columns only within one line
        places |= {"col": found.column, "endColumn": found.end_column}
    properties = {**places, "title": f"{found.rule} {find_rule(found.rule).name}"}
    # The log shows only the message, so the message contains the location too.
    text = printable(f"{path}:{found.line}:{found.column}: {found.message}")
    text += f" [{found.rule}]"
    if found.help:
        text += f"\nhelp: {printable(found.help)}"
    return workflow_command(found.severity, properties, text)


# Longer than any fence inside the quoted text.
_FENCE = "`" * 8


def write_scenario_github(report: Report) -> str:
    """Returns a workflow command for each scenario that did not pass."""
    return "".join(f"{_scenario_annotation(each, report)}\n" for each in report.failed)


def write_summary(report: Report) -> str:
    """Returns the job summary as Markdown."""
    rows: list[str] = []
    for result in report.results:
        if result.status is not Status.PASSED:
            again = f" (run {result.run + 1})" if result.run else ""
            name = _cell(result.scenario.id + again)
            path = _cell(shown_path(result.scenario.place.path, report.root))
            rows.append(f"| {name} | {path} | {result.status.value} |")
    counts = ", ".join(
        f"{report.count(status)} {status.value}"
        for status in Status
        if report.count(status)
    )
    blocks = ["### vagent test", counts or "no scenarios"]
    if rows:
        blocks.append(
            "\n".join(["| scenario | file | result |", "|---|---|---|", *rows])
        )
    blocks += [f"{_FENCE}text\n{each}\n{_FENCE}" for each in describe_rest(report)]
    return "\n\n".join(blocks) + "\n"


def _cell(text: str) -> str:
    """Escapes Markdown and HTML in a table cell."""
    plain = re.sub(r"([\\`*_{}\[\]<>|~])", r"\\\1", text)
    return " ".join(plain.split())


def _scenario_annotation(result: ScenarioResult, report: Report) -> str:
    failure = result.failure
    place = failure.place if failure is not None else result.scenario.place
    properties = {
        "file": shown_path(place.path, report.root),
        "line": str(place.line),
        "col": str(place.column),
        "title": result.scenario.id,
    }
    return workflow_command("error", properties, describe_failure(result, report.root))
