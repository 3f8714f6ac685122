"""Failures as workflow commands, which GitHub Actions shows beside the lines."""

from __future__ import annotations

import re

from runner.checking.reports.markup import workflow_command
from runner.checking.reports.places import shown_path
from runner.cli.reports.text import describe_failure, describe_rest
from runner.testing.results import Report, ScenarioResult, Status

# Longer than what a text that is quoted may have.
_FENCE = "`" * 8


def write_github(report: Report) -> str:
    """Write a workflow command for each scenario that did not pass."""
    return "".join(f"{_annotation(each, report)}\n" for each in report.failed)


def write_summary(report: Report) -> str:
    """Write the job's summary as Markdown."""
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
    """Escape a cell of a table: nothing in it is Markdown or HTML."""
    plain = re.sub(r"([\\`*_{}\[\]<>|~])", r"\\\1", text)
    return " ".join(plain.split())


def _annotation(result: ScenarioResult, report: Report) -> str:
    failure = result.failure
    place = failure.place if failure is not None else result.scenario.place
    properties = {
        "file": shown_path(place.path, report.root),
        "line": str(place.line),
        "col": str(place.column),
        "title": result.scenario.id,
    }
    return workflow_command("error", properties, describe_failure(result, report.root))
