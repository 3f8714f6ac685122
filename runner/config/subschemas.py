"""The JSON Schemas inside the JSON Schemas of the tools' arguments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.yaml.nodes import Pointer

# Keywords whose value is one schema, a list of schemas, and schemas by name.
_ONE = (
    "items",
    "contains",
    "additionalProperties",
    "unevaluatedItems",
    "unevaluatedProperties",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
)
_LISTS = ("prefixItems", "allOf", "anyOf", "oneOf")
_NAMED = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
# What is broken inside one of these is looked at where it stands.
_WITH_SCHEMAS = {*_ONE, *_LISTS, *_NAMED}
# Where a schema may be one of several for the same value: it need not say everything.
_SHARED = {
    *("allOf", "anyOf", "oneOf", "not", "if", "then", "else"),
    *("dependentSchemas", "$defs", "definitions", "contains", "propertyNames"),
}


@dataclass(frozen=True, slots=True)
class Subschema:
    """A schema at `path`, with the keywords of it that are sound.

    `keyword` is the one that it stands under, none for a tool's `parameters`; `depth`
    counts the objects and lists around it.
    """

    path: Pointer
    keywords: dict[str, Any]
    keyword: str = ""
    depth: int = 0

    @property
    def types(self) -> tuple[str, ...]:
        """The types that it names; empty when it names none."""
        types = self.keywords.get("type", ())
        return (types,) if isinstance(types, str) else tuple(types)

    @property
    def is_part(self) -> bool:
        """Whether other schemas may describe the same value."""
        return self.keyword in _SHARED


def find_subschemas(inspection: RuleContext) -> tuple[Subschema, ...]:
    """Return every schema of every tool's arguments, the outer before the inner."""
    return tuple(
        each
        for tool in inspection.tools()
        for each in _walk(inspection, (*tool, "parameters"), "", 0)
    )


def _walk(
    inspection: RuleContext, path: Pointer, keyword: str, depth: int
) -> Iterator[Subschema]:
    schema = inspection.get(path, dict)
    if schema is None:
        return
    sound = {
        key: value
        for key, value in schema.items()
        if inspection.is_sound((*path, key))
        and (key in _WITH_SCHEMAS or inspection.is_whole((*path, key)))
    }
    yield Subschema(path, sound, keyword, depth)
    for key, inner in _inner(sound):
        deeper = depth + (key in ("properties", "items", "prefixItems"))
        yield from _walk(inspection, (*path, key, *inner), key, deeper)


def _inner(keywords: dict[str, Any]) -> Iterator[tuple[str, Pointer]]:
    for keyword, value in keywords.items():
        if keyword in _ONE and isinstance(value, dict):
            yield keyword, ()
        elif keyword in _LISTS and isinstance(value, list):
            for index in range(len(value)):
                yield keyword, (index,)
        elif keyword in _NAMED and isinstance(value, dict):
            for name in value:
                yield keyword, (name,)
