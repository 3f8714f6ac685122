"""The schema of scenario files as the package carries it."""

from __future__ import annotations

import json
from functools import cache
from pkgutil import get_data
from typing import Any, TypeAlias

Schema: TypeAlias = dict[str, Any]


@cache
def packaged_text() -> str:
    """Return the schema's file as it stands."""
    data = get_data("runner.scenarios", "scenario.schema.json")
    assert data is not None  # None is for loaders without data, of namespace packages
    return data.decode("utf-8")


@cache
def packaged_schema() -> Schema:
    """Return the schema; nobody changes it."""
    schema: Schema = json.loads(packaged_text())
    return schema
