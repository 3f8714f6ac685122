"""What breaks the schema of scenario files, once parameters are filled in."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from runner.config.schema import find_violations
from runner.config.schema_errors import to_findings
from runner.scenarios.packaged import strict_schema
from runner.scenarios.parameters import combinations, fill

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.diagnostics import Finding
    from runner.config.schema_errors import Violation
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document

# Where keys belong that somebody has put elsewhere.
_HOMES = {
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
# Deeper than a scenario's own keys: what lacks a key there cannot be built upon.
_SHALLOW = 2


@dataclass(frozen=True, slots=True)
class SchemaErrors:
    """What breaks the schema, and the paths that nothing more is to be said about."""

    findings: list[tuple[str, Finding]]
    unsound: frozenset[Pointer]


def find_faults(document: Document) -> SchemaErrors:
    """Return what breaks the schema in a document that is a mapping."""
    found: dict[tuple[str, Pointer, str], Violation] = {}
    for above, each in _violations(document.value):
        path = _standing(document, (*above, *each.path))
        key = (each.keyword, path, str(each.expected))
        found.setdefault(key, replace(each, path=path))
    open_ = [each for each in found.values() if _is_open(document, each)]
    judged = [each for each in found.values() if each not in open_]
    findings = to_findings(document, judged, homes=_HOMES)
    unsound = {path for _, each in findings for path in each.unsound}
    unsound |= {each.path for each in open_}
    unsound |= {path for _, path, _ in found if len(path) > _SHALLOW}
    return SchemaErrors(findings, frozenset(unsound))


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
    """Yield a scenario with each combination of its parameters filled in."""
    parameters = scenario["parameters"]
    for values in combinations(parameters):
        yield {
            key: value if key == "parameters" else fill(value, values, (key,))
            for key, value in scenario.items()
        }


def _is_open(document: Document, violation: Violation) -> bool:
    """Whether it is about a `${name}` that is none of the parameters.

    A rule has the better word for it.
    """
    text = violation.instance
    if not isinstance(text, str) or not _PLACEHOLDER.fullmatch(text):
        return False
    node = document.node(violation.path)
    return node is not None and node.value == text


def _standing(document: Document, path: Pointer) -> Pointer:
    """Return the part of a path that is written out; the rest came of a parameter."""
    node, depth = document.root, 0
    for part in path:
        below = node.child(part)
        if below is None:
            break
        node, depth = below, depth + 1
    return path[:depth]
