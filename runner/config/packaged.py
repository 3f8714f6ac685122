"""The agent schema as the package carries it."""

from __future__ import annotations

import json
from functools import cache
from pkgutil import get_data
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]

# The definitions of tool kinds are called by this and the kind's key.
KIND = "kind_"


@cache
def read_packaged(package: str, name: str) -> str:
    """Return the text of a file that a package carries."""
    # importlib.resources would do it too, and cost 4 ms to import.
    data = get_data(package, name)
    assert data is not None  # None is for loaders without data, of namespace packages
    return data.decode("utf-8")


def packaged_text() -> str:
    """Return the text of the schema's file."""
    return read_packaged("runner.config", "agent.schema.json")


def packaged_schema() -> Schema:
    """Return the schema with the built-in kinds, as the package carries it."""
    schema: Schema = json.loads(packaged_text())
    return schema


def builtin_kinds() -> dict[str, Schema]:
    """Return the schemas of the kinds that the packaged schema holds, by their key."""
    return {
        name.removeprefix(KIND): schema
        for name, schema in packaged_schema()["$defs"].items()
        if name.startswith(KIND)
    }
