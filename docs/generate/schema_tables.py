"""Sections with tables of the fields of a JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from docs.generate.markdown import table

Schema = Mapping[str, Any]

_KINDS = {
    "string": "text",
    "object": "mapping",
    "array": "list",
    "number": "number",
    "integer": "whole number",
    "boolean": "`true` or `false`",
    "null": "`null`",
}


def field_sections(schema: Schema) -> list[str]:
    """Returns a table of the top-level fields and a section for each nested object.

    An object that is used in several places gets one section.
    """
    writer = _Writer(schema)
    return list(writer.sections("", schema))


class _Writer:
    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        # The anchors of the sections, by the identity of an object's `properties`.
        self._anchors: dict[int, str] = {}

    def sections(self, path: str, subject: Schema) -> Iterator[str]:
        nested = []
        rows = []
        for name, field in subject["properties"].items():
            full = f"{path}.{name}" if path else name
            field = self._resolved(field)
            inner = self._object_in(field)
            link = ""
            if inner is not None:
                key = id(inner["properties"])
                if key not in self._anchors:
                    self._anchors[key] = full.replace(".", "")
                    nested.append((full, inner))
                link = f"[Its fields](#{self._anchors[key]})."
            label = f"`{name}`"
            if name in subject.get("required", ()):
                label += " (required)"
            rows.append((label, self._kind(field), _meaning(field, link)))
        yield table(("field", "value", "meaning"), rows)
        for full, inner in nested:
            yield f"## `{full}`"
            yield from self.sections(full, inner)

    def _object_in(self, field: Schema) -> Schema | None:
        """Returns the object with fields that a field, its items or values are."""
        if "properties" in field:
            return field
        inner = [field.get("items"), field.get("additionalProperties")]
        for each in (*inner, *field.get("anyOf", ())):
            if isinstance(each, Mapping):
                found = self._object_in(self._resolved(each))
                if found is not None:
                    return found
        return None

    def _resolved(self, field: Schema) -> dict[str, Any]:
        merged = dict(field)
        while "$ref" in merged:
            target = self._schema
            for name in merged.pop("$ref").removeprefix("#/").split("/"):
                target = target[name]
            merged = {**target, **merged}
        return merged

    def _kind(self, field: Schema) -> str:
        if "enum" in field:
            return ", ".join(f"`{each}`" for each in field["enum"])
        if "const" in field:
            return f"`{json.dumps(field['const'])}`"
        if field.get("title") == "duration":
            return "duration"
        kinds = field.get("type")
        if kinds is None:
            inner = [self._kind(self._resolved(x)) for x in field.get("anyOf", ())]
            return " or ".join(dict.fromkeys(inner)) or "any value"
        kinds = [kinds] if isinstance(kinds, str) else kinds
        return " or ".join(_KINDS[each] for each in kinds)


def _meaning(field: Schema, link: str) -> str:
    parts = [_plain(field.get("description", "")), link]
    if "default" in field:
        parts.append(f"Default: `{_short(field['default'])}`.")
    if examples := field.get("examples"):
        shown = ", ".join(f"`{_short(each)}`" for each in examples[:2])
        parts.append(f"Example: {shown}")
    return " ".join(each for each in parts if each)


def _short(value: Any) -> str:
    """Returns a value on one line, as it is written in YAML."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _plain(text: str) -> str:
    return text.replace("*", "\\*").replace("<", "&lt;")
