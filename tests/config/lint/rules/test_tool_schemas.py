from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runner.config.diagnostics import Diagnostic
from runner.config.loader import check_file

RULES = {"VA407", "VA408", "VA409", "VA410", "VA411", "VA201"}


def check(
    folder: Path, parameters: Any, url: str = "https://example.com/"
) -> list[Diagnostic]:
    tool = {
        "name": "look",
        "description": "Look.",
        "parameters": parameters,
        "http": {"url": url},
    }
    agent = {"version": 1, "name": "a", "prompt": "p", "tools": [tool]}
    path = folder / "agent.yaml"
    path.write_text(json.dumps(agent), encoding="utf-8")
    found = check_file(path, environment={"HOST": "x"})
    return [each for each in found if each.rule in RULES]


def marked(found: Diagnostic) -> str:
    return found.excerpt[found.column - 1 : found.end_column - 1]


def of(properties: Any, *required: str) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(required)}


@pytest.mark.parametrize(
    ("properties", "mark"),
    [
        ({"a": {"type": "strnig"}}, '"strnig"'),
        ({"a": {"type": ["string", "nil"]}}, '"nil"'),
        ({"a": {"enum": "x"}}, '"x"'),
        ({"a": {"minLength": -1}}, "-1"),
        ({"a": 3}, "3"),
        ({"a": {"items": {"type": 7}}}, "7"),
    ],
)
def test_an_invalid_json_schema_is_reported(
    tmp_path: Path, properties: Any, mark: str
) -> None:
    (found,) = check(tmp_path, of(properties))
    assert (found.rule, marked(found)) == ("VA408", mark)


def test_a_schema_with_all_that_json_schema_has_is_taken(tmp_path: Path) -> None:
    properties = {
        "a": {"anyOf": [{"type": "string", "pattern": "^[0-9]+$"}, {"type": "null"}]},
        "pattern": {"type": "string"},
        "c": {"enum": ["${x}", "["], "default": {"pattern": "["}},
    }
    assert check(tmp_path, of(properties)) == []


def test_a_pattern_that_is_not_a_regular_expression_is_reported(tmp_path: Path) -> None:
    (found,) = check(tmp_path, of({"a": {"items": {"pattern": "(a"}}}))
    assert (found.rule, marked(found)) == ("VA410", '"(a"')


def test_a_url_may_use_what_every_call_has(tmp_path: Path) -> None:
    parameters = of({"a": {}, "b": {}}, "a", "b")
    assert check(tmp_path, parameters, "https://h/{a}/{b}?x={a}") == []


def test_a_placeholder_of_the_environment_is_not_an_argument(tmp_path: Path) -> None:
    assert check(tmp_path, of({}), "https://${env:HOST}/$${x}") == []


def test_an_unknown_argument_is_marked_once(tmp_path: Path) -> None:
    (found,) = check(tmp_path, of({"a": {}}, "a"), "https://h/{b}/{b}")
    assert (found.rule, marked(found)) == ("VA407", "{b}")


def test_an_optional_argument_in_the_url_is_marked(tmp_path: Path) -> None:
    (found,) = check(tmp_path, of({"a": {}}), "https://h/{a}")
    assert (found.rule, marked(found)) == ("VA409", "{a}")


@pytest.mark.parametrize("url", ["https://{a}.h/", "https://{a}", "http://u@{a}:80/"])
def test_an_argument_must_not_choose_the_host(tmp_path: Path, url: str) -> None:
    (found,) = check(tmp_path, of({"a": {}}, "a"), url)
    assert found.rule == "VA411"


def test_parameters_that_are_wrong_leave_the_url_alone(tmp_path: Path) -> None:
    found = check(tmp_path, ["a"], "https://h/{a}")
    assert [each.rule for each in found] == ["VA201"]
