from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

RULES = {"VA452", "VA454", "VA458", "VA459", "VA460"}


def check(folder: Path, properties: dict[str, Any]) -> list[Diagnostic]:
    tool = {
        "name": "find_lamp",
        "description": "Find a lamp by its colour.",
        "parameters": {"type": "object", "properties": properties},
        "http": {"url": "https://api.example.com/lamps"},
    }
    path = folder / "agent.yaml"
    agent = {"version": 1, "name": "a", "prompt": "Be brief.", "tools": [tool]}
    path.write_text(json.dumps(agent), "utf-8")
    return [e for e in check_file(path, environment={}) if e.rule in RULES]


@pytest.mark.parametrize(
    ("schema", "rules"),
    [
        ({"type": "string", "pattern": "[a-z]+"}, []),
        ({"type": "string", "pattern": "([a-z]+)*"}, ["VA452"]),
        ({"type": "string", "pattern": "([a-z]+)*", "examples": ["a" * 40]}, ["VA452"]),
        # No pattern and no reference stalls the check of the example.
        (
            {"type": "string", "pattern": "((a|b)|(a|c))*d", "examples": ["a" * 3_000]},
            ["VA452", "VA454"],
        ),
        (
            {
                "type": "string",
                "pattern": "(?!z)(a|aa)+",
                "examples": ["a" * 200 + "!"],
            },
            [],
        ),
        (
            {"type": "string", "pattern": ".*.*.*.*.*.*=", "default": "a" * 3_000},
            ["VA454"],
        ),
        ({"$dynamicRef": "http://127.0.0.1:9/x", "examples": ["a"]}, ["VA459"]),
        ({"type": "string", "examples": ["a", 1]}, ["VA454"]),
        ({"type": "integer", "default": 0, "minimum": 1}, ["VA454"]),
        ({"type": "integer", "default": 1, "minimum": 1}, []),
        ({"enum": ["a", "b"], "default": "c"}, ["VA454"]),
        ({"type": "array", "items": {"type": "string"}, "default": [1]}, ["VA454"]),
        ({"type": "string", "pattern": "^[0-9]{4}$", "examples": ["1234"]}, []),
        ({"type": "string", "pattern": "^[0-9]{4}$", "examples": ["12345"]}, ["VA454"]),
        ({"type": "string", "pattern": "[0-9", "examples": ["12"]}, []),
        ({"type": "string", "format": "date"}, []),
        ({"type": "integer", "format": "int64"}, []),
        ({"type": "string", "format": "phone"}, ["VA458"]),
        ({"type": "string", "format": "datetime"}, ["VA458"]),
        ({"description": "Anything."}, ["VA459"]),
        ({}, ["VA459"]),
        ({"$ref": "#/properties/a"}, []),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, []),
        ({"typ": "string"}, []),
    ],
)
def test_what_an_argument_says_of_itself(
    tmp_path: Path, schema: dict[str, Any], rules: list[str]
) -> None:
    assert [each.rule for each in check(tmp_path, {"a": schema})] == rules


def test_a_misspelt_format_can_be_fixed(tmp_path: Path) -> None:
    (found,) = check(tmp_path, {"a": {"type": "string", "format": "datetime"}})
    assert found.help == "did you mean `date-time`?"


def nested(depth: int) -> dict[str, Any]:
    inner: dict[str, Any] = {"type": "integer"}
    for _ in range(depth):
        inner = {"type": "object", "properties": {"a": inner}}
    return inner


@pytest.mark.parametrize(
    ("properties", "is_found"),
    [
        ({"a": nested(3)}, False),
        ({"a": nested(4)}, True),
        ({f"a{i}": {"type": "integer"} for i in range(25)}, False),
        ({f"a{i}": {"type": "integer"} for i in range(26)}, True),
        ({"a": {"type": "string", "description": "x" * 20_000}}, True),
    ],
)
def test_arguments_can_be_too_many(
    tmp_path: Path, properties: dict[str, Any], is_found: bool
) -> None:
    found = check(tmp_path, properties)
    assert [each.rule for each in found] == ["VA460"] * is_found
