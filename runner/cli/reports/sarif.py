"""Findings as SARIF 2.1.0 (OASIS), for code scanning services."""

from __future__ import annotations

import json
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from runner import __version__
from runner.cli.reports.common import all_rules, placed_edits, uri, with_fingerprints

if TYPE_CHECKING:
    from runner.config.diagnostics import Diagnostic
    from runner.config.lint.context import Rule
    from runner.config.lint.results import CheckedFile, Results

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/"
    "sarif-schema-2.1.0.json"
)
_ROOT = "%SRCROOT%"


def write_sarif(results: Results) -> str:
    """Returns a log of one run with all rules, also those without findings."""
    rules = all_rules()
    indices = {identifier: index for index, identifier in enumerate(rules)}
    files = {id(found): file for file in results.files for found in file.findings}
    found_results = [
        _result(files[id(found)], found, results.root)
        | {
            "ruleIndex": indices[found.rule],
            "partialFingerprints": {"vagentFinding/v1": fingerprint},
        }
        for found, fingerprint in with_fingerprints(results.root, results.findings)
    ]
    driver = {
        "name": "vagent",
        "version": __version__,
        "rules": [_descriptor(rule) for rule in rules.values()],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "originalUriBaseIds": {_ROOT: {"uri": _folder_uri(results.root)}},
        "invocations": [_invocation(results)],
        "artifacts": [
            {"location": _location(each.path, results.root)} for each in results.files
        ],
        "results": found_results,
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2) + "\n"


def _descriptor(rule: Rule) -> dict[str, Any]:
    level = {"level": rule.severity}
    head = {"id": rule.id, "name": rule.name, "defaultConfiguration": level}
    if not rule.text:  # under -OO
        return head
    about = rule.documentation
    markdown = (
        f"{about.why}\n\n"
        f"**Bad**\n\n```yaml\n{about.bad}```\n\n**Good**\n\n```yaml\n{about.good}```\n"
    )
    text = f"{about.why}\n\nBad:\n\n{about.bad}\nGood:\n\n{about.good}"
    return head | {
        "shortDescription": {"text": about.summary},
        "fullDescription": {"text": " ".join((about.why or about.summary).split())},
        "help": {"text": text.strip(), "markdown": markdown.strip()},
    }


def _invocation(results: Results) -> dict[str, Any]:
    return {
        "executionSuccessful": not results.unreadable,
        "toolExecutionNotifications": [
            {
                "level": "error",
                "message": {"text": each.message},
                "locations": [
                    {
                        "physicalLocation": {
                            "artifactLocation": _location(each.path, results.root)
                        }
                    }
                ],
            }
            for each in results.unreadable
        ],
    }


def _result(file: CheckedFile, found: Diagnostic, root: PurePath) -> dict[str, Any]:
    place = _location(PurePath(found.path), root)
    help_ = f"\n{found.help}" if found.help else ""
    region = {
        "startLine": found.line,
        "startColumn": found.column,
        "endLine": found.end_line,
        "endColumn": found.end_column,
    }
    physical: dict[str, Any] = {"artifactLocation": place, "region": region}
    if found.line == found.end_line:  # a context region must contain the region
        snippet = {"text": found.excerpt}
        physical["contextRegion"] = {"startLine": found.line, "snippet": snippet}
    result: dict[str, Any] = {
        "ruleId": found.rule,
        "level": found.severity,
        "message": {"text": found.message + help_},
        "locations": [{"physicalLocation": physical}],
    }
    if found.related:
        result["relatedLocations"] = [
            {
                "id": number,
                "message": {"text": each.message},
                "physicalLocation": {
                    "artifactLocation": place,
                    "region": {"startLine": each.line, "startColumn": each.column},
                },
            }
            for number, each in enumerate(found.related, 1)
        ]
    fix = _fix(file, found, place)
    return result | ({"fixes": [fix]} if fix else {})


def _fix(
    file: CheckedFile, found: Diagnostic, place: dict[str, Any]
) -> dict[str, Any] | None:
    edits = placed_edits(file, found)
    if found.fix is None or not edits:
        return None
    replacements = [
        {
            "deletedRegion": {
                "startLine": each.line,
                "startColumn": each.column,
                "endLine": each.end_line,
                "endColumn": each.end_column,
            },
            "insertedContent": {"text": each.text},
        }
        for each in edits
    ]
    change = {"artifactLocation": place, "replacements": replacements}
    return {"description": {"text": found.fix.title}, "artifactChanges": [change]}


def _location(path: PurePath, root: PurePath) -> dict[str, Any]:
    spelled, is_relative = uri(path, root)
    return {"uri": spelled} | ({"uriBaseId": _ROOT} if is_relative else {})


def _folder_uri(root: PurePath) -> str:
    return root.as_uri().rstrip("/") + "/"
