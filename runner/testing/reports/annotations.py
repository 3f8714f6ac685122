"""Failures as workflow commands, which GitHub Actions shows beside the lines."""

from __future__ import annotations

from runner.checking.reports.places import shown_path
from runner.testing.reports.text import describe_failure
from runner.testing.results import Report, ScenarioResult, Status


def write_github(report: Report) -> str:
    """Write a workflow command for each scenario that did not pass."""
    return "".join(f"{_annotation(each, report)}\n" for each in report.failed)


def write_summary(report: Report) -> str:
    """Write the job's summary as Markdown."""
    lines = ["### vagent test", "", "| scenario | result |", "|---|---|"]
    for result in report.results:
        if result.status is not Status.PASSED:
            name = result.scenario.id.replace("|", "\\|").replace("\n", " ")
            lines.append(f"| {name} | {result.status.value} |")
    counts = ", ".join(
        f"{report.count(status)} {status.value}"
        for status in Status
        if report.count(status)
    )
    return "\n".join([*lines[:2], counts or "no scenarios", "", *lines[2:], ""])


def _annotation(result: ScenarioResult, report: Report) -> str:
    failure = result.failure
    place = failure.place if failure is not None else result.scenario.place
    properties = {
        "file": shown_path(place.path, report.root),
        "line": str(place.line),
        "col": str(place.column),
        "title": result.scenario.id,
    }
    shown = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::error {shown}::{_data(describe_failure(result, report.root))}"


def _data(text: str) -> str:
    """Escape a message as the runner of GitHub Actions reads it."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
