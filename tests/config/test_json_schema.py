"""Validation against the schemas of strangers is right, and its work is bounded."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.config.json_schema import (
    BoundedSchema,
    SchemaTooComplex,
    find_meta_errors,
    find_unresolved_references,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from([1.0, 0.5, "a"]),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["a", "b", "x1"]), inner, max_size=3)
    ),
    max_leaves=8,
)
SCHEMAS = st.sampled_from(
    [
        {"uniqueItems": True},
        {"items": {"uniqueItems": True}, "contains": {"type": "string"}},
        {"additionalProperties": False, "properties": {"a": {"type": "integer"}}},
        {"additionalProperties": {"type": "string"}, "patternProperties": {"^x": {}}},
        {"patternProperties": {"[0-9]$": {"type": "null"}, "a": {"minimum": 1}}},
        {"pattern": "^a?$", "type": ["string", "array"]},
        {"anyOf": [{"type": "object"}, {"enum": [1, "a", None]}]},
        {"unevaluatedProperties": False, "allOf": [{"properties": {"a": {}}}]},
        {
            "$ref": "#/$defs/tree",
            "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}}},
        },
        {"not": {"required": ["a"]}, "minProperties": 1},
    ]
)


@given(SCHEMAS, JSON)
def test_a_value_is_valid_where_jsonschema_says_so(
    schema: dict[str, Any], value: Any
) -> None:
    expected = Draft202012Validator(schema).is_valid(value)
    assert (BoundedSchema(schema).find_errors(value) == []) == expected


def test_at_most_the_wanted_number_of_errors_is_returned() -> None:
    schema = BoundedSchema({"items": {"type": "string"}})
    assert len(schema.find_errors([1] * 100, limit=3)) == 3


def test_a_pattern_matches_a_part_unless_the_whole_is_asked_for() -> None:
    assert not BoundedSchema({"pattern": "[0-9]{4}"}).find_errors("no. 1234")
    whole = BoundedSchema({"pattern": "[0-9]{4}"}, match_whole=True)
    assert whole.find_errors("no. 1234")
    assert not whole.find_errors("1234")


EXPLOSIVE = "((a|b)|(a|c))*d"
LEVELS = 60
DOUBLING = {
    "$ref": "#/$defs/0",
    "$defs": {
        **{
            str(n): {"anyOf": [{"$ref": f"#/$defs/{n + 1}"}] * 2} for n in range(LEVELS)
        },
        str(LEVELS): {"type": "string"},
    },
}


@pytest.mark.parametrize(
    "schema",
    [
        {"items": {"pattern": EXPLOSIVE}},
        {"items": {"propertyNames": {"pattern": EXPLOSIVE}}},
        {"items": {"patternProperties": {EXPLOSIVE: False}}, "maxItems": 1},
        {
            "items": {
                "patternProperties": {EXPLOSIVE: {}},
                "additionalProperties": False,
            }
        },
    ],
)
def test_an_explosive_pattern_does_not_stall_any_keyword(
    schema: dict[str, Any],
) -> None:
    text = "a" * 3_000
    assert BoundedSchema(schema).find_errors([text, {text: 1}])


@pytest.mark.parametrize(
    "schema", [DOUBLING, {"$ref": "#"}, {"allOf": [{"$ref": "#"}]}]
)
def test_references_that_multiply_the_work_are_too_complex(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(SchemaTooComplex):
        BoundedSchema(schema).find_errors(1)


def test_a_pattern_that_takes_too_long_is_too_complex() -> None:
    schema = BoundedSchema({"pattern": "(?!z)(a|aa)+$"}, match_whole=True)
    with pytest.raises(SchemaTooComplex, match="takes too long"):
        schema.find_errors("a" * 200 + "!")


@pytest.mark.parametrize("key", ["$ref", "$dynamicRef"])
@pytest.mark.parametrize(
    "address", ["http://127.0.0.1:9/x", "file:///etc/hosts", "#/no"]
)
def test_a_reference_out_of_the_schema_is_found_and_never_followed(
    key: str, address: str
) -> None:
    schema = {"properties": {"q": {key: address}}}
    assert find_unresolved_references(schema) == [address]
    with pytest.raises(SchemaTooComplex, match="is not in the schema"):
        BoundedSchema(schema).find_errors({"q": 1})


def test_a_reference_in_data_is_not_a_reference() -> None:
    assert not find_unresolved_references({"enum": [{"$ref": "#/no"}]})


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "objekt"},
        {"pattern": "["},
        {"required": ["a", "a"]},
        {"properties": {"a": 1}},
        {"items": {"minimum": "1"}},
    ],
)
def test_an_invalid_schema_has_errors(schema: dict[str, Any]) -> None:
    assert find_meta_errors(schema)


def test_a_large_schema_is_checked_whole() -> None:
    properties = {f"p{n}": {"type": "string", "pattern": "a+"} for n in range(3_000)}
    assert not find_meta_errors({"properties": properties})
    assert find_meta_errors({"properties": {**properties, "last": {"type": "x"}}})


def test_many_items_are_compared_in_linear_time() -> None:
    schema = BoundedSchema({"uniqueItems": True})
    items: list[Any] = [{"n": n} for n in range(20_000)]
    assert not schema.find_errors(items)
    assert schema.find_errors([*items, {"n": 1.0}])


def test_two_keywords_that_jsonschema_matches_with_re_are_refused_together() -> None:
    with pytest.raises(SchemaTooComplex, match="not supported"):
        BoundedSchema({"patternProperties": {}, "unevaluatedProperties": False})
