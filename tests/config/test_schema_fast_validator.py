"""The fast validator agrees with jsonschema or raises UnsupportedKeyword."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.config.schema import (
    PLAIN_SCHEMA,
    UnsupportedKeyword,
    find_schema_violations,
    fits,
    matches_pattern,
    packaged_schema,
)
from tests.shipped import AGENT_FILES

ROOT = Path(__file__).parents[2]
SCHEMA = packaged_schema()
AGENTS = [yaml.safe_load(path.read_text("utf-8")) for path in AGENT_FILES]
META = Draft202012Validator(Draft202012Validator.META_SCHEMA)

# Few and small, so that values often meet what a schema asks for.
scalars = st.sampled_from(
    [None, True, False, 0, 1, 1.0, -1, 2.5, 3, "", "a", "ab", "b\n", "30s", "你好"]
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    ),
    max_leaves=6,
)
names = st.lists(st.sampled_from("abcd"), unique=True, max_size=3)
kinds = st.sampled_from(
    ["object", "array", "string", "integer", "number", "boolean", "null"]
)
sizes = st.integers(0, 3)


def keywords(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    by_name = st.dictionaries(st.sampled_from("abcd"), inner, max_size=3)
    some = st.lists(inner, min_size=1, max_size=3)
    return st.fixed_dictionaries(
        {},
        optional={
            "type": kinds | st.lists(kinds, unique=True, min_size=1, max_size=2),
            "properties": by_name,
            "additionalProperties": inner,
            "propertyNames": inner,
            "items": inner,
            "oneOf": some,
            "anyOf": some,
            "required": names,
            "dependentRequired": st.dictionaries(st.sampled_from("abcd"), names),
            "enum": st.lists(scalars, min_size=1, max_size=4),
            "const": scalars,
            "uniqueItems": st.booleans(),
            "minimum": scalars.filter(lambda each: type(each) in (int, float)),
            "maximum": scalars.filter(lambda each: type(each) in (int, float)),
            "minLength": sizes,
            "maxLength": sizes,
            "minItems": sizes,
            "maxItems": sizes,
            "minProperties": sizes,
            "description": st.just("x"),
        },
    )


schemas = st.recursive(st.booleans(), keywords, max_leaves=6)


@settings(max_examples=100, deadline=None)
@given(value=values, schema=schemas)
def test_it_agrees_with_jsonschema_about_any_schema(value: Any, schema: Any) -> None:
    try:
        said = fits(value, schema)
    except UnsupportedKeyword:
        return
    assert said == Draft202012Validator(schema).is_valid(value)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path]
    children = (
        value.items()
        if isinstance(value, dict)
        else enumerate(value)
        if isinstance(value, list)
        else ()
    )
    for key, child in children:
        found += places(child, (*path, key))
    return found


def changed(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy: Any = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], new)
    return copy


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_it_agrees_with_jsonschema_about_agents(data: st.DataObject) -> None:
    agent = data.draw(st.sampled_from(AGENTS))
    new = data.draw(values | st.builds(lambda key: {key: 1}, st.sampled_from("abc")))
    agent = changed(agent, data.draw(st.sampled_from(places(agent))), new)
    try:
        said = fits(agent, SCHEMA)
    except UnsupportedKeyword:
        return
    # `pattern` is read more strictly here, by both ways of checking.
    if "\n" not in str(new):  # before which jsonschema alone lets `$` match
        assert said == Draft202012Validator(SCHEMA).is_valid(agent)


@pytest.mark.parametrize("agent", AGENTS, ids=lambda each: str(each["name"]))
def test_the_agents_of_the_project_are_decided_without_jsonschema(agent: Any) -> None:
    assert fits(agent, SCHEMA)
    for tool in agent.get("tools", []):
        assert fits(tool.get("parameters", True), PLAIN_SCHEMA)


def test_the_packaged_schema_has_no_keyword_that_is_unknown_here() -> None:
    assert not fits({}, SCHEMA)
    values: list[Any] = ["x", 1, [], {}]
    for value in values:
        for each in SCHEMA["$defs"].values():
            fits(value, {**each, "$defs": SCHEMA["$defs"]})
        for each in SCHEMA["properties"].values():
            fits(value, {**each, "$defs": SCHEMA["$defs"]})


@settings(max_examples=100, deadline=None)
@given(schema=schemas | values)
def test_a_plain_schema_is_a_schema(schema: Any) -> None:
    if fits(schema, PLAIN_SCHEMA):
        assert META.is_valid(schema)


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "strnig"},
        {"required": ["a", "a"]},
        {"properties": {"a": 1}},
        {"minLength": -1},
        {"anyOf": []},
    ],
)
def test_an_invalid_schema_is_left_to_jsonschema(schema: Any) -> None:
    assert find_schema_violations(schema)


@pytest.mark.parametrize(
    ("value", "schema"),
    [
        (1, {"multipleOf": 2}),
        (1, {"not": {}}),
        (1, {"$ref": "https://example.com/"}),
        (1, {"$ref": "#/$defs/none"}),
        ({"a": 1}, {"properties": {"a": {"$id": "https://example.com/"}}}),
        ([1, 1.0], {"uniqueItems": True}),
        ([1], {"const": [1]}),
        (1, {"type": "whole"}),
        (1, "x"),
    ],
)
def test_what_is_unknown_is_left_undecided(value: Any, schema: Any) -> None:
    with pytest.raises(UnsupportedKeyword):
        fits(value, schema)


def test_a_pattern_ends_at_the_end_of_the_text() -> None:
    assert matches_pattern("^a$", "a")
    assert not matches_pattern("^a$", "a\n")
    assert matches_pattern("b", "abc")


def test_a_reference_may_go_round() -> None:
    tree = {"type": "object", "additionalProperties": {"$ref": "#"}}
    assert fits({"a": {"b": {}}}, tree)
    assert not fits({"a": {"b": 1}}, tree)
