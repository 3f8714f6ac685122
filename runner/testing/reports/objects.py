"""Results as one JSON object; keys may be added, none goes away.

Two runs of the same scenarios on the scripted service give the same bytes: there are no
dates, no machine's paths and no wall times in it.
"""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import Any

from runner.checking.reports.places import shown_path
from runner.testing.flakes import find_flakes
from runner.testing.results import CallSeen, Report, ScenarioResult, Status


def write_json(report: Report) -> str:
    """Write one object."""
    counts = {status.value: report.count(status) for status in Status}
    content: dict[str, Any] = {
        "type": "vagent.test",
        "counts": counts,
        "results": [result_object(each, report.root) for each in report.results],
    }
    if report.coverage:
        content["coverage"] = [
            {"agent": shown_path(each.agent, report.root), **each.parts}
            for each in report.coverage
        ]
    flakes = find_flakes(report)
    if flakes:
        content["flakes"] = [
            {
                "scenario": flake.scenario,
                "file": shown_path(flake.place.path, report.root),
                "line": flake.place.line,
                "passed": flake.passed,
                "runs": flake.runs,
                "interval": [round(edge, 4) for edge in flake.interval],
            }
            for flake in flakes
        ]
    return json.dumps(content, indent=2, ensure_ascii=False) + "\n"


def result_object(result: ScenarioResult, root: PurePath) -> dict[str, Any]:
    """Return one result as JSON data; what is empty is left out."""
    scenario, failure = result.scenario, result.failure
    content: dict[str, Any] = {
        "scenario": scenario.id,
        "file": shown_path(scenario.place.path, root),
        "line": scenario.place.line,
        "agent": shown_path(scenario.agent, root),
        "service": result.service,
        "status": result.status.value,
        "seconds": result.seconds,
        "transcript": [{"by": speaker, "text": text} for speaker, text in result.said],
        "tool_calls": [_call(each) for each in result.calls],
        "latencies": list(result.waits),
        "interruptions": result.interruptions,
        "ended_by": result.ended_by,
    }
    if failure is not None:
        content["failure"] = {
            "line": failure.place.line,
            "column": failure.place.column,
            "expected": failure.expected,
            "actual": failure.came,
        }
    optional = {
        "run": result.run,
        "seed": result.seed,
        "error": result.error,
        "left_out": list(result.left_out),
        "verdicts": list(result.verdicts),
        "parameters": dict(scenario.parameters),
        "tags": list(scenario.tags),
    }
    if result.recording is not None:
        optional["recording"] = shown_path(result.recording, root)
    return content | {key: value for key, value in optional.items() if value}


def _call(call: CallSeen) -> dict[str, Any]:
    return {
        "tool": call.tool,
        "arguments": dict(call.arguments),
        "result": call.result,
        "is_error": call.is_error,
        "seconds": call.seconds,
    }
