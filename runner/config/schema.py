"""The agent schema: composed with the kinds of tools, and checked against documents.

The only file that imports jsonschema, and only for what is wrong. Its errors leave as
`Violation`s, which `wording` turns into sentences about the file.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from runner.config.acceptance import (
    PLAIN_SCHEMA,
    UnsupportedKeyword,
    fits,
    matches_pattern,
)
from runner.config.packaged import KIND, Schema, packaged_schema
from runner.config.schema_errors import Violation
from runner.errors import ToolError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from jsonschema.exceptions import ValidationError

    from runner.config.model import Kinds
    from runner.config.yaml.nodes import Pointer

_KIND_ID = "https://vagent.dev/schema/kind/"


def agent_schema(kinds: Kinds | None = None) -> Schema:
    """Compose the agent schema with further kinds of tools (key -> schema of value).

    The built-in kinds are always there, as packaged. Raises `ToolError` for a kind
    whose key is taken or whose schema is none.
    """
    schema = packaged_schema()
    tool = schema["$defs"]["tool"]
    for key, value in sorted((kinds or {}).items()):
        if f"{KIND}{key}" in schema["$defs"]:
            continue
        if key in tool["properties"]:
            raise ToolError(
                f"a kind of tool cannot be called {key!r}: every tool has that field"
            )
        _check_kind(key, value)
        # Its own $id makes the "#/..." references inside it stay inside it.
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
            f"the kind of tool {key!r} has an invalid schema: {error.message}",
            hint="report it to the plugin that brings it",
        ) from error


@cache
def _builtin_schema() -> Schema:
    return agent_schema()


def find_agent_violations(value: Any, kinds: Kinds | None = None) -> list[Violation]:
    """Check an agent file's value, with further kinds of tools if there are any."""
    return find_violations(value, agent_schema(kinds) if kinds else _builtin_schema())


def find_violations(value: Any, schema: Schema) -> list[Violation]:
    """Check `value` against `schema`; empty when it is valid."""
    if _surely_fits(value, schema):
        return []
    return list(_translate(_validator()(schema).iter_errors(value)))


def find_schema_violations(schema: Any) -> list[Violation]:
    """Check that `schema` is itself a JSON Schema of 2020-12."""
    if _surely_fits(schema, PLAIN_SCHEMA):
        return []
    from jsonschema.validators import Draft202012Validator

    meta = Draft202012Validator(Draft202012Validator.META_SCHEMA)
    return list(_translate(meta.iter_errors(schema)))


def resolves(reference: str, schema: Any) -> bool:
    """Whether a `$ref` leads to a part of the schema of a tool's arguments."""
    from referencing import Registry
    from referencing.exceptions import Unresolvable
    from referencing.jsonschema import DRAFT202012

    # As the runtime does: without a name of its own, and with an empty registry.
    bare = {key: each for key, each in schema.items() if key not in ("$id", "$schema")}
    resource = DRAFT202012.create_resource({"properties": {}, **bare})
    resolver = Registry[Any]().resolver_with_root(resource)
    try:
        resolver.lookup(reference)
    except Unresolvable:
        return False
    return True


def _surely_fits(value: Any, schema: Schema) -> bool:
    try:
        return fits(value, schema)
    except UnsupportedKeyword:
        return False


@cache
def _validator() -> Any:
    """Return the class that checks; untyped in the stubs."""
    from jsonschema.exceptions import ValidationError
    from jsonschema.validators import Draft202012Validator, extend

    def match_pattern(
        validator: Any, pattern: str, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        del validator, schema
        if isinstance(instance, str) and not matches_pattern(pattern, instance):
            yield ValidationError("")

    extended: Any = extend  # untyped in the stubs
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
    """Of the alternatives of an anyOf or oneOf, the errors of the one that was meant.

    That is the only one whose type fits, or of several the only one whose errors are
    deeper inside. Otherwise nobody can tell.
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
