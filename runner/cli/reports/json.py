"""Results as JSON: one document, or an object a line; columns count characters."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.checking.catalogue import find_rule
from runner.checking.reports.places import placed_edits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.results import CheckedFile, Results

# Of this format: it grows only when something that was there changes its meaning.
_VERSION = 1


def write_json(results: Results) -> str:
    """Write one document with all that is known; readers ignore unknown fields."""
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
    # ASCII, so that it is JSON in whatever encoding it is written.
    return json.dumps(document, indent=2) + "\n"


def write_jsonl(results: Results) -> str:
    """Write an object a line, told apart by their `type`; the last is the summary."""
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
