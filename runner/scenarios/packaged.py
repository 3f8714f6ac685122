"""The schema of scenario files as the package carries it."""

from __future__ import annotations

import json
from functools import cache

from runner.config.packaged import Schema, read_packaged

# The alternative of a pattern.
_PARAMETER = r"|\$\{[A-Za-z_][A-Za-z0-9_]*\}"


def packaged_text() -> str:
    """Return the text of the schema's file."""
    return read_packaged("runner.scenarios", "scenario.schema.json")


def packaged_schema() -> Schema:
    """Return the schema as editors have it."""
    schema: Schema = json.loads(packaged_text())
    return schema


@cache
def strict_schema() -> Schema:
    """Return the schema for scenarios whose parameters are filled in.

    An editor has to let `${name}` stand for a time, a number or a truth value; here it
    would be one that stands for nothing. Nobody changes the schema.
    """
    schema = packaged_schema()
    for name, definition in schema["$defs"].items():
        if name == "duration":
            definition["pattern"] = definition["pattern"].replace(_PARAMETER, "")
        elif definition.get("title") == "value or parameter":
            del definition["pattern"], definition["patternErrorMessage"]
            definition["type"].remove("string")
    return schema
