from __future__ import annotations

import inspect
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from runner.errors import ToolError
from runner.tools.annotations import shape_of
from runner.tools.signature import read_signature


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


def test_a_signature_and_its_docstring_are_the_schema() -> None:
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


def test_arguments_become_what_the_annotations_ask_for() -> None:
    bound = read_signature(book, "book").bind({"day": "2026-05-16", "people": 4.0})

    assert bound == {"day": date(2026, 5, 16), "people": 4}


def test_an_argument_that_python_refuses_is_named() -> None:
    with pytest.raises(ValueError, match="^day: "):
        read_signature(book, "book").bind({"day": "2026-02-31"})


def stars(*places: str) -> None: ...
def positional(place: str, /) -> None: ...
def bare(place) -> None: ...  # type: ignore[no-untyped-def]  # the point of it
def complicated(place: complex) -> None: ...
def anything(**rest: int) -> None: ...
def unresolved(place: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821 - the point


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (stars, "by position only"),
        (positional, "by position only"),
        (bare, "'place' has no annotation"),
        (complicated, "'place' cannot be described: complex has no"),
        (anything, "of any name"),
        (unresolved, "cannot resolve: name 'Nowhere'"),
    ],
)
def test_a_signature_without_a_schema_is_refused(function: Any, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        read_signature(function, "it").schema()


def describe(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {name: {"type": "string"} for name in names},
        "required": list(required),
    }


def test_parameters_of_the_file_must_be_taken_by_the_function() -> None:
    with pytest.raises(ToolError, match="takes no 'time'"):
        read_signature(book, "book").check(
            describe("day", "time", required=("day", "time"))
        )


def test_what_the_function_needs_must_be_required_by_the_file() -> None:
    with pytest.raises(ToolError, match="needs 'day'"):
        read_signature(book, "book").check(describe("day"))


def test_agreement_of_file_and_function_passes() -> None:
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


@settings(deadline=None)  # machines differ
@given(annotated_values())
def test_what_the_schema_admits_the_function_gets(drawn: tuple[Any, Any]) -> None:
    annotation, value = drawn

    def function(it): ...  # type: ignore[no-untyped-def]  # annotated below

    function.__annotations__ = {"it": annotation}
    signature = read_signature(function, "function")
    schema = signature.schema()
    Draft202012Validator.check_schema(schema)

    assert Draft202012Validator(schema).is_valid({"it": value})
    bound = signature.bind({"it": value})
    assert bound == {"it": shape_of(annotation).convert(value)}
    inspect.signature(function).bind(**bound)
