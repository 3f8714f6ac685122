"""Checks and loads scenario files: schema, rules, `Suite`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

from runner.config.files import (
    SUITE_BEGINNING,
    ParsedFile,
    read_agent_file,
)
from runner.config.lint.context import RuleContext
from runner.config.loader import describe_bare, run_rules
from runner.config.schema import SUITE_SCHEMA, Schema, find_violations, read_packaged
from runner.config.schema_errors import to_findings
from runner.errors import ConfigError, counted
from runner.testing.scenarios.drafts import combinations, fill

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from runner.config.diagnostics import Diagnostic, Finding
    from runner.config.schema import Violation
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document
    from runner.testing.scenarios.model import Suite


def load_suite(path: Path, *, variables: Mapping[str, str] | None = None) -> Suite:
    """Loads a scenario file to run it.

    `variables` override those of the scenarios. A variable without a value is not an
    error here, since it can be set later. Raises `ConfigError` with all findings if one
    of them is an error, and `FileUnreadable` if the file cannot be read.
    """
    reading = read_agent_file(path)
    found, inspection = _examine(reading, variables or {}, must_run=False)
    errors = sum(each.is_error for each in found)
    if errors or inspection is None:
        count = counted(errors, "error")
        raise ConfigError(f"{path} has {count}", found)
    from runner.testing.scenarios.builder import (
        build_suite,  # not needed to check a file
    )
    from runner.testing.scenarios.drafts import find_drafts

    drafts = inspection.fact(find_drafts)
    return build_suite(path, inspection.document, drafts, variables or {})


def check_suite(
    reading: ParsedFile,
    *,
    variables: Mapping[str, str] | None = None,
    must_run: bool = False,
) -> list[Diagnostic]:
    """Returns all findings about a scenario file that was read, sorted.

    Its agents are read and checked, too; no code of theirs is imported.
    A variable without a value is a warning, and an error with `must_run`.
    """
    found, _ = _examine(reading, variables or {}, must_run=must_run)
    return found


def _examine(
    reading: ParsedFile, variables: Mapping[str, str], *, must_run: bool
) -> tuple[list[Diagnostic], RuleContext | None]:
    document = reading.document
    if document is None or not isinstance(document.value, dict):
        return describe_bare(reading, "a scenario file", SUITE_BEGINNING), None
    from runner.testing.scenarios.rules import KNOWN

    faults = find_faults(document)
    inspection = RuleContext(
        document,
        reading.path.parent,
        {},
        variables,
        faults.invalid_paths,
        must_run=must_run,
        schema=SUITE_SCHEMA,
    )
    return run_rules(reading, inspection, faults.findings, KNOWN, {}), inspection


# Schema violations of scenario files, with parameters filled in.


# The parent of each key, for hints about misplaced keys.
_KEY_PARENTS = {
    **dict.fromkeys(("returns", "raises", "delay", "times", "match"), "mock"),
    **dict.fromkeys(("user_says", "after"), "llm"),
    **dict.fromkeys(("tool", "arguments", "matching", "fails"), "tool_call"),
    **dict.fromkeys(("silence_within", "latency_within", "tool_calls"), "expect"),
    **dict.fromkeys(("interruptions", "resumed", "never_says"), "expect"),
    **dict.fromkeys(("nothing_dropped", "no_errors"), "expect"),
    "never": "agent: {says: …}",
    "interrupts": "user: {says: …}",
    "drops": "connection",
    "by": "end",
    **dict.fromkeys(("turns", "parameters", "name"), "scenarios, in an entry"),
}


_PLACEHOLDER = re.compile(r"\$\{[^{}]*\}")
# Depth of a scenario's keys; deeper values with errors are not checked further.
_SHALLOW = 2


@dataclass(frozen=True, slots=True)
class SchemaErrors:
    """Schema violations, and the paths that rules must skip."""

    findings: list[tuple[str, Finding]]
    invalid_paths: frozenset[Pointer]


def find_faults(document: Document) -> SchemaErrors:
    """Returns the schema violations of a document that is a mapping."""
    found: dict[tuple[str, Pointer, str], Violation] = {}
    for above, each in _violations(document.value):
        path = _standing(document, (*above, *each.path))
        key = (each.keyword, path, str(each.expected))
        found.setdefault(key, replace(each, path=path))
    open_ = [each for each in found.values() if _is_open(document, each)]
    judged = [each for each in found.values() if each not in open_]
    findings = to_findings(document, judged, homes=_KEY_PARENTS)
    invalid_paths = {path for _, each in findings for path in each.invalid_paths}
    invalid_paths |= {each.path for each in open_}
    invalid_paths |= {path for _, path, _ in found if len(path) > _SHALLOW}
    return SchemaErrors(findings, frozenset(invalid_paths))


def _violations(value: dict[str, Any]) -> Iterator[tuple[Pointer, Violation]]:
    scenarios = value.get("scenarios")
    if not isinstance(scenarios, list):
        scenarios = []
    filled = {
        index: list(_fillings(each))
        for index, each in enumerate(scenarios)
        if isinstance(each, dict) and "parameters" in each
    }
    if filled:
        first = [filled[i][0] if i in filled else s for i, s in enumerate(scenarios)]
        value = {**value, "scenarios": first}
    schema = strict_schema()
    for each in find_violations(value, schema):
        yield (), each
    scenario = {"$ref": "#/$defs/scenario", "$defs": schema["$defs"]}
    for index, others in filled.items():
        for other in others[1:]:
            for each in find_violations(other, scenario):
                yield ("scenarios", index), each


def _fillings(scenario: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yields a scenario with each combination of its parameters filled in."""
    parameters = scenario["parameters"]
    for values in combinations(parameters):
        yield {
            key: value if key == "parameters" else fill(value, values, (key,))
            for key, value in scenario.items()
        }


def _is_open(document: Document, violation: Violation) -> bool:
    """True if it is about a `${name}` that is not a parameter.

    Rule VA703 has a better message for it.
    """
    text = violation.instance
    if not isinstance(text, str) or not _PLACEHOLDER.fullmatch(text):
        return False
    node = document.node(violation.path)
    return node is not None and node.value == text


def _standing(document: Document, path: Pointer) -> Pointer:
    """Returns the part of a path in the file; the rest is inside a parameter value."""
    node, depth = document.root, 0
    for part in path:
        below = node.child(part)
        if below is None:
            break
        node, depth = below, depth + 1
    return path[:depth]


# The packaged schema of scenario files.


# The alternative for parameters in a pattern.
_PARAMETER = r"|\$\{[A-Za-z_][A-Za-z0-9_]*\}"


def packaged_text() -> str:
    """Returns the text of the schema's file."""
    return read_packaged("runner.testing.scenarios", "scenario.schema.json")


def packaged_schema() -> Schema:
    """Returns the schema as editors have it."""
    schema: Schema = json.loads(packaged_text())
    return schema


@cache
def strict_schema() -> Schema:
    """Returns the schema for scenarios whose parameters are filled in.

    For editors `${name}` is valid as a time, number or boolean; here all parameters are
    already replaced. Callers must not modify the result.
    """
    schema = packaged_schema()
    for name, definition in schema["$defs"].items():
        if name == "duration":
            definition["pattern"] = definition["pattern"].replace(_PARAMETER, "")
        elif definition.get("title") == "value or parameter":
            del definition["pattern"], definition["patternErrorMessage"]
            definition["type"].remove("string")
    return schema
