"""Rules VA452, VA454 and VA458 to VA460: what helps a model to fill an argument in."""

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
_DEEPEST = 4
_MOST_PROPERTIES = 25
_LARGEST = 16_000  # characters of JSON


@rule("VA452", "pattern-catastrophic", "warning")
def pattern_catastrophic(inspection: RuleContext) -> Iterator[Finding]:
    """A `pattern` can take for ever to find out that a value does not match.

    It repeats something that itself repeats, so a text of thirty letters can be divided
    in a thousand million ways. One such value on the telephone would stop the call.

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
            message = "this pattern can take for ever on a value that does not match"
            help_ = "let nothing repeat that itself repeats without a mark between"
            yield Finding(place, message, help_)


@rule("VA454", "sample-unfit", "warning")
def sample_unfit(inspection: RuleContext) -> Iterator[Finding]:
    """An example or a default does not fit the schema that it stands in.

    Examples tell the service when a dictated value is whole; a wrong one tells it a
    wrong thing, and the call is refused when the model follows it.

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
    from runner.config.schema import find_violations

    for each in inspection.fact(find_subschemas):
        pattern = each.keywords.get("pattern")
        if each.is_part or "$ref" in json.dumps(each.keywords, default=str):
            continue
        if isinstance(pattern, str) and is_catastrophic(pattern):
            continue  # it would be tried here
        for where, sample in _samples(each):
            if not inspection.is_sound((*each.path, *where)):
                continue
            violations = find_violations(sample, each.keywords)
            if violations:
                what = "default" if where[0] == "default" else "example"
                message = f"the {what} {quoted(sample)} does not fit"
                help_ = f"it breaks `{violations[0].keyword}` of this argument"
                yield Finding(inspection.value((*each.path, *where)), message, help_)


@rule("VA458", "format-unknown", "warning")
def format_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """A `format` is none that JSON Schema has.

    Nobody knows what is meant, so it does nothing.

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
        help_, fix = "a `pattern` can say it; see JSON Schema for the formats", None
        if guess:
            help_ = f"did you mean `{guess}`?"
            fix = replacement(place, name, guess, is_safe=is_certain_guess(name, guess))
        yield Finding(place, f"there is no format {quoted(name)}", help_, fix)


@rule("VA459", "argument-of-any-kind", "warning")
def argument_of_any_kind(inspection: RuleContext) -> Iterator[Finding]:
    """An argument has no `type`, so it may be anything.

    The model then guesses whether to write a text, a number or a mapping.

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
        is_told = not inspection.is_sound((*each.path, "type"))
        if each.keyword == "properties" and not says and not is_told:
            name = each.path[-1]
            message = f"`{quoted(name)[1:-1]}` has no `type`: it may be anything"
            help_ = "add `type: string`, or whatever it is"
            yield Finding(inspection.key(each.path), message, help_)


@rule("VA460", "arguments-too-large", "warning")
def arguments_too_large(inspection: RuleContext) -> Iterator[Finding]:
    """The arguments of a tool are more than can be asked for in a conversation.

    They are nested deeply, or there are very many: the model loses track of what it
    has asked, and each turn carries all of it.

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
              properties: {wish: {type: string, maxLength: 500}}
            http: {url: "https://api.example.com/notes"}
            timeout: 2s
    """
    told: set[object] = set()
    for each in inspection.fact(find_subschemas):
        tool = each.path[:2]
        properties = each.keywords.get("properties")
        count = len(properties) if isinstance(properties, dict) else 0
        message = None
        if each.depth > _DEEPEST:
            message = f"arguments are nested more than {_DEEPEST} deep"
        elif count > _MOST_PROPERTIES:
            message = f"there are {count} arguments; nobody says so many"
        elif not each.keyword:
            size = len(json.dumps(each.keywords, default=str))
            if size > _LARGEST:
                message = f"the schema has {size:,} characters, sent with every turn"
        if message and tool not in told:
            told.add(tool)
            help_ = "ask for less, or split the tool in two"
            yield Finding(inspection.key((*tool, "parameters")), message, help_)


def _samples(schema: Subschema) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Yield the default and the examples of a schema, each with where it stands."""
    if "default" in schema.keywords:
        yield ("default",), schema.keywords["default"]
    examples = schema.keywords.get("examples")
    for index, sample in enumerate(examples if isinstance(examples, list) else ()):
        yield ("examples", index), sample
