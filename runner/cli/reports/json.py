"""Results as JSON: one document, or one object per line. Columns count characters."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.cli.reports.common import find_rule, placed_edits
from runner.config.lint.discovery import shown_path
from runner.testing.results import CallSeen, Report, ScenarioResult, Status, find_flakes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import CheckedFile, Results


# The version of this format; it increases only if an existing field changes meaning.
_VERSION = 1


def write_json(results: Results) -> str:
    """Returns one document with all results. Readers must ignore unknown fields."""
    document = {
        "version": _VERSION,
        "tool": {"name": "vagent", "version": __version__},
        "files": [str(each.path) for each in results.files],
        "unreadable": [
            {"path": str(each.path), "message": each.message}
            for each in results.unreadable
        ],
        "findings": list(_findings(results)),
        "summary": asdict(results.summary),
    }
    # ASCII, so that it is valid JSON in any encoding.
    return json.dumps(document, indent=2) + "\n"


def write_jsonl(results: Results) -> str:
    """Returns one object per line, distinguished by `type`; the summary is last."""
    lines: list[dict[str, Any]] = [
        {"type": "finding", **each} for each in _findings(results)
    ]
    lines += [
        {"type": "unreadable", "path": str(each.path), "message": each.message}
        for each in results.unreadable
    ]
    lines.append({"type": "summary", **asdict(results.summary)})
    return "".join(json.dumps(each) + "\n" for each in lines)


def _findings(results: Results) -> Iterator[dict[str, Any]]:
    for file in results.files:
        for found in file.findings:
            yield _object(file, found)


def _object(file: CheckedFile, found: Diagnostic) -> dict[str, Any]:
    edits = placed_edits(file, found)
    fix = None
    if found.fix is not None and edits is not None:
        fix = {
            "title": found.fix.title,
            "safe": found.fix.is_safe,
            "edits": [asdict(each) for each in edits],
        }
    return {
        "path": found.path,
        "line": found.line,
        "column": found.column,
        "end_line": found.end_line,
        "end_column": found.end_column,
        "rule": found.rule,
        "name": find_rule(found.rule).name,
        "severity": found.severity,
        "message": found.message,
        "help": found.help,
        "related": [asdict(each) for each in found.related],
        "fix": fix,
    }


# Results as one JSON object; keys may be added, none goes away.
#
# Two runs of the same scenarios on the scripted service give the same bytes: there are
# no dates, no machine's paths and no wall times in it.


def write_scenario_json(report: Report) -> str:
    """Writes one object."""
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
    """Returns one result as JSON data; what is empty is left out."""
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
        "hint": result.hint,
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
