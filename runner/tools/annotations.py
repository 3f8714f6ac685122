"""What a Python annotation means: a JSON Schema, and the way from JSON to its value.

str int float bool None Any          the JSON type of that name
list[T] tuple[T, ...] set[T]         array
tuple[A, B]                          array of fixed length
dict[str, T]                         object
T | None, Union                      both; a union takes the first that fits
Literal, Enum                        enum
date time datetime UUID              string with a format
Decimal                              number
dataclass, TypedDict                 object with properties
Annotated[T, "text", {...}, Ge(0)]   T with a description, JSON Schema keywords,
                                     or constraints named as annotated-types does
"""

from __future__ import annotations

import dataclasses
import enum
import types
import typing
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import Annotated, Any, Literal, NewType, Union, get_args, get_origin

from runner.tools.shapes import (
    SIMPLE,
    Schema,
    Shape,
    array_of,
    choice_of,
    mapping_of,
    object_of,
    tuple_of,
    union_of,
)

# typing.TypedDict of Python 3.11 knows Required and NotRequired by these wrappers.
_FIELD_WRAPPERS = (typing.Required, typing.NotRequired)

# Attribute of a constraint object (annotated-types, pydantic) -> JSON Schema keyword.
_CONSTRAINTS = {
    "ge": "minimum",
    "gt": "exclusiveMinimum",
    "le": "maximum",
    "lt": "exclusiveMaximum",
    "multiple_of": "multipleOf",
    "pattern": "pattern",
    "description": "description",
    "examples": "examples",
}
_LENGTHS = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}


class Unsupported(Exception):
    """An annotation has no meaning in JSON; the message says which and why."""


def shape_of(annotation: object, enclosing: tuple[object, ...] = ()) -> Shape:
    """Return what an annotation means; raise `Unsupported` when JSON has no such thing.

    `enclosing` are the classes around it: one that contains itself is without end.
    """
    if isinstance(annotation, NewType):
        return shape_of(annotation.__supertype__, enclosing)
    if hasattr(annotation, "__value__"):  # `type X = …` of Python 3.12
        return shape_of(annotation.__value__, enclosing)
    if get_origin(annotation) is Annotated:
        inner, *metadata = get_args(annotation)
        return _annotated(shape_of(inner, enclosing), metadata)
    if get_origin(annotation) in _FIELD_WRAPPERS:
        return shape_of(get_args(annotation)[0], enclosing)
    if annotation in SIMPLE:
        return SIMPLE[annotation]
    if get_origin(annotation) is not None:
        return _generic(annotation, enclosing)
    if isinstance(annotation, type):
        return _class(annotation, enclosing)
    raise Unsupported(f"{_name(annotation)} has no counterpart in JSON")


def _annotated(shape: Shape, metadata: Sequence[object]) -> Shape:
    schema = dict(shape.schema)
    for item in metadata:
        if isinstance(item, str):
            schema["description"] = item
        elif isinstance(item, Mapping):
            schema.update(item)
        else:
            _constrain(schema, item)
    return Shape(schema, shape.convert)


def _constrain(schema: Schema, item: object) -> None:
    """Add what a constraint object (`Ge(1)`, `Field(ge=1)`) says to the schema."""
    for attribute, keyword in _CONSTRAINTS.items():
        value = getattr(item, attribute, None)
        if value is not None:
            schema[keyword] = value
    lengths = _LENGTHS.get(str(schema.get("type")))
    if lengths:
        for attribute, keyword in zip(
            ("min_length", "max_length"), lengths, strict=True
        ):
            value = getattr(item, attribute, None)
            if isinstance(value, int) and not (attribute == "min_length" and not value):
                schema[keyword] = value
    for nested in getattr(item, "metadata", None) or ():
        _constrain(schema, nested)


def _generic(annotation: object, enclosing: tuple[object, ...]) -> Shape:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin in (Union, types.UnionType):
        return union_of([shape_of(member, enclosing) for member in arguments])
    if origin is Literal:
        return _choice([(value, value) for value in arguments], annotation)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        return tuple_of([shape_of(member, enclosing) for member in arguments])
    if isinstance(origin, type) and issubclass(origin, Mapping):
        if arguments[0] is not str:
            raise Unsupported(f"{_name(annotation)}: keys of a JSON object are text")
        return mapping_of(shape_of(arguments[1], enclosing))
    if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
        return array_of(shape_of(arguments[0], enclosing), origin)
    raise Unsupported(f"{_name(annotation)} has no counterpart in JSON")


def _class(annotation: type, enclosing: tuple[object, ...]) -> Shape:
    if annotation in enclosing:
        raise Unsupported(f"{annotation.__name__} contains itself")
    if issubclass(annotation, enum.Enum):
        return _choice([(member.value, member) for member in annotation], annotation)
    inside = (*enclosing, annotation)
    if dataclasses.is_dataclass(annotation):
        return _dataclass(annotation, inside)
    if typing.is_typeddict(annotation):
        return _typed_dict(annotation, inside)
    if annotation in (list, set, frozenset, tuple):
        return array_of(SIMPLE[Any], annotation)
    if annotation is dict:
        return mapping_of(SIMPLE[Any])
    raise Unsupported(f"{_name(annotation)} has no counterpart in JSON")


def _dataclass(annotation: type, inside: tuple[object, ...]) -> Shape:
    hints = _hints(annotation)
    fields = [field for field in dataclasses.fields(annotation) if field.init]
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING
        and field.default_factory is dataclasses.MISSING
    ]
    shapes = {field.name: shape_of(hints[field.name], inside) for field in fields}
    return object_of(shapes, required, annotation)


def _typed_dict(annotation: type, inside: tuple[object, ...]) -> Shape:
    hints = _hints(annotation)
    required_keys: frozenset[str] = getattr(
        annotation, "__required_keys__", frozenset()
    )
    required = []
    for key, hint in hints.items():
        # Postponed annotations hide the wrappers from Python's own list of keys.
        wrapper = get_origin(hint)
        if wrapper is typing.Required or (
            key in required_keys and wrapper is not typing.NotRequired
        ):
            required.append(key)
    shapes = {key: shape_of(hint, inside) for key, hint in hints.items()}
    return object_of(shapes, required, dict)


def _hints(annotation: type) -> dict[str, Any]:
    try:
        return typing.get_type_hints(annotation, include_extras=True)
    except NameError as error:
        raise Unsupported(f"{annotation.__name__}: {error}") from error


def _choice(values: Sequence[tuple[Any, Any]], annotation: object) -> Shape:
    if not all(isinstance(key, str | int | float | None) for key, _ in values):
        raise Unsupported(f"{_name(annotation)}: its values are not all JSON scalars")
    return choice_of(values)


def _name(annotation: object) -> str:
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "")
