"""The agent schema: composition with tool kinds, and validation of agent files.

jsonschema is imported only for invalid files. Its errors are returned as `Violation`s,
which `schema_errors` turns into findings.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from jsonschema.exceptions import ValidationError

    from runner.config.model import Kinds
    from runner.config.yaml.nodes import Pointer

# The files that `vagent schema --write` writes.
AGENT_SCHEMA = "agent.schema.json"
SUITE_SCHEMA = "scenario.schema.json"


@dataclass(frozen=True, slots=True)
class Violation:
    """One keyword of a schema that a value does not satisfy.

    `expected` is the value of the keyword, `schema` the schema that contains it. With
    `about_key`, `instance` is a key of the mapping at `path` instead of the value
    there.
    """

    keyword: str
    expected: Any
    path: Pointer
    instance: Any
    schema: dict[str, Any]
    about_key: bool = False


_KIND_ID = "https://vagent.dev/schema/kind/"


def agent_schema(kinds: Kinds | None = None) -> Schema:
    """Returns the agent schema with additional tool kinds (key -> schema of its value).

    The built-in kinds are always included. Raises `ToolError` for a kind whose key is a
    field of all tools or whose schema is invalid.
    """
    schema = packaged_schema()
    tool = schema["$defs"]["tool"]
    for key, value in sorted((kinds or {}).items()):
        if f"{KIND}{key}" in schema["$defs"]:
            continue
        if key in tool["properties"]:
            raise ToolError(
                f"invalid key {key!r} of a tool kind: every tool has that field"
            )
        _check_kind(key, value)
        # With an $id of its own, "#/..." references resolve inside this schema.
        own = value if isinstance(value, bool) else {"$id": _KIND_ID + key, **value}
        schema["$defs"][KIND + key] = own
        tool["properties"][key] = {"$ref": f"#/$defs/{KIND}{key}"}
        tool["oneOf"].append({"required": [key]})
    return schema


def _check_kind(key: str, schema: Mapping[str, Any] | bool) -> None:
    from runner.config.json_schema import find_meta_errors

    for error in find_meta_errors(schema):
        raise ToolError(
            f"the tool kind {key!r} has an invalid schema: {error.message}",
            hint="report it to the author of the plugin",
        )


@cache
def _builtin_schema() -> Schema:
    return agent_schema()


def find_agent_violations(value: Any, kinds: Kinds | None = None) -> list[Violation]:
    """Returns the violations of an agent file, with additional tool kinds."""
    return find_violations(value, agent_schema(kinds) if kinds else _builtin_schema())


def find_violations(value: Any, schema: Schema) -> list[Violation]:
    """Returns the violations of one of our own schemas; empty if the value is valid."""
    if _fits_quickly(value, schema):
        return []
    from runner.config.json_schema import BoundedSchema

    return list(_translate(BoundedSchema(schema).find_all_errors(value)))


def find_sample_violation(value: Any, schema: Schema) -> Violation | None:
    """Returns a violation of a schema from a file, without references, by a sample.

    None also if the work for it would exceed the bounds of `json_schema`.
    """
    if _fits_quickly(value, schema, search=_search_bounded):
        return None
    from runner.config.json_schema import BoundedSchema, SchemaTooComplex

    try:
        errors = BoundedSchema(schema).find_errors(value)
    except SchemaTooComplex:
        return None
    return next(_translate(errors), None)


def find_schema_violations(schema: Any) -> list[Violation]:
    """Returns the violations of the JSON Schema 2020-12 meta-schema by `schema`."""
    if _fits_quickly(schema, PLAIN_SCHEMA):
        return []
    from runner.config.json_schema import find_meta_errors

    found = _translate(find_meta_errors(schema, limit=None))
    return [each for each in found if each.keyword != "format"]  # VA410 reports them


def is_resolved(reference: str, schema: Any) -> bool:
    """True if a reference resolves within the schema of a tool's arguments."""
    from runner.config.json_schema import find_unresolved_references

    # Like ArgumentCheck: without $id.
    bare = {key: each for key, each in schema.items() if key not in ("$id", "$schema")}
    return reference not in find_unresolved_references({"properties": {}, **bare})


def _fits_quickly(value: Any, schema: Schema, search: Search | None = None) -> bool:
    try:
        return fits(value, schema, search=search or matches_pattern)
    except UnsupportedKeyword:
        return False


def _search_bounded(pattern: str, text: str) -> bool:
    from runner.patterns import InvalidPattern, MatchTimeout, compile_pattern

    try:
        return compile_pattern(pattern).search(text)
    except (InvalidPattern, MatchTimeout):
        raise UnsupportedKeyword from None


def _translate(
    errors: Iterable[ValidationError], above: Pointer = ()
) -> Iterator[Violation]:
    for error in errors:
        path = (*above, *error.relative_path)
        branch = _fitting_branch(error)
        if branch:
            yield from _translate(branch, path)
            continue
        yield Violation(
            keyword=str(error.validator),
            expected=error.validator_value,
            path=path,
            instance=error.instance,
            schema=error.schema if isinstance(error.schema, dict) else {},
            about_key="propertyNames" in error.relative_schema_path,
        )


def _fitting_branch(error: ValidationError) -> list[ValidationError]:
    """Returns the errors of the branch of an anyOf or oneOf that was probably meant.

    It is the only branch whose type fits, or of several the only one whose errors are
    deeper inside. Empty if it is unclear.
    """
    if error.validator not in ("anyOf", "oneOf"):
        return []
    branches: dict[Any, list[ValidationError]] = {}
    for each in error.context or ():
        branches.setdefault(each.relative_schema_path[0], []).append(each)
    fitting = [
        errors
        for errors in branches.values()
        if not any(e.validator in ("type", "required") and not e.path for e in errors)
    ]
    if len(fitting) > 1:
        fitting = [errors for errors in fitting if all(e.path for e in errors)]
    return fitting[0] if len(fitting) == 1 else []


Schema: TypeAlias = dict[str, Any]

# Prefix of the names of tool kinds in the definitions.
KIND = "kind_"


@cache
def read_packaged(package: str, name: str) -> str:
    """Returns the text of a data file of a package."""
    # importlib.resources takes 4 ms to import.
    data = get_data(package, name)
    assert data is not None  # None is for namespace packages
    return data.decode("utf-8")


def packaged_text() -> str:
    """Returns the text of the packaged agent schema."""
    return read_packaged("runner.config", "agent.schema.json")


def packaged_schema() -> Schema:
    """Returns the packaged agent schema, with the built-in tool kinds."""
    schema: Schema = json.loads(packaged_text())
    return schema


def builtin_kinds() -> dict[str, Schema]:
    """Returns the schemas of the built-in tool kinds, by key."""
    return {
        name.removeprefix(KIND): schema
        for name, schema in packaged_schema()["$defs"].items()
        if name.startswith(KIND)
    }


# A fast validator for the keywords of agent files. Importing jsonschema takes half of
# the time of checking a file, and most files are valid; jsonschema is used only to
# describe errors and for keywords that are unknown here.

AnySchema: TypeAlias = Any  # a mapping or a boolean, or anything from a file

_ANNOTATIONS = frozenset(
    {
        "$schema",
        "$defs",
        "$comment",
        "title",
        "description",
        "default",
        "examples",
        "deprecated",
        "format",  # for people and editors; not checked
        "patternErrorMessage",  # read by editors and by `schema_errors`
        "defaultSnippets",  # read by editors
    }
)


# About half a second of work; an agent file with a hundred tools needs 20,000.
_MAX_STEPS = 200_000


class UnsupportedKeyword(Exception):
    """Raised for a schema keyword that is not supported here."""


Search: TypeAlias = "Callable[[str, str], bool]"  # pattern and text


@dataclass(slots=True)
class _Context:
    """The schema in which `$ref`s resolve, and what is left of the work allowed."""

    root: AnySchema
    search: Search
    steps_left: int = _MAX_STEPS


def fits(value: Any, schema: AnySchema, search: Search | None = None) -> bool:
    """True if the value is valid; raises `UnsupportedKeyword`.

    It is also raised if the value and the schema are too large. `search` matches
    patterns; the default is for patterns of our own.
    """
    return _fits(value, schema, _Context(schema, search or matches_pattern))


def _fits(value: Any, schema: AnySchema, context: _Context) -> bool:
    if isinstance(schema, bool):
        return schema
    context.steps_left -= 1
    if not isinstance(schema, dict) or context.steps_left < 0:
        raise UnsupportedKeyword
    for keyword, wanted in schema.items():
        if keyword in _ANNOTATIONS or (keyword == "$id" and schema is context.root):
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise UnsupportedKeyword
        if not check(value, wanted, schema, context):
            return False
    return True


def matches_pattern(pattern: str, text: str) -> bool:
    """True if `pattern` matches; `$` is the end of the text, not before a newline."""
    strict = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    return re.search(strict, text) is not None


def _pattern(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return not isinstance(value, str) or context.search(wanted, value)


def _ref(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    if not isinstance(wanted, str) or not wanted.startswith("#"):
        raise UnsupportedKeyword
    found = context.root
    for part in wanted.split("/")[1:]:
        if not isinstance(found, dict) or part not in found:
            raise UnsupportedKeyword
        found = found[part]
    return _fits(value, found, context)


def _type(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
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


def _one_of(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return sum(_fits(value, each, context) for each in wanted) == 1


def _any_of(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return sum(_fits(value, each, context) for each in wanted) > 0


def _properties(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        _fits(value[name], each, context)
        for name, each in wanted.items()
        if name in value
    )


def _additional(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    if not isinstance(value, dict):
        return True
    named = schema.get("properties", {})
    return all(
        _fits(each, wanted, context)
        for name, each in value.items()
        if name not in named
    )


def _if(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    branch = "then" if _fits(value, wanted, context) else "else"
    return _fits(value, schema.get(branch, {}), context)


def _names(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return not isinstance(value, dict) or all(
        _fits(name, wanted, context) for name in value
    )


def _items(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return not isinstance(value, list) or all(
        _fits(each, wanted, context) for each in value
    )


def _dependent(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return not isinstance(value, dict) or all(
        other in value
        for name, others in wanted.items()
        if name in value
        for other in others
    )


def _unique(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    if not isinstance(value, list) or not wanted:
        return True
    if not all(isinstance(each, str) for each in value):
        raise UnsupportedKeyword
    return len(set(value)) == len(value)


def _enum(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return any(_is_same(value, each) for each in wanted)


def _const(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
    return _is_same(value, wanted)


def _is_same(one: Any, other: Any) -> bool:
    """True if two scalars are equal in JSON, where 1 equals 1.0 but not true."""
    if isinstance(one, (list, dict)) and isinstance(other, (list, dict)):
        raise UnsupportedKeyword
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _measure(
    kind: type | tuple[type, ...], test: Callable[[Any, Any], bool]
) -> Callable[[Any, Any, AnySchema, _Context], bool]:
    """Returns a check for values of one type; all other values pass."""

    def check(value: Any, wanted: Any, schema: AnySchema, context: _Context) -> bool:
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

_CHECKS: dict[str, Callable[[Any, Any, AnySchema, _Context], bool]] = {
    "$ref": _ref,
    "type": _type,
    "oneOf": _one_of,
    "anyOf": _any_of,
    "if": _if,
    "then": lambda *_: True,  # evaluated by "if"
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
    "minProperties": _measure(dict, lambda value, minimum: len(value) >= minimum),
    "minItems": _measure(list, lambda value, minimum: len(value) >= minimum),
    "maxItems": _measure(list, lambda value, maximum: len(value) <= maximum),
    "minLength": _measure(str, lambda value, minimum: len(value) >= minimum),
    "maxLength": _measure(str, lambda value, maximum: len(value) <= maximum),
    "pattern": _pattern,
    "minimum": _measure(_NUMBER, lambda value, minimum: not value < minimum),
    "maximum": _measure(_NUMBER, lambda value, maximum: not value > maximum),
}

_SIZE = {"type": "integer", "minimum": 0}
_TEXT = {"type": "string"}
_SCHEMAS = {"type": "array", "minItems": 1, "items": {"$ref": "#"}}

# A subset of the meta-schema of 2020-12, sufficient for common parameters of tools: a
# schema that is valid here is a valid JSON Schema.
PLAIN_SCHEMA: AnySchema = {
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
