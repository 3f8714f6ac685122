"""Rules VA453 and VA457: keywords of schemas that do nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runner.config.diagnostics import Finding, replacement
from runner.config.rules.rule import rule
from runner.config.spelling import nearest
from runner.config.subschemas import find_subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

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

# Short ones are no guess: a word of somebody's own is too easily near to one.
_GUESSED = (
    *("type", "enum", "description", "default", "examples"),
    *(keyword for keywords in _BY_TYPE.values() for keyword in sorted(keywords)),
)
_KNOWN = {
    *("const", "title", "not", "if", "then", "else", "allOf", "anyOf", "oneOf"),
    *("dependentSchemas", "dependentRequired", "dependencies", "definitions"),
    *("unevaluatedItems", "unevaluatedProperties", "minContains", "maxContains"),
    *("contentEncoding", "contentMediaType", "contentSchema", "additionalItems"),
    *("deprecated", "readOnly", "writeOnly"),
}


@rule("VA453", "keyword-idle", "warning")
def keyword_idle(inspection: RuleContext) -> Iterator[Finding]:
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


@rule("VA457", "keyword-misspelt", "warning")
def keyword_misspelt(inspection: RuleContext) -> Iterator[Finding]:
    """A keyword of a schema is misspelt.

    JSON Schema passes over keywords that it does not know: what this one was to say to
    the model, or to check, is lost without a word.

    Bad:
        tools:
          - name: look
            description: Look up an order.
            parameters:
              type: object
              properties: {order: {type: string, desciption: Its number}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look up an order.
            parameters:
              type: object
              properties: {order: {type: string, description: Its number}}
            http: {url: "https://api.example.com/look"}
    """
    for each in inspection.fact(find_subschemas):
        for keyword in each.keywords:
            if keyword in _KNOWN or keyword in _GUESSED:
                continue
            if keyword.startswith(("x-", "$")):  # somebody's own; JSON Schema's own
                continue
            guess = nearest(keyword, _GUESSED)
            if guess is None:
                continue
            place = inspection.key((*each.path, keyword))
            # A second one of the same name would not be read.
            free = guess not in each.keywords
            yield Finding(
                place,
                f"`{keyword}` is not a keyword of JSON Schema, and is passed over",
                f"did you mean `{guess}`?",
                replacement(place, keyword, guess) if free else None,
                meant=(*each.path, guess) if free else None,
            )
