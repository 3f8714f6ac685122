from __future__ import annotations

from typing import Any

import pytest

from runner.config.schema_errors import bad_value, first_repeated, subject, unknown_key

DURATION = {"title": "duration", "patternErrorMessage": "write a time as `8s`"}


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ((), "the file"),
        (("voice", "volume"), "`volume`"),
        (("tools", 0), "item 1 of `tools`"),
        ((0,), "item 1 of the file"),
    ],
)
def test_values_are_named_as_a_person_would(
    path: tuple[str | int, ...], name: str
) -> None:
    assert subject(path) == name


@pytest.mark.parametrize(
    ("keyword", "expected", "value", "schema", "message", "help_"),
    [
        ("type", "string", 1, {}, "`a` is 1; it must be text", 'put it in quotes: "1"'),
        (
            "type",
            "number",
            "1",
            {},
            '`a` is "1"; it must be a number',
            "remove the quotes",
        ),
        (
            "type",
            "boolean",
            "off",
            {},
            '`a` is "off"; it must be true or false',
            "write false",
        ),
        (
            "type",
            ["string", "object"],
            [1],
            {},
            "`a` is a list; it must be text or a mapping",
            None,
        ),
        ("type", "string", 8, DURATION, "`a` is 8, without a unit", "write 8s or 8ms"),
        (
            "pattern",
            "x",
            "1.5",
            DURATION,
            '`a` is "1.5"; write a time as `8s`',
            "write 1.5s or 1.5ms",
        ),
        ("pattern", "^x$", "y", {}, '`a` is "y"; it must match ^x$', None),
        ("minimum", 1, 0, {"minimum": 1}, "`a` is 0; it must be at least 1", None),
        ("maximum", 1, 2, {"maximum": 1}, "`a` is 2; it must be at most 1", None),
        ("exclusiveMinimum", 1, 1, {}, "`a` is 1, which is out of range", None),
        ("const", "x", 3, {}, "`a` is 3; it must be `x`", "write x"),
        ("const", 1, "1", {}, '`a` is "1"; it must be `1`', "remove the quotes"),
        (
            "enum",
            ["ab", "cd"],
            "abb",
            {},
            '`a` is "abb"; it must be one of `ab` or `cd`',
            "did you mean `ab`?",
        ),
        ("minLength", 3, "ab", {}, "`a` has 2 characters; the minimum is 3", None),
        ("minItems", 1, [], {}, "`a` is empty", "fill it in, or remove the key"),
        ("not", {}, {}, {}, "`a` is a mapping, which is not allowed here", None),
    ],
)
def test_a_wrong_value_is_put_into_words(
    keyword: str,
    expected: Any,
    value: Any,
    schema: dict[str, Any],
    message: str,
    help_: str | None,
) -> None:
    _, said, advice = bad_value(("a",), keyword, expected, value, schema)
    assert (said, advice) == (message, help_)


def test_known_keys_are_listed_where_they_are_few() -> None:
    assert unknown_key("x", None, ["a", "b"])[1] == "use `a` or `b`"
    assert unknown_key("x", None, [f"k{n}" for n in range(20)])[1] is None


def test_equal_items_are_found_by_value() -> None:
    assert first_repeated([{"a": 1, "b": 2}, {"b": 2, "a": 1}]) == 1
