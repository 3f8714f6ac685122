"""The schema of scenario files is valid and described, with snippets for editors."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator

from runner.config.schema import find_violations
from runner.testing.scenarios import model
from runner.testing.scenarios.loader import (
    packaged_schema,
    packaged_text,
    strict_schema,
)
from tests.editor.snippets import expand
from tests.shipped import SCENARIO_FILES

ROOT = Path(__file__).parents[3]
SCHEMA = packaged_schema()


def fields(schema: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every schema that describes a field, by its path."""
    for name, each in schema.get("properties", {}).items():
        yield f"{path}.{name}", each
        yield from fields(each, f"{path}.{name}")
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            yield f"{path}[]", schema[key]
            yield from fields(schema[key], f"{path}[]")
    for each in schema.get("anyOf", ()):
        yield from fields(each, f"{path}|")


FIELDS = [
    *fields(SCHEMA),
    *(each for name, one in SCHEMA["$defs"].items() for each in fields(one, name)),
]


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    return {**SCHEMA["$defs"][schema["$ref"].rpartition("/")[2]], **schema}


def test_it_is_a_valid_schema_of_2020_12() -> None:
    Draft202012Validator.check_schema(SCHEMA)
    assert SCHEMA["$id"] == "https://vagent.dev/schema/scenario-1.json"


def test_the_schema_next_to_the_agents_is_the_packaged_one() -> None:
    beside = ROOT / "agents" / "scenario.schema.json"
    assert beside.read_text("utf-8") == packaged_text()


def test_every_field_is_described() -> None:
    bare = [path for path, each in FIELDS if not resolved(each).get("description")]
    assert bare == []


def test_every_example_satisfies_its_own_schema() -> None:
    for path, each in [*FIELDS, *SCHEMA["$defs"].items()]:
        schema = {**each, "$defs": SCHEMA["$defs"]}
        for value in each.get("examples", ()):
            assert find_violations(value, schema) == [], f"{path}: {value}"


def test_every_mapping_is_closed_but_those_that_others_define() -> None:
    open_ones = {
        path
        for path, each in FIELDS
        if "object" in str(each.get("type")) and "additionalProperties" not in each
    }
    # Arguments of tools, and a JSON Schema.
    assert {each.rpartition(".")[2] for each in open_ones} == {
        *("arguments", "matching", "match"),
    }


def test_a_parameter_may_stand_for_a_value_in_an_editor_and_for_nothing_here() -> None:
    for name in ("duration", "whole", "count", "truth"):
        definition = SCHEMA["$defs"][name]
        strict = strict_schema()["$defs"][name]
        assert find_violations("${x}", definition) == []
        assert find_violations("${x}", strict) != []
        for value in definition["examples"]:
            assert find_violations(value, strict) == []
    assert packaged_schema() == SCHEMA


KEYS = {"place", "path", "interrupts_after", "seconds", "any_order"}  # said otherwise


@pytest.mark.parametrize(
    ("data", "schema"),
    [
        (model.Scenario, SCHEMA["$defs"]["scenario"]),
        (model.MockAnswer, SCHEMA["$defs"]["answer"]),
        (model.LlmRule, SCHEMA["$defs"]["llm"]["items"]),
        (model.AgentTurn, SCHEMA["$defs"]["turn"]["properties"]["agent"]),
        (model.ToolCallTurn, SCHEMA["$defs"]["turn"]["properties"]["tool_call"]),
        (model.ExpectTurn, SCHEMA["$defs"]["turn"]["properties"]["expect"]),
        (model.ConnectionTurn, SCHEMA["$defs"]["turn"]["properties"]["connection"]),
        (model.EndTurn, SCHEMA["$defs"]["turn"]["properties"]["end"]["anyOf"][1]),
    ],
)
def test_the_schema_and_the_model_have_the_same_fields(
    data: type[Any], schema: dict[str, Any]
) -> None:
    names = {each.name for each in dataclasses.fields(data)} - KEYS
    assert set(schema["properties"]) == names


def test_every_kind_of_turn_is_one_of_the_models() -> None:
    turns = SCHEMA["$defs"]["turn"]
    classes = re.findall(r"(\w+)Turn\b", str(model.Turn))
    names = {re.sub(r"(?<!^)(?=[A-Z])", "_", each).lower() for each in classes}
    assert names == set(turns["properties"])
    assert [{"required": [each]} for each in turns["properties"]] == turns["oneOf"]


def snippets(schema: Any) -> Iterator[tuple[str, dict[str, Any], Any]]:
    if isinstance(schema, dict):
        for each in schema.get("defaultSnippets", ()):
            yield each["label"], schema, each["body"]
    for each in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(each, dict | list):
            yield from snippets(each)


def as_read(body: Any) -> Any:
    if isinstance(body, dict):
        return {as_read(key): as_read(value) for key, value in body.items()}
    if isinstance(body, list):
        return [as_read(each) for each in body]
    return yaml.safe_load(body) if isinstance(body, str) else body


SNIPPETS = {label: (schema, body) for label, schema, body in snippets(SCHEMA)}


def test_the_common_things_have_snippets() -> None:
    assert {"scenarios", "scenario", "interruption", "returns", "fails"} <= set(
        SNIPPETS
    )


@pytest.mark.parametrize("label", SNIPPETS)
def test_the_text_of_a_snippet_satisfies_the_schema(label: str) -> None:
    schema, body = SNIPPETS[label]
    text = expand(json.dumps(body).replace("\\\\", "\\"))
    value = as_read(json.loads(text))
    assert find_violations(value, {**schema, "$defs": SCHEMA["$defs"]}) == []


def test_scenarios_of_the_examples_are_valid_in_other_folders_too() -> None:
    validator = Draft202012Validator(SCHEMA)
    assert SCENARIO_FILES
    for path in SCENARIO_FILES:
        value = yaml.safe_load(path.read_text("utf-8"))
        assert [str(each) for each in validator.iter_errors(value)] == []
