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
    from collections.abc import Callable, Iterator, Mapping

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
    """Return the agent schema with additional tool kinds (key -> schema of its value).

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
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator

    try:
        Draft202012Validator.check_schema(
            schema if isinstance(schema, bool) else dict(schema)
        )
    except SchemaError as error:
        raise ToolError(
            f"the tool kind {key!r} has an invalid schema: {error.message}",
            hint="report it to the author of the plugin",
        ) from error


@cache
def _builtin_schema() -> Schema:
    return agent_schema()


def find_agent_violations(value: Any, kinds: Kinds | None = None) -> list[Violation]:
    """Return the violations of an agent file, with additional tool kinds."""
    return find_violations(value, agent_schema(kinds) if kinds else _builtin_schema())


def find_violations(value: Any, schema: Schema) -> list[Violation]:
    """Return the violations of `schema` by `value`; empty if it is valid."""
    if _fits_quickly(value, schema):
        return []
    return list(_translate(_validator()(schema).iter_errors(value)))


def find_schema_violations(schema: Any) -> list[Violation]:
    """Return the violations of the JSON Schema 2020-12 meta-schema by `schema`."""
    if _fits_quickly(schema, PLAIN_SCHEMA):
        return []
    from jsonschema.validators import Draft202012Validator

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return list(_translate(meta.iter_errors(schema)))


def resolves(reference: str, schema: Any) -> bool:
    """True if a `$ref` resolves within the schema of a tool's arguments."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    # Like ArgumentCheck: without $id, and with an empty registry.
    bare = {key: each for key, each in schema.items() if key not in ("$id", "$schema")}
    resource = DRAFT202012.create_resource({"properties": {}, **bare})
    resolver = Registry[Any]().resolver_with_root(resource)
    try:
        resolver.lookup(reference)
    except Unresolvable:
        return False
    return True


def _fits_quickly(value: Any, schema: Schema) -> bool:
    try:
        return fits(value, schema)
    except UnsupportedKeyword:
        return False


@cache
def _validator() -> Any:
    """Return the validator class, which the stubs do not type."""
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import Draft202012Validator, extend

    def match_pattern(
        validator: Any, pattern: str, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        del validator, schema
        if isinstance(instance, str) and not matches_pattern(pattern, instance):
            yield ValidationError("")

    extended: Any = extend  # not typed in the stubs
    return extended(Draft202012Validator, {"pattern": match_pattern})


def _translate(
    errors: Iterator[ValidationError], above: Pointer = ()
) -> Iterator[Violation]:
    for error in errors:
        path = (*above, *error.relative_path)
        branch = _fitting_branch(error)
        if branch:
            yield from _translate(iter(branch), path)
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
    """Return the errors of the branch of an anyOf or oneOf that was probably meant.

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
    """Return the text of a data file of a package."""
    # importlib.resources takes 4 ms to import.
    data = get_data(package, name)
    assert data is not None  # None is for namespace packages
    return data.decode("utf-8")


def packaged_text() -> str:
    """Return the text of the packaged agent schema."""
    return read_packaged("runner.config", "agent.schema.json")


def packaged_schema() -> Schema:
    """Return the packaged agent schema, with the built-in tool kinds."""
    schema: Schema = json.loads(packaged_text())
    return schema


def builtin_kinds() -> dict[str, Schema]:
    """Return the schemas of the built-in tool kinds, by key."""
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


class UnsupportedKeyword(Exception):
    """Raised for a schema keyword that is not supported here."""


def fits(value: Any, schema: AnySchema, root: AnySchema = None) -> bool:
    """True if the value is valid; raise `UnsupportedKeyword`.

    `$ref`s are resolved in `root`, by default the schema itself.
    """
    if isinstance(schema, bool):
        return schema
    if not isinstance(schema, dict):
        raise UnsupportedKeyword
    is_root = root is None
    root = schema if is_root else root
    for keyword, wanted in schema.items():
        if keyword in _ANNOTATIONS or (keyword == "$id" and is_root):
            continue
        check = _CHECKS.get(keyword)
        if check is None:
            raise UnsupportedKeyword
        if not check(value, wanted, schema, root):
            return False
    return True


def matches_pattern(pattern: str, text: str) -> bool:
    """True if `pattern` matches; `$` is the end of the text, not before a newline."""
    strict = pattern[:-1] + r"\Z" if pattern.endswith("$") else pattern
    return re.search(strict, text) is not None


def _ref(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    if not isinstance(wanted, str) or not wanted.startswith("#"):
        raise UnsupportedKeyword
    found = root
    for part in wanted.split("/")[1:]:
        if not isinstance(found, dict) or part not in found:
            raise UnsupportedKeyword
        found = found[part]
    return fits(value, found, root)


def _type(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
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


def _one_of(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return sum(fits(value, each, root) for each in wanted) == 1


def _any_of(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return sum(fits(value, each, root) for each in wanted) > 0


def _properties(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    if not isinstance(value, dict):
        return True
    return all(
        fits(value[name], each, root) for name, each in wanted.items() if name in value
    )


def _additional(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    if not isinstance(value, dict):
        return True
    named = schema.get("properties", {})
    return all(
        fits(each, wanted, root) for name, each in value.items() if name not in named
    )


def _if(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    branch = "then" if fits(value, wanted, root) else "else"
    return fits(value, schema.get(branch, {}), root)


def _names(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return not isinstance(value, dict) or all(
        fits(name, wanted, root) for name in value
    )


def _items(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return not isinstance(value, list) or all(
        fits(each, wanted, root) for each in value
    )


def _dependent(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return not isinstance(value, dict) or all(
        other in value
        for name, others in wanted.items()
        if name in value
        for other in others
    )


def _unique(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    if not isinstance(value, list) or not wanted:
        return True
    if not all(isinstance(each, str) for each in value):
        raise UnsupportedKeyword
    return len(set(value)) == len(value)


def _enum(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return any(_is_same(value, each) for each in wanted)


def _const(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
    return _is_same(value, wanted)


def _is_same(one: Any, other: Any) -> bool:
    """True if two scalars are equal in JSON, where 1 equals 1.0 but not true."""
    if isinstance(one, (list, dict)) and isinstance(other, (list, dict)):
        raise UnsupportedKeyword
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _measure(
    kind: type | tuple[type, ...], test: Callable[[Any, Any], bool]
) -> Callable[[Any, Any, AnySchema, AnySchema], bool]:
    """Return a check for values of one type; all other values pass."""

    def check(value: Any, wanted: Any, schema: AnySchema, root: AnySchema) -> bool:
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

_CHECKS: dict[str, Callable[[Any, Any, AnySchema, AnySchema], bool]] = {
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
    "pattern": _measure(str, lambda text, pattern: matches_pattern(pattern, text)),
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
