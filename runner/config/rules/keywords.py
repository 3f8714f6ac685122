"""Rule VA453: keywords of schemas that do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding
from runner.config.rules.rule import rule
from runner.config.subschemas import find_subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.inspection import Inspection

_BY_TYPE = {
    "string": {"minLength", "maxLength", "pattern", "format"},
    "number": {
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"),
    },
    "array": {
        *("items", "prefixItems", "contains", "minItems", "maxItems", "uniqueItems"),
    },
    "object": {
        *("properties", "required", "additionalProperties", "patternProperties"),
        *("propertyNames", "minProperties", "maxProperties"),
    },
}
# What other descriptions of interfaces say of numbers; it does no harm.
_NUMBER_FORMATS = ("int32", "int64", "float", "double")


@rule("VA453", "keyword-idle", "warning")
def keyword_idle(inspection: Inspection) -> Iterator[Finding]:
    """A keyword of a schema says nothing about values of its `type`.

    JSON Schema checks `pattern` of strings, `minimum` of numbers, `items` of lists and
    so on, and passes over every other value: what was to be checked is not.

    Bad:
        tools:
          - name: look
            description: Look up an order.
            parameters:
              type: object
              properties: {order: {type: integer, pattern: "[0-9]{4}"}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look up an order.
            parameters:
              type: object
              properties: {order: {type: string, pattern: "[0-9]{4}"}}
            http: {url: "https://api.example.com/look"}
    """
    for each in inspection.fact(find_subschemas):
        types = {"number" if kind == "integer" else kind for kind in each.types}
        if not types:
            continue
        for kind, keywords in _BY_TYPE.items():
            for keyword in each.keywords:
                if keyword not in keywords or kind in types:
                    continue
                if each.keywords[keyword] in _NUMBER_FORMATS and "number" in types:
                    continue
                yield Finding(
                    inspection.key((*each.path, keyword)),
                    f"`{keyword}` is for values of type {kind}; "
                    f"this one is of type {' or '.join(each.types)}, "
                    "so nothing is checked",
                    f"change the `type`, or remove `{keyword}`",
                )
