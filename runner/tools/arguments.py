"""Checks tool call arguments against JSON Schema and explains errors to the model.

Two rules differ from JSON Schema and follow the voice service: a `pattern` must match
the whole value, and `null` for an optional argument means that the argument is absent.
Arguments that the schema does not name are refused unless it sets
`additionalProperties`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from jsonschema.exceptions import ValidationError

from runner.config.json_schema import (
    BoundedSchema,
    SchemaTooComplex,
    find_meta_errors,
    find_unresolved_references,
)
from runner.errors import ToolError

# A model does not use more error messages at once.
_MAX_PROBLEMS = 3
_MAX_QUOTE_LENGTH = 60

_TYPE_NAMES = {
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_LIMITS = {
    "minimum": "must be at least {}",
    "maximum": "must be at most {}",
    "exclusiveMinimum": "must be more than {}",
    "exclusiveMaximum": "must be less than {}",
    "multipleOf": "must be a multiple of {}",
    "minLength": "must have at least {} characters",
    "maxLength": "must have at most {} characters",
    "minItems": "must have at least {} entries",
    "maxItems": "must have at most {} entries",
    "pattern": "must match {}",
    "format": "must be a {}",
    "const": "must be {}",
}

# Top-level keywords that allow arguments that `properties` does not name.
_OPEN_KEYWORDS = (
    "additionalProperties",
    "unevaluatedProperties",
    "patternProperties",
    "allOf",
    "anyOf",
    "oneOf",
    "if",
    "$ref",
)


class ArgumentsRefused(Exception):
    """Raised for invalid arguments; the message is one line for the model."""


class ArgumentCheck:
    """Checks the arguments of one tool; built once, when the tool is loaded."""

    def __init__(self, tool: str, parameters: Mapping[str, Any]) -> None:
        """Raises `ToolError` if `parameters` is not a usable schema of an object."""
        self._schema = build_parameters(parameters)
        _check_schema(tool, self._schema)
        closed = self._schema
        if not any(keyword in closed for keyword in _OPEN_KEYWORDS):
            closed = {**closed, "additionalProperties": False}
        for reference in find_unresolved_references(closed):
            raise ToolError(
                f"tool {tool!r}: parameters refers to {reference!r}, which is not in it"
            )
        try:
            self._checked = BoundedSchema(closed, match_whole=True)
        except SchemaTooComplex as error:
            raise ToolError(f"tool {tool!r}: parameters: {error}") from error

    def check(self, arguments: object) -> dict[str, Any]:
        """Returns the arguments to call with, or raises `ArgumentsRefused`."""
        if not isinstance(arguments, Mapping):
            raise ArgumentsRefused(
                f"the arguments must be an object, not {_quote(arguments)}"
            )
        try:
            present = {
                name: value
                for name, value in arguments.items()
                if value is not None or not self._is_left_out(name)
            }
            errors = self._checked.find_errors(present, limit=_MAX_PROBLEMS)
        except SchemaTooComplex as error:
            raise ArgumentsRefused(
                f"the arguments cannot be checked: {error}"
            ) from error
        problems = [problem for error in errors for problem in _explain(error)]
        if problems:
            unique = list(dict.fromkeys(problems))
            raise ArgumentsRefused("; ".join(unique[:_MAX_PROBLEMS]))
        return present

    def _is_left_out(self, name: str) -> bool:
        """True if `null` for this argument means that the argument is absent."""
        described = self._schema["properties"].get(name)
        if described is None or name in self._schema["required"]:
            return False
        return not self._checked.is_valid(None, described)


def build_parameters(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the schema as the wire requires: with `properties` and `required`.

    `$schema`, `$id` and `$comment` are left out.
    """
    kept = {
        key: value
        for key, value in parameters.items()
        if key not in ("$schema", "$id", "$comment")
    }
    return {"type": "object", "properties": {}, "required": [], **kept}


def _check_schema(tool: str, schema: Mapping[str, Any]) -> None:
    if schema["type"] != "object":
        raise ToolError(
            f"tool {tool!r}: parameters must be of type object, not {schema['type']!r}"
        )
    problem = find_schema_error(schema)
    if problem:
        raise ToolError(f"tool {tool!r}: parameters is not a JSON Schema: {problem}")


def fits(value: object, schema: Mapping[str, Any]) -> bool:
    """True if `value` is valid under a valid schema of JSON Schema 2020-12.

    False also if the schema is too complex to be checked.
    """
    try:
        return not BoundedSchema(schema).find_errors(value)
    except SchemaTooComplex:
        return False


def find_schema_error(schema: Mapping[str, Any]) -> str | None:
    """Returns the place and reason why a schema is invalid; None if it is valid."""
    for error in find_meta_errors(schema):
        place = ".".join(str(part) for part in error.absolute_path) or "at the top"
        return f"{place}: {error.message}"
    return None


def _explain(error: ValidationError) -> Iterable[str]:
    """Returns messages that name the argument and what it must be."""
    place = _place(error)
    wanted: Any = error.validator_value
    instance: Any = error.instance
    schema: Any = error.schema
    match error.validator:
        case "required":
            missing = [key for key in wanted if key not in instance]
            return [f"{_join(place, key)} is missing" for key in missing]
        case "additionalProperties" | "unevaluatedProperties":
            known = schema.get("properties", {})
            unknown = [key for key in instance if key not in known]
            names = ", ".join(known) or "none"
            return [
                f"there is no argument {_join(place, key)[:_MAX_QUOTE_LENGTH]}; "
                f"the arguments are: {names}"
                for key in unknown
            ]
        case "type":
            kinds = [wanted] if isinstance(wanted, str) else wanted
            text = " or ".join(_TYPE_NAMES[kind] for kind in kinds)
            return [f"{place} must be {text}, not {_quote(instance)}"]
        case "enum":
            choices = ", ".join(_quote(choice) for choice in wanted)
            return [f"{place} must be one of: {choices}"]
        case str() as keyword if keyword in _LIMITS:
            text = _LIMITS[keyword].format(wanted)
            return [f"{place} {text}{_example(schema)}"]
        case "anyOf" | "oneOf" if error.context:
            parts = [" and ".join(_explain(inner)) for inner in error.context]
            return [" or ".join(dict.fromkeys(parts))]
    return [f"{place}: {error.message[:200]}"]


def _place(error: ValidationError) -> str:
    place = ""
    for part in error.absolute_path:
        place = f"{place}[{part}]" if isinstance(part, int) else _join(place, part)
    return place or "the arguments"


def _join(place: str, name: object) -> str:
    return str(name) if place in ("", "the arguments") else f"{place}.{name}"


def _quote(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=repr)
    return (
        text if len(text) <= _MAX_QUOTE_LENGTH else text[: _MAX_QUOTE_LENGTH - 1] + "…"
    )


def _example(schema: Mapping[str, Any]) -> str:
    examples = schema.get("examples")
    if not isinstance(examples, list) or not examples:
        return ""
    return f", such as {_quote(examples[0])}"
