"""Rules VA452, VA454 and VA458 to VA460: quality of argument schemas."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.context import rule
from runner.config.lint.regex import is_catastrophic
from runner.config.lint.tool_facts import find_subschemas
from runner.config.spelling import is_certain_guess, nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.lint.tool_facts import Subschema

# Of JSON Schema 2020-12 (validation, section 7.3), and those that OpenAPI adds.
_FORMATS = (
    *("date-time", "date", "time", "duration", "email", "idn-email", "hostname"),
    *("idn-hostname", "ipv4", "ipv6", "uri", "uri-reference", "iri", "iri-reference"),
    *("int32", "int64", "float", "double", "byte", "binary", "password"),
    *("uuid", "uri-template", "json-pointer", "relative-json-pointer", "regex"),
)
# One of these says what a value is.
_KINDS = {"type", "enum", "const", "$ref", "anyOf", "oneOf", "allOf", "not", "if"}
_MAX_DEPTH = 4
_MAX_PROPERTIES = 25
_MAX_SCHEMA_CHARS = 16_000  # characters of JSON


@rule("VA452", "pattern-catastrophic", "warning")
def pattern_catastrophic(inspection: RuleContext) -> Iterator[Finding]:
    """A `pattern` can take exponential time on a value that does not match.

    It repeats something that itself repeats, so a text of thirty letters can be split
    in a billion ways. One such value would block the call.

    Bad:
        tools:
          - name: find_customer
            description: Find a customer by name.
            parameters:
              type: object
              properties: {name: {type: string, pattern: "([a-z]+ ?)+"}}
            http: {url: "https://api.example.com/customers"}
            timeout: 2s

    Good:
        tools:
          - name: find_customer
            description: Find a customer by name.
            parameters:
              type: object
              properties: {name: {type: string, pattern: "[a-z]+( [a-z]+)*"}}
            http: {url: "https://api.example.com/customers"}
            timeout: 2s
    """
    for each in inspection.fact(find_subschemas):
        pattern = each.keywords.get("pattern")
        if isinstance(pattern, str) and is_catastrophic(pattern):
            place = inspection.value((*each.path, "pattern"))
            message = (
                "this pattern can take exponential time on a value that does not match"
            )
            help_ = "avoid a repetition inside a repetition without a separator"
            yield Finding(place, message, help_)


@rule("VA454", "sample-unfit", "warning")
def sample_unfit(inspection: RuleContext) -> Iterator[Finding]:
    """An example or a default does not match its schema.

    The service uses examples to detect that a dictated value is complete. A tool call
    with a value like a wrong example is refused.

    Bad:
        tools:
          - name: lookup_order
            description: Look up an order by its number.
            parameters:
              type: object
              properties:
                order: {type: string, pattern: "^[0-9]{4}$", examples: ["123"]}
            http: {url: "https://api.example.com/orders"}
            timeout: 2s

    Good:
        tools:
          - name: lookup_order
            description: Look up an order by its number.
            parameters:
              type: object
              properties:
                order: {type: string, pattern: "^[0-9]{4}$", examples: ["1234"]}
            http: {url: "https://api.example.com/orders"}
            timeout: 2s
    """
    from runner.config.schema import find_sample_violation

    for each in inspection.fact(find_subschemas):
        text = json.dumps(each.keywords, default=str)
        if each.is_part or '"$ref"' in text or '"$dynamicRef"' in text:
            continue
        for where, sample in _samples(each):
            if not inspection.is_valid((*each.path, *where)):
                continue
            violation = find_sample_violation(sample, each.keywords)
            if violation:
                what = "default" if where[0] == "default" else "example"
                message = f"the {what} {quoted(sample)} does not match its schema"
                help_ = f"it violates `{violation.keyword}` of this argument"
                yield Finding(inspection.value((*each.path, *where)), message, help_)


@rule("VA458", "format-unknown", "warning")
def format_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A `format` is not defined by JSON Schema.

    Unknown formats are ignored.

    Bad:
        tools:
          - name: book_table
            description: Look for a free table on a day.
            parameters:
              type: object
              properties: {day: {type: string, format: dat}}
            http: {url: "https://api.example.com/tables"}
            timeout: 2s

    Good:
        tools:
          - name: book_table
            description: Look for a free table on a day.
            parameters:
              type: object
              properties: {day: {type: string, format: date}}
            http: {url: "https://api.example.com/tables"}
            timeout: 2s
    """
    for each in inspection.fact(find_subschemas):
        name = each.keywords.get("format")
        if not isinstance(name, str) or name in _FORMATS:
            continue
        guess = nearest(name, _FORMATS)
        place = inspection.value((*each.path, "format"))
        help_, fix = "use a `pattern`, or a format of JSON Schema", None
        if guess:
            help_ = f"did you mean `{guess}`?"
            fix = replacement(place, name, guess, is_safe=is_certain_guess(name, guess))
        yield Finding(place, f"unknown format {quoted(name)}", help_, fix)


@rule("VA459", "argument-of-any-kind", "warning")
def argument_of_any_kind(inspection: RuleContext) -> Iterator[Finding]:
    """An argument has no `type`.

    The model then has to guess if the value is a text, a number or a mapping.

    Bad:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {description: The colour of the lamp}}
            http: {url: "https://api.example.com/lamps"}
            timeout: 2s

    Good:
        tools:
          - name: find_lamp
            description: Find a lamp by its colour.
            parameters:
              type: object
              properties: {colour: {enum: [red, blue]}}
            http: {url: "https://api.example.com/lamps"}
            timeout: 2s
    """
    for each in inspection.fact(find_subschemas):
        says = _KINDS & (inspection.get(each.path, dict) or {}).keys()
        is_reported = not inspection.is_valid((*each.path, "type"))
        if each.keyword == "properties" and not says and not is_reported:
            name = each.path[-1]
            message = f"`{quoted(name)[1:-1]}` has no `type`"
            help_ = "add `type: string`, or another type"
            yield Finding(inspection.key(each.path), message, help_)


@rule("VA460", "arguments-too-large", "warning")
def arguments_too_large(inspection: RuleContext) -> Iterator[Finding]:
    """The schema of a tool's arguments is too large for a conversation.

    With deeply nested or very many arguments the model loses track of its questions,
    and the schema is sent with each turn.

    Bad:
        tools:
          - name: note
            description: Note what the caller wants.
            parameters:
              type: object
              properties:
                a: {type: object, properties: {b: {type: object, properties: {c: {type:
                  object, properties: {d: {type: object, properties: {e: {type:
                  integer}}}}}}}}}
            http: {url: "https://api.example.com/notes"}
            timeout: 2s

    Good:
        tools:
          - name: note
            description: Note what the caller wants.
            parameters:
              type: object
              properties: {request: {type: string, maxLength: 500}}
            http: {url: "https://api.example.com/notes"}
            timeout: 2s
    """
    reported: set[object] = set()
    for each in inspection.fact(find_subschemas):
        tool = each.path[:2]
        properties = each.keywords.get("properties")
        count = len(properties) if isinstance(properties, dict) else 0
        message = None
        if each.depth > _MAX_DEPTH:
            message = f"arguments are nested more than {_MAX_DEPTH} deep"
        elif count > _MAX_PROPERTIES:
            message = f"there are {count} arguments, too many for a conversation"
        elif not each.keyword:
            size = len(json.dumps(each.keywords, default=str))
            if size > _MAX_SCHEMA_CHARS:
                message = f"the schema has {size:,} characters, sent with every turn"
        if message and tool not in reported:
            reported.add(tool)
            help_ = "remove arguments, or split the tool in two"
            yield Finding(inspection.key((*tool, "parameters")), message, help_)


def _samples(schema: Subschema) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yields the default and the examples of a schema, each with its path."""
    if "default" in schema.keywords:
        yield ("default",), schema.keywords["default"]
    examples = schema.keywords.get("examples")
    for index, sample in enumerate(examples if isinstance(examples, list) else ()):
        yield ("examples", index), sample
