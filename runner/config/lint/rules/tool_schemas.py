"""Rules VA408 and VA410: the JSON Schema of a tool's arguments."""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding
from runner.config.rules.rule import rule
from runner.config.schema_errors import to_findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer


@rule("VA408", "parameters-no-schema")
def parameters_no_schema(inspection: RuleContext) -> Iterator[Finding]:
    """`parameters` is not a JSON Schema.

    The service takes JSON Schema 2020-12 for an object: `properties` by name, each
    with a `type`, and the names that a call must have under `required`.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: strnig}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string}}
            http: {url: "https://api.example.com/look"}
    """
    from runner.config.schema import find_schema_violations

    for tool in inspection.tools():
        path = (*tool, "parameters")
        schema = inspection.get(path, dict)
        if schema is None:
            continue
        violations = find_schema_violations(schema)
        for _, found in to_findings(inspection.document, violations, above=path):
            yield found


@rule("VA410", "pattern-not-regular")
def pattern_not_regular(inspection: RuleContext) -> Iterator[Finding]:
    """A `pattern` is not a regular expression of Python's.

    The service matches it with Python's `re`, and refuses the tool otherwise.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string, pattern: "[a-z"}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string, pattern: "[a-z]+"}}
            http: {url: "https://api.example.com/look"}
    """
    for tool in inspection.tools():
        path = (*tool, "parameters")
        for where, pattern in find_patterns(inspection.get(path, dict), path):
            if not inspection.is_sound(where):
                continue
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # what works is not a finding
                    re.compile(pattern)
            except (re.error, RecursionError, OverflowError) as error:
                message = f"`pattern` is not a regular expression: {error}"
                help_ = "single quotes keep backslashes as they are"
                place = inspection.value(where)
                yield Finding(place, message, help_, spoils=where)


def find_patterns(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yield every `pattern` keyword of a schema.

    A property that is called "pattern" is a mapping, so it is not taken for one.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "pattern" and isinstance(each, str):
                yield (*path, key), each
            elif key not in ("default", "examples", "enum", "const"):
                yield from find_patterns(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from find_patterns(each, (*path, index))
