from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import Field

from runner.errors import ToolError
from runner.tools.annotations import converter_for
from runner.tools.python import read_signature


@dataclass(frozen=True)
class Point:
    x: int
    y: float = 0.0


def book(
    day: date,
    people: Annotated[int, {"minimum": 1}] = 2,
    *,
    seat: Literal["in", "out"] | None = None,
) -> None:
    """Book a table.

    Args:
        day: The day.
        people: How many.
    """


def test_the_schema_comes_from_signature_and_docstring() -> None:
    assert read_signature(book, "book").schema() == {
        "type": "object",
        "properties": {
            "day": {"type": "string", "format": "date", "description": "The day."},
            "people": {
                "type": "integer",
                "minimum": 1,
                "description": "How many.",
                "default": 2,
            },
            "seat": {
                "anyOf": [{"type": "string", "enum": ["in", "out"]}, {"type": "null"}]
            },
        },
        "required": ["day"],
    }


def test_arguments_are_converted_to_the_annotated_types() -> None:
    bound = read_signature(book, "book").bind({"day": "2026-05-16", "people": 4.0})

    assert bound == {"day": date(2026, 5, 16), "people": 4}


def test_an_argument_that_cannot_be_converted_is_named() -> None:
    with pytest.raises(ValueError, match="^day: "):
        read_signature(book, "book").bind({"day": "2026-02-31"})


def stars(*places: str) -> None: ...
def positional(place: str, /) -> None: ...
def bare(place) -> None: ...  # type: ignore[no-untyped-def]  # the point of it
def complicated(place: range) -> None: ...
def anything(**rest: int) -> None: ...
def unresolved(place: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (stars, "by position only"),
        (positional, "by position only"),
        (bare, "'place' has no annotation"),
        (complicated, "'place' cannot be described: range has no"),
        (anything, "names the model cannot know"),
        (unresolved, "cannot resolve: name 'Nowhere'"),
    ],
)
def test_a_signature_without_a_schema_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        read_signature(function, "it").schema()


def fielded(
    count: int = Field(1, ge=1, description="How many"),
    names: list[str] = Field(default_factory=list),  # noqa: B008 - pydantic's way
    size: Literal["s", "l"] = Field(...),
) -> None:
    """Do it.

    Args:
        count: Not this text.
        names: Of the guests.
    """


def test_a_field_as_default_is_a_default_and_a_description() -> None:
    signature = read_signature(fielded, "fielded")

    assert signature.schema() == {
        "type": "object",
        "properties": {
            "count": {
                "type": "integer",
                "minimum": 1,
                "description": "How many",
                "default": 1,
            },
            "names": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Of the guests.",
            },
            "size": {"type": "string", "enum": ["s", "l"]},
        },
        "required": ["size"],
    }
    assert signature.bind({"size": "s"}) == {"size": "s", "count": 1, "names": []}


def optional(
    code: Annotated[str, {"pattern": "[0-9]{4}"}] | None = None,
    codes: list[Annotated[str, {"pattern": "[0-9]{4}"}]] | None = None,
) -> None: ...


def test_schema_keywords_work_inside_a_union() -> None:
    code = {"type": "string", "pattern": "[0-9]{4}"}
    codes = {"type": "array", "items": code}
    none = {"type": "null"}

    assert read_signature(optional, "optional").schema()["properties"] == {
        "code": {"anyOf": [code, none]},
        "codes": {"anyOf": [codes, none]},
    }


def test_an_unresolved_annotation_is_allowed_with_parameters() -> None:
    signature = read_signature(unresolved, "unresolved")

    signature.check(describe("place", required=("place",)))
    assert signature.bind({"place": 1}) == {"place": 1}


def either(*places: str, **rest: str) -> None: ...


def test_a_function_with_args_and_kwargs_is_a_tool() -> None:
    read_signature(either, "either").check(describe("x"))
    with pytest.raises(ToolError, match="names the model cannot know"):
        read_signature(either, "either").schema()


def describe(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(required),
    }


def test_parameters_of_the_agent_file_must_exist_in_the_function() -> None:
    with pytest.raises(ToolError, match="takes no 'time'"):
        read_signature(book, "book").check(
            describe("day", "time", required=("day", "time"))
        )


def test_required_parameters_must_be_required_in_the_agent_file() -> None:
    with pytest.raises(ToolError, match="needs 'day'"):
        read_signature(book, "book").check(describe("day"))


def test_matching_parameters_are_accepted() -> None:
    read_signature(book, "book").check(describe("day", required=("day",)))
    read_signature(anything, "anything").check(describe("day", "x"))
    read_signature(bare, "bare").check(describe("place", required=("place",)))


SIMPLE: list[tuple[object, st.SearchStrategy[Any]]] = [
    (str, st.text()),
    (int, st.integers()),
    (float, st.floats(allow_nan=False, allow_infinity=False)),
    (bool, st.booleans()),
    (date, st.dates().map(str)),
    (Literal["a", 2], st.sampled_from(["a", 2])),
    (Point, st.fixed_dictionaries({"x": st.integers()})),
]


@st.composite
def annotated_values(draw: st.DrawFn) -> tuple[Any, Any]:
    """Draw an annotation and a JSON value that it admits."""
    annotation, values = draw(st.sampled_from(SIMPLE))
    match draw(st.sampled_from(["plain", "list", "dict", "optional"])):
        case "list":
            return list[annotation], draw(st.lists(values))  # type: ignore[valid-type]  # drawn
        case "dict":
            return dict[str, annotation], draw(st.dictionaries(st.text(), values))  # type: ignore[valid-type]  # drawn
        case "optional":
            return annotation | None, draw(st.none() | values)
    return annotation, draw(values)


@settings(deadline=None)  # machine speed varies
@given(annotated_values())
def test_values_that_the_schema_allows_reach_the_function(
    drawn: tuple[Any, Any],
) -> None:
    annotation, value = drawn

    def function(it): ...  # type: ignore[no-untyped-def]  # annotated below

    function.__annotations__ = {"it": annotation}
    signature = read_signature(function, "function")
    schema = signature.schema()
    Draft202012Validator.check_schema(schema)

    assert Draft202012Validator(schema).is_valid({"it": value})
    bound = signature.bind({"it": value})
    assert bound == {"it": converter_for(annotation).convert(value)}
    inspect.signature(function).bind(**bound)
