"""Results in the Test Anything Protocol, version 14 (testanything.org)."""

from __future__ import annotations

import json
from collections.abc import Iterator

from runner.cli.reports.json import result_object
from runner.testing.results import Report, ScenarioResult, Status

# Fields of the JSON result that are written.
_FIELDS = (
    "file",
    "line",
    "failure",
    "error",
    "hint",
    "transcript",
    "tool_calls",
    "seed",
    "recording",
)


def write_scenario_tap(report: Report) -> str:
    """Returns one line per scenario, and a YAML block (as JSON) for each failure."""
    lines = ["TAP version 14", f"1..{len(report.results)}"]
    for number, result in enumerate(report.results, 1):
        lines += _lines(number, result, report)
    return "\n".join(lines) + "\n"


def _lines(number: int, result: ScenarioResult, report: Report) -> Iterator[str]:
    name = result.scenario.id.replace("\\", "\\\\").replace("#", "\\#")
    name = " ".join(name.split()) + (f" (run {result.run + 1})" if result.run else "")
    is_fine = result.status in (Status.PASSED, Status.SKIPPED)
    point = f"{'ok' if is_fine else 'not ok'} {number} - {name}"
    if result.status is Status.SKIPPED:
        point += f" # SKIP {' '.join((result.error or '').split())}"
    yield point
    if not is_fine:
        content = result_object(result, report.root)
        yield "  ---"
        for key in _FIELDS:
            if content.get(key):
                # JSON is valid YAML.
                yield f"  {key}: {json.dumps(content[key], ensure_ascii=False)}"
        yield "  ..."
