from __future__ import annotations

import enum
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, NewType, NotRequired, Optional, TypedDict
from uuid import UUID

import pytest

from runner.tools.annotations import Unsupported, shape_of

OrderId = NewType("OrderId", str)


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


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


@dataclass
class Tree:
    children: list[Tree]


class Ge:
    ge = 1
    le = 10


class Length:
    min_length = 1
    max_length = 5


class FieldInfo:
    description = "A number"
    examples = (3,)
    metadata = (Ge(),)


ADDRESS = {
    "type": "object",
    "properties": {"street": {"type": "string"}, "floor": {"type": "integer"}},
    "required": ["street"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("annotation", "schema"),
    [
        (str, {"type": "string"}),
        (Any, {}),
        (OrderId, {"type": "string"}),
        (list, {"type": "array"}),
        (list[int], {"type": "array", "items": {"type": "integer"}}),
        (Sequence[str], {"type": "array", "items": {"type": "string"}}),
        (
            set[int],
            {"type": "array", "items": {"type": "integer"}, "uniqueItems": True},
        ),
        (tuple[int, ...], {"type": "array", "items": {"type": "integer"}}),
        (
            tuple[int, str],
            {
                "type": "array",
                "minItems": 2,
                "maxItems": 2,
                "prefixItems": [{"type": "integer"}, {"type": "string"}],
            },
        ),
        (dict, {"type": "object"}),
        (
            Mapping[str, int],
            {"type": "object", "additionalProperties": {"type": "integer"}},
        ),
        (str | None, {"type": ["string", "null"]}),
        (Optional[int], {"type": ["integer", "null"]}),  # noqa: UP045 - old spelling
        (
            list[int] | str,
            {
                "anyOf": [
                    {"type": "array", "items": {"type": "integer"}},
                    {"type": "string"},
                ]
            },
        ),
        (Literal["a", "b"], {"type": "string", "enum": ["a", "b"]}),
        (Literal[1, "b"], {"enum": [1, "b"]}),
        (Size, {"type": "string", "enum": ["small", "large"]}),
        (date, {"type": "string", "format": "date"}),
        (Address, ADDRESS),
        (Annotated[str, "A name"], {"type": "string", "description": "A name"}),
        (Annotated[int, Ge()], {"type": "integer", "minimum": 1, "maximum": 10}),
        (
            Annotated[str, Length(), {"pattern": "[a-z]+"}],
            {"type": "string", "minLength": 1, "maxLength": 5, "pattern": "[a-z]+"},
        ),
        (
            Annotated[int, FieldInfo()],
            {
                "type": "integer",
                "description": "A number",
                "examples": (3,),
                "minimum": 1,
                "maximum": 10,
            },
        ),
    ],
)
def test_an_annotation_has_its_schema(
    annotation: object, schema: dict[str, Any]
) -> None:
    assert shape_of(annotation).schema == schema


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (Size, "large", Size.LARGE),
        (date, "2026-05-16", date(2026, 5, 16)),
        (datetime, "2026-05-16T19:30:00Z", datetime.fromisoformat("2026-05-16T19:30Z")),
        (Decimal, 12.5, Decimal("12.5")),
        (
            UUID,
            "12345678-1234-5678-1234-567812345678",
            UUID("12345678-1234-5678-1234-567812345678"),
        ),
        (Guest, {"name": "Ada", "likes": ["tea"]}, Guest("Ada", 18, ["tea"])),
        (list[Guest], [{"name": "Ada", "age": 3.0}], [Guest("Ada", 3)]),
        (dict[str, Size], {"a": "small"}, {"a": Size.SMALL}),
        (Address, {"street": "Main"}, {"street": "Main"}),
        (Guest | str, "Ada", "Ada"),
        (tuple[date, ...], ["2026-05-16"], (date(2026, 5, 16),)),
    ],
)
def test_a_json_value_becomes_what_the_annotation_asks_for(
    annotation: object, value: object, expected: object
) -> None:
    assert shape_of(annotation).convert(value) == expected


@pytest.mark.parametrize(
    ("annotation", "value"),
    [
        (Guest, {"age": 1}),
        (Guest, {"name": "a", "x": 1}),
        (Guest, 3),
        (dict, []),
        (list[int], {"a": 1}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(annotation: object, value: Any) -> None:
    with pytest.raises(ValueError):
        shape_of(annotation).convert(value)


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        (Path, "Path has no counterpart"),
        (Callable[[], int], "has no counterpart"),
        (dict[int, str], "keys of a JSON object are text"),
        (Tree, "Tree contains itself"),
        (Odd, "not all JSON scalars"),
        (list[bytes], "bytes has no counterpart"),
        ("str", "has no counterpart"),
    ],
)
def test_what_json_has_no_word_for_is_named(annotation: object, reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        shape_of(annotation)
