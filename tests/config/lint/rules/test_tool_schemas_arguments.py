from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.loader import check_file

RULES = {"VA450", "VA451", "VA453", "VA455", "VA456", "VA457"}


def check(folder: Path, parameters: Any) -> list[tuple[str, str]]:
    """Return the rules that are broken, each with the characters it marks."""
    tool = {
        "name": "look",
        "description": "Look.",
        "parameters": {"type": "object", **parameters},
        "http": {"url": "https://example.com/"},
    }
    agent = {"version": 1, "name": "a", "prompt": "p", "tools": [tool]}
    path = folder / "agent.yaml"
    path.write_text(json.dumps(agent), encoding="utf-8")
    return [
        (each.rule, each.excerpt[each.column - 1 : each.end_column - 1])
        for each in check_file(path, environment={})
        if each.rule in RULES
    ]


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"required": ["a"]}, ("VA450", "a")),
        ({"propertes": {}}, ("VA457", '"propertes"')),
        ({"properties": {"ab": {}}, "required": ["ba"]}, ("VA450", "ba")),
        ({"properties": {"a": {"enum": []}}}, ("VA451", "[")),
        ({"properties": {"a": {"enum": [1, 1]}}}, ("VA451", "1")),
        ({"properties": {"a": {"type": "integer", "enum": [True]}}}, ("VA451", "true")),
        ({"properties": {"a": {"type": "null", "items": {}}}}, ("VA453", '"items"')),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, ("VA455", "#/$defs/b")),
        (
            {"properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x"}}},
            ("VA455", "http://127.0.0.1:9/x"),
        ),
        (
            {"properties": {"a": {"items": {"minItems": 2, "maxItems": 1}}}},
            ("VA456", "1"),
        ),
    ],
)
def test_what_no_value_can_satisfy_is_marked(
    tmp_path: Path, parameters: Any, expected: tuple[str, str]
) -> None:
    assert check(tmp_path, parameters) == [expected]


@pytest.mark.parametrize(
    "parameters",
    [
        {"required": ["a"], "additionalProperties": True},
        {"properties": {"a": {}}, "anyOf": [{"required": ["b"]}]},
        {"properties": {"required": {"type": "string"}}, "required": ["required"]},
        {"properties": {"a": {"type": "number", "enum": [1, 2.5]}}},
        {"properties": {"a": {"type": "integer", "enum": [1.0]}}},
        {"properties": {"a": {"enum": [1, "1", True]}}},
        {"properties": {"a": {"type": "string", "enum": ["a", None]}}},
        {"properties": {"a": {"pattern": "a", "minimum": 3}}},
        {"properties": {"a": {"type": "integer", "format": "int64"}}},
        {"properties": {"a": {"type": "integer", "minimum": 0, "maximum": 0}}},
        {"properties": {"a": {"$ref": "#"}}},
        {"properties": {"a": {"note": 1, "unit": 2, "when": 3, "x-enum": 4}}},
        {"properties": {"a": {"default": {"$ref": "#/nowhere"}}}},
    ],
)
def test_what_can_be_satisfied_is_not_blamed(tmp_path: Path, parameters: Any) -> None:
    assert check(tmp_path, parameters) == []


@pytest.mark.parametrize(
    "broken",
    [
        *("*nothing", "!x y", ".inf", "[*nothing, 1]", "{a: *nothing}", "{1: 2}"),
        *("[null]", "[[]]", "[{}]", "{a: 1}", "{<<: 3}"),
    ],
)
@pytest.mark.parametrize(
    "keyword", ["type", "enum", "required", "pattern", "format", "examples", "default"]
)
def test_an_error_in_a_schema_is_reported_and_breaks_no_rule(
    tmp_path: Path, keyword: str, broken: str
) -> None:
    path = tmp_path / "agent.yaml"
    path.write_text(
        "version: 1\nname: a\nprompt: p\nsession: {max_duration: 5m}\ntools:\n"
        "  - name: look\n    description: Look something up.\n    parameters:\n"
        "      type: object\n      properties:\n"
        f"        word: {{type: string, maxLength: 9, {keyword}: {broken}}}\n"
        "    http: {url: 'https://api.example.com/'}\n".replace(
            "type: string, maxLength: 9, type", "maxLength: 9, type"
        ),
        "utf-8",
    )
    found = check_file(path, environment={})
    assert {each.line for each in found} <= {11}, [each.message for each in found]
