"""Every text that a grammar allows must be legal: parsed JSON, valid for the schema."""

from __future__ import annotations

import json
import random
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.speech.llm.grammar import MAX_SPEECH, decision_grammar, speech_grammar
from runner.speech.llm.tools import read_tool_specs
from tests.speech.llm.gbnf import Gbnf


def draws(schema: dict[str, Any], times: int = 30) -> list[Any]:
    """Returns arguments that the grammar of a tool with this schema allows."""
    tools = read_tool_specs([{"name": "t", "description": "", "parameters": schema}])
    grammar = Gbnf(decision_grammar(tools))
    random_ = random.Random(7)
    lines = [json.loads(grammar.rules["t0"](random_)) for _ in range(times)]
    assert all(line["tool"] == "t" for line in lines)
    return [line["arguments"] for line in lines]


def values(schema: dict[str, Any], times: int = 60) -> list[Any]:
    """Returns values of one required argument with this schema."""
    return [
        arguments["v"]
        for arguments in draws(
            {"type": "object", "properties": {"v": schema}, "required": ["v"]}, times
        )
    ]


KEYWORDS = (
    *("type", "properties", "required", "items", "enum", "const", "anyOf", "allOf"),
    *("$ref", "pattern", "minLength", "maxLength", "minimum", "maximum", "multipleOf"),
    *("minItems", "maxItems", "exclusiveMinimum", "exclusiveMaximum", "format"),
)
names = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1)
strings = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={
        "minLength": st.integers(0, 80),
        "description": st.text(max_size=10),
    },
)
patterned = st.sampled_from(
    [
        "[0-9]{4}",
        "^[A-Z]{2}-\\d{3,5}$",
        "(yes|no)( please)?",
        "[^,;]+",
        "\\+?[0-9 ]{6,15}",
        "\\w+@\\w+\\.(com|org)",
        "a.c*",
    ]
).map(lambda pattern: {"type": "string", "pattern": pattern})
whole = st.tuples(
    st.none() | st.integers(-2_000, 2_000), st.none() | st.integers(0, 3_000)
).map(
    lambda bounds: {
        "type": "integer",
        **({"minimum": bounds[0]} if bounds[0] is not None else {}),
        **({"maximum": (bounds[0] or 0) + bounds[1]} if bounds[1] is not None else {}),
    }
)
numbers = st.tuples(
    st.none() | st.integers(-50, 50), st.none() | st.integers(1, 500)
).map(
    lambda bounds: {
        "type": "number",
        **({"minimum": bounds[0]} if bounds[0] is not None else {}),
        **(
            {"exclusiveMaximum": (bounds[0] or 0) + bounds[1]}
            if bounds[1] is not None
            else {}
        ),
    }
)
scalars = st.one_of(
    strings,
    patterned,
    whole,
    numbers,
    st.sampled_from(
        [{"type": "boolean"}, {"type": "null"}, {"type": ["string", "null"]}]
    ),
    st.lists(names | st.integers() | st.booleans(), min_size=1, max_size=4).map(
        lambda choices: {"enum": choices}
    ),
    names.map(lambda value: {"const": value}),
)


def objects(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.dictionaries(names, inner, max_size=4).flatmap(
        lambda properties: st.lists(
            st.sampled_from(sorted(properties)) if properties else st.nothing(),
            unique=True,
        ).map(
            lambda required: {
                "type": "object",
                "properties": properties,
                "required": required,
                "additionalProperties": False,
            }
        )
    )


def arrays(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.tuples(inner, st.integers(0, 3), st.integers(0, 4)).map(
        lambda parts: {
            "type": "array",
            "items": parts[0],
            "minItems": parts[1],
            "maxItems": parts[1] + parts[2],
        }
    )


schemas = objects(
    st.recursive(scalars, lambda inner: objects(inner) | arrays(inner), max_leaves=4)
)


@settings(deadline=None, max_examples=80)
@given(schemas)
def test_every_text_of_the_grammar_is_valid_for_the_schema(
    schema: dict[str, Any],
) -> None:
    validator = jsonschema.Draft202012Validator(schema)
    for arguments in draws(schema, times=8):
        validator.validate(arguments)


@settings(deadline=None, max_examples=80)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(KEYWORDS),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_schema_however_broken_gives_a_legal_grammar_of_json(schema: Any) -> None:
    for arguments in draws({"type": "object", "properties": {"v": schema}}, times=4):
        assert isinstance(arguments, dict)


@settings(deadline=None, max_examples=60)
@given(st.integers(-3_000, 3_000), st.integers(0, 3_000))
def test_whole_numbers_reach_both_bounds_and_never_pass_them(
    least: int, width: int
) -> None:
    seen = values({"type": "integer", "minimum": least, "maximum": least + width}, 40)
    assert all(least <= value <= least + width for value in seen)


@pytest.mark.parametrize(("least", "most"), [(1, 20), (0, 0), (-12, 3), (95, 105)])
def test_every_whole_number_of_a_range_can_be_written(least: int, most: int) -> None:
    seen = values({"type": "integer", "minimum": least, "maximum": most}, 2_000)
    assert set(seen) == set(range(least, most + 1))


def test_multiples_are_kept() -> None:
    schema = {"type": "integer", "minimum": 3, "maximum": 21, "multipleOf": 5}
    assert set(values(schema)) == {5, 10, 15, 20}


def test_references_and_all_of_are_followed() -> None:
    schema = {
        "type": "object",
        "$defs": {"size": {"enum": ["S", "L"]}},
        "properties": {"size": {"allOf": [{"$ref": "#/$defs/size"}]}},
        "required": ["size"],
    }
    assert {arguments["size"] for arguments in draws(schema)} == {"S", "L"}


def test_a_reference_to_itself_ends() -> None:
    schema = {"type": "object", "properties": {"v": {"$ref": "#"}}, "required": ["v"]}
    assert draws(schema, times=3)


def test_a_pattern_beyond_this_translator_leaves_a_plain_string() -> None:
    seen = values({"type": "string", "pattern": "(?=x)\\bx"})
    assert all(isinstance(value, str) and 1 <= len(value) <= 60 for value in seen)


def test_speech_has_no_markup_and_no_quotes() -> None:
    random_ = random.Random(3)
    grammar = Gbnf(speech_grammar())
    for _ in range(50):
        said = grammar.draw(random_)
        assert 1 < len(said) <= MAX_SPEECH
        assert not set(said) & set('"\\*#`{}[]()<>|_~\n')


def test_a_decision_may_always_be_speech() -> None:
    tools = read_tool_specs([{"name": "t"}])
    random_ = random.Random(5)
    lines = [json.loads(Gbnf(decision_grammar(tools)).draw(random_)) for _ in range(40)]
    assert {next(iter(line)) for line in lines} == {"tool", "say"}


def test_optional_arguments_may_be_left_out() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": [1]}, "b": {"enum": [2]}}}
    seen = {json.dumps(arguments) for arguments in draws(schema, times=200)}
    assert seen == {"{}", '{"a": 1}', '{"b": 2}', '{"a": 1, "b": 2}'}
