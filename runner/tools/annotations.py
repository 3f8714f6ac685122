"""Converts Python annotations to JSON Schema and JSON values to Python values.

pydantic does both. Annotations are rewritten first, so that these forms have the same
meaning inside lists, unions and classes as at the top:

Annotated[T, "text", {...}]      T with a description and JSON Schema keywords
dataclass, NamedTuple, attrs     object with exactly these properties
TypedDict                        the same, including typing.TypedDict before Python 3.12
Iterable, Collection             list

The import of pydantic takes 80 ms: only loading a Python tool imports this module.
"""

from __future__ import annotations

import collections.abc
import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Annotated, Any, NewType, NotRequired, Required, TypeVar, Union

import typing_extensions
from pydantic import (
    AfterValidator,
    ConfigDict,
    GetJsonSchemaHandler,
    TypeAdapter,
    ValidationError,
)
from pydantic.fields import FieldInfo
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue
from pydantic_core import core_schema

from runner.config.lint.python_types import CLOCK_PATTERN

Schema = dict[str, Any]

_MAX_PROBLEMS = 3  # in one message
# pydantic reads classes with one of these without help.
_PYDANTIC_MARKERS = ("__get_pydantic_core_schema__", "__pydantic_validator__")
# Keywords whose value is a schema, and keywords that have no effect with this value.
_WITH_SCHEMA = ("items", "additionalProperties", "propertyNames", "not", "contains")
_NO_EFFECT: tuple[tuple[str, object], ...] = (
    ("items", {}),
    ("additionalProperties", True),
    ("additionalProperties", {}),
    ("format", "path"),
    ("format", "binary"),
)


class Unsupported(Exception):
    """Raised for an annotation without a JSON Schema; the message names it and why."""


class TypeConverter:
    """One annotation: its JSON Schema, and the conversion of JSON values."""

    def __init__(self, annotation: object) -> None:
        """Raises `Unsupported` if the annotation has no JSON Schema."""
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(_rewrite(annotation, ()))
            schema = self._adapter.json_schema(schema_generator=_SchemaGenerator)
        except (Unsupported, NameError) as error:
            raise Unsupported(str(error)) from error
        except Exception as error:  # of pydantic and of the user's classes
            raise Unsupported(f"{_name(annotation)} has no JSON Schema") from error
        self.schema: Schema = _simplified(schema, schema.get("$defs", {}), ())
        # Any other description is that of a class; the tool's docstring is more
        # specific.
        is_annotated = typing.get_origin(annotation) is Annotated
        self.is_described = is_annotated and "description" in self.schema

    def convert(self, value: Any) -> Any:
        """Returns the Python value; raises ValueError with one line if it does not fit.

        Conversion is lenient: the value was checked against the JSON Schema before.
        """
        try:
            return self._adapter.validate_python(value)
        except ValidationError as error:
            problems = error.errors(include_url=False, include_input=False)
            lines = [_problem(each["loc"], each["msg"]) for each in problems]
            raise ValueError("; ".join(lines[:_MAX_PROBLEMS])) from error


def converter_for(annotation: object) -> TypeConverter:
    """Returns the converter of an annotation; raises `Unsupported` if it has none."""
    try:
        return _cached_converter(annotation, str(annotation))
    except TypeError:  # it has no hash
        return TypeConverter(annotation)


# pydantic takes 0.4 ms for each annotation, and every scenario loads its agent. The
# text is part of the key: unions are equal in any order, their schemas are not.
@lru_cache(maxsize=256)
def _cached_converter(annotation: object, text: str) -> TypeConverter:
    return TypeConverter(annotation)


def read_default(
    annotation: Any, default: object
) -> tuple[Any, Callable[[], object] | None, bool]:
    """Returns the annotation, the default's factory, and whether it is required.

    The constraints of a default `Field(…)` become part of the annotation. Other
    defaults are applied by the function itself and have no factory.
    """
    if not isinstance(default, FieldInfo):
        return annotation, None, default is inspect.Parameter.empty
    annotated = Annotated[annotation, default]
    if default.is_required():
        return annotated, None, True
    return annotated, partial(default.get_default, call_default_factory=True), False


class _SchemaGenerator(GenerateJsonSchema):
    """Generates schemas for a language model: Decimal is a number, time HH:MM text."""

    def decimal_schema(self, schema: core_schema.DecimalSchema) -> JsonSchemaValue:
        return dict(super().decimal_schema(schema)["anyOf"][0])

    def time_schema(self, schema: core_schema.TimeSchema) -> JsonSchemaValue:
        return {"type": "string", "pattern": CLOCK_PATTERN}


class _Keywords:
    """JSON Schema keywords of an `Annotated`, as metadata for pydantic."""

    def __init__(self, keywords: Mapping[str, Any]) -> None:
        self._keywords = keywords

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(schema), **self._keywords}


def _rewrite(hint: Any, outer: tuple[object, ...]) -> Any:
    """Returns an annotation that pydantic reads as the module docstring describes.

    `outer` holds the classes and aliases around `hint`, to detect recursion.
    """
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is Annotated:
        inner, *notes = arguments
        return Annotated[(_rewrite(inner, outer), *map(_note, notes))]
    if isinstance(hint, NewType):
        return _rewrite(hint.__supertype__, outer)
    if any(hint is each for each in outer):
        raise Unsupported(f"{_name(hint)} contains itself")
    if hasattr(hint, "__value__"):  # `type X = …` of Python 3.12
        return _rewrite(hint.__value__, (*outer, hint))
    if hint is typing.LiteralString:
        return str
    if origin in (Union, types.UnionType):
        return Union[tuple(_rewrite(each, outer) for each in arguments)]  # noqa: UP007 - built from a tuple
    kind = origin or hint
    if kind in (collections.abc.Iterable, collections.abc.Collection):
        kind = list
    fields = _fields(kind)
    if fields is not None:
        values = dict(zip(getattr(kind, "__parameters__", ()), arguments, strict=False))
        inside = (*outer, kind)
        keys = {
            name: _rewrite(_substitute(each, values), inside)
            if is_required
            else NotRequired[_rewrite(_substitute(each, values), inside)]
            for name, (each, is_required) in fields.items()
        }
        return _object(kind, keys)
    if not arguments or kind in (typing.Literal, collections.abc.Callable):
        return kind if kind is list else hint
    return kind[tuple(_rewrite(each, outer) for each in arguments)]


def _note(note: object) -> object:
    if isinstance(note, str):
        return _Keywords({"description": note})
    return _Keywords(note) if isinstance(note, Mapping) else note


def _fields(kind: Any) -> dict[str, tuple[Any, bool]] | None:
    """Returns the annotation of each field, with True if the field is required.

    None for a class without fields and for a class that pydantic reads without help.
    """
    if not isinstance(kind, type) or any(
        hasattr(kind, each) for each in _PYDANTIC_MARKERS
    ):
        return None
    if typing.is_typeddict(kind) or typing_extensions.is_typeddict(kind):
        return _typed_dict_fields(kind)
    is_named_tuple = issubclass(kind, tuple) and hasattr(kind, "_fields")
    is_data = dataclasses.is_dataclass(kind) or hasattr(kind, "__attrs_attrs__")
    if not (is_data or is_named_tuple):
        return None
    hints = typing.get_type_hints(kind, include_extras=True)
    fields: dict[str, tuple[Any, bool]] = {}
    for name, each in inspect.signature(kind).parameters.items():
        if isinstance(each.default, FieldInfo):
            return None
        # attrs names the argument of a field `_name` without the underscore.
        hint = hints.get(name, hints.get(f"_{name}", Any))
        fields[name] = hint, each.default is inspect.Parameter.empty
    return fields


def _typed_dict_fields(kind: type) -> dict[str, tuple[Any, bool]]:
    keys: frozenset[str] = getattr(kind, "__required_keys__", frozenset())
    fields: dict[str, tuple[Any, bool]] = {}
    for name, hint in typing.get_type_hints(kind, include_extras=True).items():
        # __required_keys__ misses wrappers in postponed annotations.
        wrapper = typing.get_origin(hint)
        is_required = name in keys and wrapper is not NotRequired
        if wrapper in (Required, NotRequired):
            hint = typing.get_args(hint)[0]
        fields[name] = hint, is_required or wrapper is Required
    return fields


def _substitute(hint: Any, values: Mapping[object, object]) -> Any:
    """Returns a field's annotation with type variables replaced by type arguments."""
    if isinstance(hint, TypeVar):
        return values.get(hint, hint)
    parameters = getattr(hint, "__parameters__", ())
    if not values or not parameters or isinstance(hint, type):
        return hint
    return hint[tuple(values.get(each, each) for each in parameters)]


def _object(kind: type, keys: Mapping[str, object]) -> Any:
    """Returns the annotation of a closed object that is converted to `kind`."""
    # pydantic rejects typing.TypedDict before Python 3.12. Any: called with run-time
    # keys.
    make: Any = typing_extensions.TypedDict
    made = make(kind.__name__, dict(keys))
    made.__pydantic_config__ = ConfigDict(extra="forbid")
    if issubclass(kind, dict):
        return made
    return Annotated[made, AfterValidator(lambda values: kind(**values))]


def _simplified(
    schema: Any, definitions: Mapping[str, Any], outer: tuple[str, ...]
) -> Any:
    """Returns a schema without references, titles and keywords that have no effect.

    `outer` holds the names of the definitions around it. Raises `Unsupported` for a
    recursive definition.
    """
    if not isinstance(schema, Mapping):
        return schema
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        if name in outer:
            raise Unsupported(f"{name} contains itself")
        found = _simplified(definitions[name], definitions, (*outer, name))
        rest = {key: value for key, value in schema.items() if key != "$ref"}
        return {**found, **_simplified(rest, definitions, outer)}
    simple = {
        key: _part(
            key, value, partial(_simplified, definitions=definitions, outer=outer)
        )
        for key, value in schema.items()
        if key not in ("title", "$defs", "discriminator")
    }
    if "const" in simple:
        simple["enum"] = [simple.pop("const")]
    if "properties" in simple:
        simple.setdefault("required", [])
    for key, default in _NO_EFFECT:
        if key in simple and simple[key] == default:
            del simple[key]
    members = simple.get("anyOf", ())
    if members and all(_is_plain_type(each) for each in members):
        del simple["anyOf"]
        types = list(dict.fromkeys(each["type"] for each in members))
        simple["type"] = types if len(types) > 1 else types[0]
    # pydantic sorts keywords by name; these two are easier to read first.
    first = {key: simple[key] for key in ("type", "properties") if key in simple}
    return {**first, **simple}


def _part(key: str, value: Any, simplify: Callable[[Any], Any]) -> Any:
    if key in ("properties", "patternProperties"):
        return {name: simplify(each) for name, each in value.items()}
    if key in ("anyOf", "oneOf", "allOf", "prefixItems"):
        return [simplify(each) for each in value]
    return simplify(value) if key in _WITH_SCHEMA else value


def _is_plain_type(schema: Mapping[str, Any]) -> bool:
    return schema.keys() == {"type"} and isinstance(schema["type"], str)


def _problem(place: tuple[int | str, ...], text: str) -> str:
    path = ".".join(map(str, place))
    return f"{path}: {text}" if path else text


def _name(annotation: object) -> str:
    if isinstance(annotation, type) and typing.get_origin(annotation) is None:
        return annotation.__name__
    return str(annotation).replace("typing.", "")
