from __future__ import annotations

import collections
import enum
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import (  # noqa: UP035 - old spellings are annotations too
    Annotated,
    Any,
    Dict,
    Generic,
    List,
    Literal,
    LiteralString,
    NamedTuple,
    NewType,
    NotRequired,
    Optional,
    Set,
    Tuple,
    TypedDict,
    TypeVar,
)
from uuid import UUID

import attrs
import pytest
from annotated_types import Ge, Le, Len
from jsonschema import Draft202012Validator
from pydantic import BaseModel, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

from runner.tools.annotations import TypeConverter, Unsupported, converter_for

OrderId = NewType("OrderId", str)
T = TypeVar("T")


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Count(enum.IntEnum):
    """How many."""

    ONE = 1


class Odd(enum.Enum):
    THING = object()


@dataclass(frozen=True)
class Guest:
    name: str
    age: int = 18
    likes: list[str] = field(default_factory=list)


class Address(TypedDict):
    street: str
    floor: NotRequired[int]


class Point(NamedTuple):
    x: int
    y: Annotated[int, "Upwards"] = 0


Pair = collections.namedtuple("Pair", "left right")


@attrs.define
class Room:
    number: int
    _floor: int = 0


@dataclass
class Box(Generic[T]):
    content: list[T]


class Order(BaseModel):
    """An order."""

    title: str
    count: int = Field(default=1, ge=1, description="How many")
    size: Size = Size.SMALL


class Page(BaseModel, Generic[T]):
    entries: list[T]


@pydantic_dataclass
class Lamp:
    color: str
    power: int = 40


@dataclass
class Table:
    code: Annotated[str, {"pattern": "[0-9]{4}"}]
    guests: List[Annotated[Guest, "Who comes"]]  # noqa: UP006 - old spelling


@dataclass
class Tree:
    children: list[Tree]


class Node(BaseModel):
    children: list[Node]


class Plain: ...


def closed(required: list[str], **properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}
CODE = {"type": "string", "pattern": "[0-9]{4}"}
ADDRESS = closed(["street"], street=TEXT, floor=NUMBER)
GUEST = closed(["name"], name=TEXT, age=NUMBER, likes={"type": "array", "items": TEXT})
ORDER = {
    "type": "object",
    "description": "An order.",
    "properties": {
        "title": TEXT,
        "count": {
            "type": "integer",
            "minimum": 1,
            "description": "How many",
            "default": 1,
        },
        "size": {"type": "string", "enum": ["small", "large"], "default": "small"},
    },
    "required": ["title"],
}
SCHEMAS: list[tuple[object, dict[str, Any]]] = [
    (str, TEXT),
    (LiteralString, TEXT),
    (Any, {}),
    (object, {}),
    (None, {"type": "null"}),
    (OrderId, TEXT),
    (list, {"type": "array"}),
    (List, {"type": "array"}),  # noqa: UP006 - old spelling
    (Tuple, {"type": "array"}),  # noqa: UP006 - old spelling
    (Set, {"type": "array", "uniqueItems": True}),  # noqa: UP006 - old spelling
    (Dict, {"type": "object"}),  # noqa: UP006 - old spelling
    (Sequence, {"type": "array"}),
    (Mapping, {"type": "object"}),
    (Optional[Dict], {"type": ["object", "null"]}),  # noqa: UP006, UP045 - old spelling
    (list[int], {"type": "array", "items": NUMBER}),
    (Sequence[str], {"type": "array", "items": TEXT}),
    (Iterable[str], {"type": "array", "items": TEXT}),
    (set[int], {"type": "array", "items": NUMBER, "uniqueItems": True}),
    (tuple[int, ...], {"type": "array", "items": NUMBER}),
    (
        tuple[int, str],
        {"type": "array", "minItems": 2, "maxItems": 2, "prefixItems": [NUMBER, TEXT]},
    ),
    (dict, {"type": "object"}),
    (Mapping[str, int], {"type": "object", "additionalProperties": NUMBER}),
    (dict[int, str], {"type": "object", "additionalProperties": TEXT}),
    (str | None, {"type": ["string", "null"]}),
    (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045 - old spelling
    (bytes | str, TEXT),
    (list[int] | str, {"anyOf": [{"type": "array", "items": NUMBER}, TEXT]}),
    (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
    (Literal["a"], {"type": "string", "enum": ["a"]}),
    (Literal[1, "b"], {"enum": [1, "b"]}),
    (Size, {"type": "string", "enum": ["small", "large"]}),
    (Count, {"type": "integer", "enum": [1], "description": "How many."}),
    (
        Annotated[Size, "Which"],
        {**TEXT, "enum": ["small", "large"], "description": "Which"},
    ),
    (date, {"type": "string", "format": "date"}),
    (datetime, {"type": "string", "format": "date-time"}),
    (time, {**TEXT, "pattern": "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"}),
    (timedelta, {"type": "string", "format": "duration"}),
    (UUID, {"type": "string", "format": "uuid"}),
    (Decimal, {"type": "number"}),
    (Annotated[Decimal, Field(ge=1)], {"type": "number", "minimum": 1.0}),
    (Path, TEXT),
    (bytes, TEXT),
    (Address, closed(["street"], street=TEXT, floor=NUMBER)),
    (
        list[Address],
        {"type": "array", "items": closed(["street"], street=TEXT, floor=NUMBER)},
    ),
    (Guest, GUEST),
    (Point, closed(["x"], x=NUMBER, y={"type": "integer", "description": "Upwards"})),
    (Pair, closed(["left", "right"], left={}, right={})),
    (Room, closed(["number"], number=NUMBER, floor=NUMBER)),
    (Box[int], closed(["content"], content={"type": "array", "items": NUMBER})),
    (Box, closed(["content"], content={"type": "array"})),
    (
        Table,
        closed(
            ["code", "guests"],
            code=CODE,
            guests={"type": "array", "items": {**GUEST, "description": "Who comes"}},
        ),
    ),
    (Order, ORDER),
    (
        list[Order | None],
        {"type": "array", "items": {"anyOf": [ORDER, {"type": "null"}]}},
    ),
    (
        Page[int],
        {
            "type": "object",
            "properties": {"entries": {"type": "array", "items": NUMBER}},
            "required": ["entries"],
        },
    ),
    (Annotated[str, "A name"], {"type": "string", "description": "A name"}),
    (Annotated[int, Ge(1), Le(10)], {"type": "integer", "minimum": 1, "maximum": 10}),
    (
        Annotated[str, Len(1, 5), {"pattern": "[a-z]+"}],
        {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "[a-z]+"},
    ),
    (
        Annotated[list[int], Len(1, 5)],
        {"type": "array", "items": NUMBER, "minItems": 1, "maxItems": 5},
    ),
    (
        Annotated[int, Field(ge=1, description="A number", examples=[3])],
        {"type": "integer", "minimum": 1, "description": "A number", "examples": [3]},
    ),
    (list[Annotated[str, {"pattern": "[0-9]{4}"}]], {"type": "array", "items": CODE}),
    (
        dict[str, Annotated[int, {"minimum": 1}]],
        {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}},
    ),
    (
        Annotated[str | None, {"pattern": "x"}],
        {"type": ["string", "null"], "pattern": "x"},
    ),
]


@pytest.mark.parametrize(("annotation", "schema"), SCHEMAS)
def test_an_annotation_has_this_schema(
    annotation: object, schema: dict[str, Any]
) -> None:
    found = converter_for(annotation).schema

    assert found == schema
    Draft202012Validator.check_schema(found)


VALUES: list[tuple[object, object, object]] = [
    (Size, "large", Size.LARGE),
    (Count, 1.0, Count.ONE),
    (Literal[1, 2], 1.0, 1),
    (int, 4.0, 4),
    (date, "2026-05-16", date(2026, 5, 16)),
    (datetime, "2026-05-16T19:30:00Z", datetime.fromisoformat("2026-05-16T19:30Z")),
    (time, "19:30", time(19, 30)),
    (timedelta, "PT90S", timedelta(seconds=90)),
    (Decimal, 12.5, Decimal("12.5")),
    (Path, "a/b", Path("a/b")),
    (
        UUID,
        "12345678-1234-5678-1234-567812345678",
        UUID("12345678-1234-5678-1234-567812345678"),
    ),
    (Guest, {"name": "Ada", "likes": ["tea"]}, Guest("Ada", 18, ["tea"])),
    (list[Guest], [{"name": "Ada", "age": 3.0}], [Guest("Ada", 3)]),
    (dict[str, Size], {"a": "small"}, {"a": Size.SMALL}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (Address, {"street": "Main"}, {"street": "Main"}),
    (Point, {"x": 1}, Point(1, 0)),
    (Pair, {"left": 1, "right": "b"}, Pair(1, "b")),
    (Room, {"number": 1, "floor": 2}, Room(1, 2)),
    (Box[int], {"content": [1.0]}, Box([1])),
    (Order, {"title": "x", "size": "large"}, Order(title="x", size=Size.LARGE)),
    (Page[int], {"entries": [1]}, Page[int](entries=[1])),
    (Lamp, {"color": "red"}, Lamp("red")),
    (Guest | str, "Ada", "Ada"),
    (Guest | Order, {"title": "x"}, Order(title="x")),
    (int | float | str | None, 1.5, 1.5),
    (int | str, "4", "4"),
    (tuple[date, ...], ["2026-05-16"], (date(2026, 5, 16),)),
    (tuple[int, str], [1, "a"], (1, "a")),
    (frozenset[int], [1, 1, 2], frozenset((1, 2))),
    (Iterable[int], [1, 2], [1, 2]),
]


@pytest.mark.parametrize(("annotation", "value", "expected"), VALUES)
def test_a_json_value_is_converted_to_the_annotated_type(
    annotation: object, value: object, expected: object
) -> None:
    converted = converter_for(annotation).convert(value)

    assert (converted, type(converted)) == (expected, type(expected))


@pytest.mark.parametrize(
    ("annotation", "value", "reason"),
    [
        (Guest, {"age": 1}, "^name: "),
        (Guest, {"name": "a", "x": 1}, "^x: "),
        (Guest, 3, "dictionary"),
        (dict, [], "dictionary"),
        (list[int], {"a": 1}, "list"),
        (list[Order], [{"title": "x", "count": 0}], "^0.count: "),
        (date, "2026-02-31", "day value"),
        (float, 10**400, "number"),
        (int, float("inf"), "finite"),
        (tuple[int, str], [1], "^1: "),
    ],
)
def test_a_value_that_does_not_fit_is_refused_in_one_line(
    annotation: object, value: Any, reason: str
) -> None:
    with pytest.raises(ValueError, match=reason) as caught:
        converter_for(annotation).convert(value)

    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Callable[[], int], "has no JSON Schema"),
        (Iterator[int], "Iterator.* has no JSON Schema"),
        (Tree, "Tree contains itself"),
        (Node, "Node contains itself"),
        (Odd, "Odd has no JSON Schema"),
        (list[range], "range.* has no JSON Schema"),
        (Plain, "Plain has no JSON Schema"),
    ],
)
def test_a_type_without_a_schema_is_named(annotation: object, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        converter_for(annotation)


def test_unions_keep_their_order_when_converters_are_cached() -> None:
    assert converter_for(int | str).schema == {"type": ["integer", "string"]}
    assert converter_for(str | int).schema == {"type": ["string", "integer"]}


def test_an_annotation_without_a_hash_has_a_converter() -> None:
    assert converter_for(Annotated[str, {"a": []}]).schema == {
        "type": "string",
        "a": [],
    }


def test_a_fraction_accepts_a_number_or_text() -> None:
    assert TypeConverter(Fraction).convert("1/3") == Fraction(1, 3)
