from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.errors import ToolError
from runner.tools.arguments import ArgumentCheck, ArgumentsRefused, build_parameters

ORDER = {
    "type": "object",
    "properties": {
        "order_id": {"type": "string", "pattern": "[0-9]{4}", "examples": ["1234"]},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "size": {"enum": ["small", "large"]},
        "day": {"type": "string", "format": "date"},
        "tags": {"type": "array", "items": {"type": "string"}, "maxItems": 2},
        "at": {"anyOf": [{"type": "string"}, {"type": "null"}]},
        "place": {
            "type": "object",
            "properties": {"street": {"type": "string"}},
            "required": ["street"],
            "additionalProperties": False,
        },
    },
    "required": ["order_id"],
}


def check(arguments: object, schema: dict[str, Any] = ORDER) -> dict[str, Any]:
    return ArgumentCheck("it", schema).check(arguments)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({}, "order_id is missing"),
        ({"order_id": "12345"}, 'order_id must match [0-9]{4}, such as "1234"'),
        ({"order_id": 1234}, "order_id must be text, not 1234"),
        ({"order_id": None}, "order_id must be text, not null"),
        ({"order_id": "1234", "count": "2"}, 'count must be a whole number, not "2"'),
        ({"order_id": "1234", "count": 0}, "count must be at least 1"),
        ({"order_id": "1234", "size": "huge"}, 'size must be one of: "small", "large"'),
        ({"order_id": "1234", "day": "tomorrow"}, "day must be a date"),
        ({"order_id": "1234", "tags": [1]}, "tags[0] must be text, not 1"),
        ({"order_id": "1234", "tags": ["a"] * 3}, "tags must have at most 2 entries"),
        ({"order_id": "1234", "at": 3}, "at must be text, not 3 or at must be null"),
        ({"order_id": "1234", "place": {}}, "place.street is missing"),
        ([], "the arguments must be an object"),
        ("{}", "the arguments must be an object"),
    ],
)
def test_invalid_arguments_give_a_one_line_message(
    arguments: object, text: str
) -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        check(arguments)

    assert str(refused.value).startswith(text)


def test_an_undeclared_argument_is_refused() -> None:
    with pytest.raises(ArgumentsRefused, match="there is no argument colour"):
        check({"order_id": "1234", "colour": "red"})


def test_a_schema_may_allow_additional_arguments() -> None:
    schema = {"type": "object", "additionalProperties": True}

    assert check({"colour": "red"}, schema) == {"colour": "red"}


def test_null_for_an_optional_argument_means_absent() -> None:
    given_ = check({"order_id": "1234", "count": None, "at": None})

    assert given_ == {"order_id": "1234", "at": None}


def test_at_most_three_problems_are_reported() -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        check({"count": 0, "size": "x", "day": "x", "tags": 1})

    assert str(refused.value).count(";") == 2


def test_a_long_value_is_truncated() -> None:
    with pytest.raises(ArgumentsRefused) as refused:
        check({"order_id": "1234", "count": "9" * 10_000})

    assert len(str(refused.value)) < 120


def test_references_within_the_schema_are_followed() -> None:
    schema = {
        "type": "object",
        "$defs": {"id": {"type": "string"}},
        "properties": {"a": {"$ref": "#/$defs/id"}},
    }

    assert check({"a": None}, schema) == {}
    with pytest.raises(ArgumentsRefused, match="a must be text"):
        check({"a": 1}, schema)


@pytest.mark.parametrize(
    ("schema", "reason"),
    [
        ({"type": "array"}, "must be of type object"),
        ({"properties": {"a": {"type": "text"}}}, "is not a JSON Schema: properties.a"),
        ({"properties": {"a": {"pattern": "("}}}, "is not a JSON Schema"),
        ({"properties": []}, "is not a JSON Schema"),
        ({"properties": {"a": {"$ref": "#/$defs/b"}}}, "refers to '#/"),
        (
            {"properties": {"a": {"$ref": "https://example.com/s"}}},
            "refers to 'https://example.com/s', which is not in it",
        ),
        (
            {"properties": {"a": {"$dynamicRef": "http://127.0.0.1:9/x"}}},
            "refers to 'http://127.0.0.1:9/x', which is not in it",
        ),
        (
            {"patternProperties": {"a": {}}, "unevaluatedProperties": False},
            "not supported",
        ),
    ],
)
def test_an_unusable_schema_is_refused(schema: dict[str, Any], reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        ArgumentCheck("it", schema)


def test_an_explosive_pattern_is_checked_in_linear_time() -> None:
    schema = {"properties": {"q": {"type": "string", "pattern": "((a|b)|(a|c))*d"}}}
    with pytest.raises(ArgumentsRefused, match="q must match"):
        check({"q": "a" * 5_000 + "!"}, schema)


def test_a_pattern_that_takes_too_long_refuses_the_arguments() -> None:
    schema = {"properties": {"q": {"type": "string", "pattern": "(?!z)(a|aa)+"}}}
    with pytest.raises(ArgumentsRefused, match="cannot be checked: the pattern"):
        check({"q": "a" * 200 + "!"}, schema)


def test_the_wire_schema_has_properties_and_required() -> None:
    assert build_parameters({"$schema": "x", "$comment": "y"}) == {
        "type": "object",
        "properties": {},
        "required": [],
    }


@settings(deadline=None)  # machine speed varies
@given(
    st.dictionaries(
        st.sampled_from([*ORDER["properties"], "other"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(),
            st.lists,
            max_leaves=3,
        ),
    )
)
def test_any_arguments_are_accepted_or_refused_in_one_line(
    arguments: dict[str, Any],
) -> None:
    try:
        check(arguments)
    except ArgumentsRefused as error:
        assert 0 < len(str(error)) < 800
        assert "\n" not in str(error)
