"""The schema of scenario files as the package carries it."""

from __future__ import annotations

import json
from functools import cache
from pkgutil import get_data
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

# The alternative of a pattern.
_PARAMETER = r"|\$\{[A-Za-z_][A-Za-z0-9_]*\}"


@cache
def packaged_text() -> str:
    """Return the schema's file as it stands."""
    data = get_data("runner.scenarios", "scenario.schema.json")
    assert data is not None  # None is for loaders without data, of namespace packages
    return data.decode("utf-8")


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
