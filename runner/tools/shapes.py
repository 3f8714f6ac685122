"""How JSON values become Python values, built from small parts.

A value is converted only after its JSON Schema accepted it. `convert` still raises
ValueError for a value that does not fit, which is how a union finds its member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Any
from uuid import UUID

Schema = dict[str, Any]
Convert = Callable[[Any], Any]


# The format `time` of JSON Schema wants seconds and an offset, which no caller says.
_CLOCK_PATTERN = "([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9])?"


@dataclass(frozen=True, slots=True)
class Shape:
    """One annotation: its JSON Schema, and how a JSON value becomes a Python one."""

    schema: Schema
    convert: Convert


def _exactly(kind: type, schema: Schema) -> Shape:
    def convert(value: Any) -> Any:
        if type(value) is not kind:
            raise ValueError(f"not of type {kind.__name__}")
        return value

    return Shape(schema, convert)


def _to_int(value: Any) -> int:
    # JSON Schema calls 4.0 an integer, and language models write it.
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a whole number")
    if isinstance(value, float) and not value.is_integer():
        raise ValueError("not a whole number")
    return int(value)


def _to_float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    try:
        return float(value)
    except OverflowError as error:
        raise ValueError("number out of range") from error


def _to_decimal(value: Any) -> Decimal:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a number")
    return Decimal(str(value))


def _parsed(parse: Callable[[str], Any], **keywords: str) -> Shape:
    def convert(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError("not text")
        return parse(value)

    return Shape({"type": "string", **keywords}, convert)


# Annotations that need no look inside.
SIMPLE: dict[object, Shape] = {
    Any: Shape({}, lambda value: value),
    object: Shape({}, lambda value: value),
    str: _exactly(str, {"type": "string"}),
    bool: _exactly(bool, {"type": "boolean"}),
    int: Shape({"type": "integer"}, _to_int),
    float: Shape({"type": "number"}, _to_float),
    Decimal: Shape({"type": "number"}, _to_decimal),
    type(None): _exactly(type(None), {"type": "null"}),
    None: _exactly(type(None), {"type": "null"}),
    datetime: _parsed(datetime.fromisoformat, format="date-time"),
    date: _parsed(date.fromisoformat, format="date"),
    time: _parsed(time.fromisoformat, pattern=_CLOCK_PATTERN),
    UUID: _parsed(UUID, format="uuid"),
}


def union_of(members: list[Shape]) -> Shape:
    """Return the shape that takes what any member takes, tried in order."""

    def convert(value: Any) -> Any:
        for member in members:
            try:
                return member.convert(value)
            except ValueError:
                continue
        raise ValueError("fits no member of the union")

    schemas = [member.schema for member in members]
    if all(set(s) == {"type"} and isinstance(s["type"], str) for s in schemas):
        return Shape({"type": [schema["type"] for schema in schemas]}, convert)
    return Shape({"anyOf": schemas}, convert)


def choice_of(values: Sequence[tuple[Any, Any]]) -> Shape:
    """Return the shape of (JSON scalar, the Python value it stands for) pairs."""
    # By type as well: True == 1, but the JSON values differ.
    members = {(type(key), key): value for key, value in values}

    def convert(value: Any) -> Any:
        if isinstance(value, list | dict):
            raise ValueError("not one of the choices")
        if isinstance(value, float) and value.is_integer() and int in kinds:
            value = int(value)  # JSON Schema says that 4.0 equals 4
        if (type(value), value) not in members:
            raise ValueError("not one of the choices")
        return members[type(value), value]

    kinds = {type(key) for key, _ in values}
    schema: Schema = {"enum": [key for key, _ in values]}
    if kinds == {str}:
        schema = {"type": "string", **schema}
    elif kinds == {int}:
        schema = {"type": "integer", **schema}
    return Shape(schema, convert)


def array_of(member: Shape, origin: type) -> Shape:
    """Return the shape of a list; `origin` says which Python collection it becomes."""
    unique = issubclass(origin, AbstractSet)
    build: Callable[[Any], Any] = list
    if issubclass(origin, tuple):
        build = tuple
    elif unique:
        build = frozenset if issubclass(origin, frozenset) else set

    def convert(value: Any) -> Any:
        if not isinstance(value, list):
            raise ValueError("not a list")
        return build(member.convert(item) for item in value)

    schema: Schema = {"type": "array"}
    if member.schema:
        schema["items"] = member.schema
    if unique:
        schema["uniqueItems"] = True
    return Shape(schema, convert)


def tuple_of(members: list[Shape]) -> Shape:
    """Return the shape of a list of fixed length."""

    def convert(value: Any) -> Any:
        if not isinstance(value, list) or len(value) != len(members):
            raise ValueError(f"not a list of {len(members)}")
        return tuple(m.convert(item) for m, item in zip(members, value, strict=True))

    schemas = [member.schema for member in members]
    count = len(members)
    schema = {"type": "array", "minItems": count, "maxItems": count}
    return Shape({**schema, "prefixItems": schemas} if members else schema, convert)


def mapping_of(member: Shape) -> Shape:
    """Return the shape of an object with any keys."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise ValueError("not an object")
        return {key: member.convert(item) for key, item in value.items()}

    schema: Schema = {"type": "object"}
    if member.schema:
        schema["additionalProperties"] = member.schema
    return Shape(schema, convert)


def object_of(
    shapes: dict[str, Shape], required: list[str], build: Callable[..., Any]
) -> Shape:
    """Return the shape of a closed object that `build` makes from its fields."""

    def convert(value: Any) -> Any:
        if not isinstance(value, Mapping) or not shapes.keys() >= value.keys():
            raise ValueError("not such an object")
        if not value.keys() >= set(required):
            raise ValueError("incomplete")
        return build(**{key: shapes[key].convert(item) for key, item in value.items()})

    schema: Schema = {
        "type": "object",
        "properties": {key: shape.schema for key, shape in shapes.items()},
        "required": required,
        "additionalProperties": False,
    }
    return Shape(schema, convert)
