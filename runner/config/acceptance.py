"""Whether a value fits a JSON Schema, for the keywords that agent files need.

Loading jsonschema takes half of the time that checking a file takes, and most files are
right. This tells so; only what is wrong is left to jsonschema to describe, and what is
unknown here to decide.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeAlias

Schema: TypeAlias = Any  # a mapping or a boolean, and whatever else people write

_NOTES = frozenset(
    {
        "$schema",
        "$defs",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "format",  # says something to people and editors, and nothing is checked
        "patternErrorMessage",  # read by editors and by `wording`
        "defaultSnippets",  # read by editors
    }
)


class UnsupportedKeyword(Exception):
    """The schema has something that is not known here."""


def fits(value: Any, schema: Schema, root: Schema = None) -> bool:
    """Whether jsonschema would find nothing; raises `UnsupportedKeyword`.

    `root` is what `$ref`s are looked up in: by default the schema itself.
    """
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise UnsupportedKeyword
    is_root = root is None
    root = schema if is_root else root
    for keyword, wanted in schema.items():
        if keyword in _NOTES or (keyword == "$id" and is_root):
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise UnsupportedKeyword
        if not check(value, wanted, schema, root):
            return False
    return True


def matches_pattern(pattern: str, text: str) -> bool:
    """Match as JSON Schema says: `$` is the end of the text, never before a newline."""
    strict = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    return re.search(strict, text) is not None


def _ref(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(wanted, str) or not wanted.startswith("#"):
        raise UnsupportedKeyword
    found = root
    for part in wanted.split("/")[1:]:
        if not isinstance(found, dict) or part not in found:
            raise UnsupportedKeyword
        found = found[part]
    return fits(value, found, root)


def _type(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    names = wanted if isinstance(wanted, list) else [wanted]
    return any(_is_of(value, name) for name in names)


def _is_of(value: Any, name: Any) -> bool:
    if name not in _TYPES:
        raise UnsupportedKeyword
    if isinstance(value, bool):
        return bool(name == "boolean")
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _one_of(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return sum(fits(value, each, root) for each in wanted) == 1


def _any_of(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return sum(fits(value, each, root) for each in wanted) > 0


def _properties(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        fits(value[name], each, root) for name, each in wanted.items() if name in value
    )


def _additional(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(value, dict):
        return True
    named = schema.get("properties", {})
    return all(
        fits(each, wanted, root) for name, each in value.items() if name not in named
    )


def _if(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    branch = "then" if fits(value, wanted, root) else "else"
    return fits(value, schema.get(branch, {}), root)


def _names(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return not isinstance(value, dict) or all(
        fits(name, wanted, root) for name in value
    )


def _items(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return not isinstance(value, list) or all(
        fits(each, wanted, root) for each in value
    )


def _dependent(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return not isinstance(value, dict) or all(
        other in value
        for name, others in wanted.items()
        if name in value
        for other in others
    )


def _unique(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    if not isinstance(value, list) or not wanted:
        return True
    if not all(isinstance(each, str) for each in value):
        raise UnsupportedKeyword
    return len(set(value)) == len(value)


def _enum(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return any(_is_same(value, each) for each in wanted)


def _const(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
    return _is_same(value, wanted)


def _is_same(one: Any, other: Any) -> bool:
    """Whether two plain values are the same in JSON, where 1 is 1.0 and not true."""
    if isinstance(one, (list, dict)) and isinstance(other, (list, dict)):
        raise UnsupportedKeyword
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _measure(
    kind: type | tuple[type, ...], test: Callable[[Any, Any], bool]
) -> Callable[[Any, Any, Schema, Schema], bool]:
    """Make a check of the values of one kind; others have nothing to be measured."""

    def check(value: Any, wanted: Any, schema: Schema, root: Schema) -> bool:
        if isinstance(value, bool) or not isinstance(value, kind):
            return True
        return test(value, wanted)

    return check


_TYPES: dict[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "number": (int, float),
    "boolean": bool,
    "null": type(None),
}

_NUMBER = (int, float)

_CHECKS: dict[str, Callable[[Any, Any, Schema, Schema], bool]] = {
    "$ref": _ref,
    "type": _type,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "if": _if,
    "then": lambda *_: True,  # looked at by "if", and nothing without it
    "else": lambda *_: True,
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "items": _items,
    "dependentRequired": _dependent,
    "uniqueItems": _unique,
    "enum": _enum,
    "const": _const,
    "required": _measure(dict, lambda value, names: all(n in value for n in names)),
    "minProperties": _measure(dict, lambda value, least: len(value) >= least),
    "minItems": _measure(list, lambda value, least: len(value) >= least),
    "maxItems": _measure(list, lambda value, most: len(value) <= most),
    "minLength": _measure(str, lambda value, least: len(value) >= least),
    "maxLength": _measure(str, lambda value, most: len(value) <= most),
    "pattern": _measure(str, lambda text, pattern: matches_pattern(pattern, text)),
    "minimum": _measure(_NUMBER, lambda value, least: not value < least),
    "maximum": _measure(_NUMBER, lambda value, most: not value > most),
}

_SIZE = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_SCHEMAS = {"type": "array", "minItems": 1, "items": {"$ref": "#"}}

# What people write as a tool's parameters: narrower than the meta-schema of 2020-12, so
# that whatever fits this fits that.
PLAIN_SCHEMA: Schema = {
    "type": ["object", "boolean"],
    "additionalProperties": False,
    "properties": {
        "type": {
            "anyOf": [
                {"enum": list(_TYPES)},
                {
                    "type": "array",
                    "minItems": 1,
                    "uniqueItems": True,
                    "items": {"enum": list(_TYPES)},
                },
            ]
        },
        "title": _TEXT,
        "description": _TEXT,
        "format": _TEXT,
        "pattern": _TEXT,
        "default": True,
        "const": True,
        "enum": {"type": "array"},
        "examples": {"type": "array"},
        "required": {"type": "array", "uniqueItems": True, "items": _TEXT},
        "properties": {"type": "object", "additionalProperties": {"$ref": "#"}},
        "additionalProperties": {"$ref": "#"},
        "items": {"$ref": "#"},
        "anyOf": _SCHEMAS,
        "oneOf": _SCHEMAS,
        "allOf": _SCHEMAS,
        "uniqueItems": {"type": "boolean"},
        "minimum": {"type": "number"},
        "maximum": {"type": "number"},
        "exclusiveMinimum": {"type": "number"},
        "exclusiveMaximum": {"type": "number"},
        "minLength": _SIZE,
        "maxLength": _SIZE,
        "minItems": _SIZE,
        "maxItems": _SIZE,
    },
}
