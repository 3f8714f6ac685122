"""Rules VA408, VA410, VA450, VA451, VA453, VA455 to VA457: argument schemas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.lint.context import rule
from runner.config.lint.tool_facts import find_subschemas
from runner.config.schema_errors import to_findings
from runner.config.spelling import nearest
from runner.patterns import InvalidPattern, parse_pattern

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext
    from runner.config.lint.tool_facts import Subschema
    from runner.config.yaml.nodes import Pointer


@rule("VA408", "parameters-no-schema")
def parameters_no_schema(inspection: RuleContext) -> Iterator[Finding]:
    """`parameters` is not a valid JSON Schema.

    The service takes JSON Schema 2020-12 for an object: `properties` by name, each
    with a `type`, and the names that a call must have under `required`.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: strnig}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string}}
            http: {url: "https://api.example.com/look"}
    """
    from runner.config.schema import find_schema_violations

    for tool in inspection.tools():
        path = (*tool, "parameters")
        schema = inspection.get(path, dict)
        if schema is None:
            continue
        violations = find_schema_violations(schema)
        for _, found in to_findings(inspection.document, violations, above=path):
            yield found


@rule("VA410", "pattern-not-regular")
def pattern_not_regular(inspection: RuleContext) -> Iterator[Finding]:
    """A `pattern` is not a valid Python regular expression.

    The service matches it with Python's `re` and refuses invalid patterns.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string, pattern: "[a-z"}}
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {word: {type: string, pattern: "[a-z]+"}}
            http: {url: "https://api.example.com/look"}
    """
    for tool in inspection.tools():
        path = (*tool, "parameters")
        for where, pattern in find_patterns(inspection.get(path, dict), path):
            if not inspection.is_valid(where):
                continue
            try:
                parse_pattern(pattern)
            except InvalidPattern as error:
                message = f"`pattern` is not a valid regular expression: {error}"
                help_ = "use single quotes to keep backslashes"
                place = inspection.value(where)
                yield Finding(place, message, help_, invalidates=where)


def find_patterns(value: Any, path: Pointer) -> Iterator[tuple[Pointer, str]]:
    """Yields every `pattern` keyword of a schema.

    A property named "pattern" is a mapping and is not yielded.
    """
    if isinstance(value, dict):
        for key, each in value.items():
            if key == "pattern" and isinstance(each, str):
                yield (*path, key), each
            elif key not in ("default", "examples", "enum", "const"):
                yield from find_patterns(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from find_patterns(each, (*path, index))


# Rules VA450 and VA455: the arguments that a schema names.


# Keywords that admit properties which `properties` does not name.
_OPENING = {
    *("additionalProperties", "unevaluatedProperties", "patternProperties"),
    *("allOf", "anyOf", "oneOf", "if", "$ref", "dependentSchemas"),
}


@rule("VA450", "required-unknown")
def required_unknown(inspection: RuleContext) -> Iterator[Finding]:
    """`required` names an argument that `properties` does not have.

    A tool call without the argument is refused as incomplete and one with it as
    unknown, so the tool can never be called.

    Bad:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {street: {type: string}}
              required: [steet]
            http: {url: "https://api.example.com/look"}

    Good:
        tools:
          - name: look
            description: Look something up.
            parameters:
              type: object
              properties: {street: {type: string}}
              required: [street]
            http: {url: "https://api.example.com/look"}
    """
    for each in inspection.fact(find_subschemas):
        required = each.keywords.get("required", ())
        known = each.keywords.get("properties", {} if not each.keyword else None)
        # The types are valid here: an invalid schema is not checked.
        if each.is_part or known is None or _is_open(each):
            continue
        for index, name in enumerate(required):
            if not isinstance(name, str) or name in known or "${" in name:
                continue
            path = (*each.path, "required", index)
            guess = nearest(name, [key for key in known if key not in required])
            place = inspection.part(path, 0, len(name))
            yield Finding(
                place,
                f"`required` names `{name}`, which is not one of the `properties`",
                f"did you mean `{guess}`?"
                if guess
                else "describe it under `properties`",
                replacement(place, name, guess) if guess else None,
                # Inside an argument more is admitted than is described.
                severity="warning" if each.keyword else None,
                invalidates=path,
            )


def _is_open(schema: Subschema) -> bool:
    return any(schema.keywords.get(keyword, False) is not False for keyword in _OPENING)


@rule("VA455", "reference-dangling")
def reference_dangling(inspection: RuleContext) -> Iterator[Finding]:
    """A `$ref` refers to a definition that does not exist.

    It must refer to a part of the same `parameters`, such as `#/$defs/address`; schemas
    are not fetched from elsewhere.

    Bad:
        tools:
          - name: move
            description: Note the new address.
            parameters:
              type: object
              $defs: {address: {type: string}}
              properties: {to: {$ref: "#/$defs/adress"}}
            http: {url: "https://api.example.com/move"}

    Good:
        tools:
          - name: move
            description: Note the new address.
            parameters:
              type: object
              $defs: {address: {type: string}}
              properties: {to: {$ref: "#/$defs/address"}}
            http: {url: "https://api.example.com/move"}
    """
    root: Subschema | None = None
    for each in inspection.fact(find_subschemas):
        if not each.keyword:
            # A reference may lead through the invalid part.
            root = each if inspection.is_whole(each.path) else None
        if root is None:
            continue
        for keyword in ("$ref", "$dynamicRef"):
            reference = each.keywords.get(keyword)
            if not isinstance(reference, str) or "${" in reference:
                continue
            from runner.config.schema import is_resolved

            if is_resolved(reference, root.keywords):
                continue
            path = (*each.path, keyword)
            place = inspection.part(path, 0, len(reference))
            yield _dangling(root, reference, place, path)


def _dangling(root: Subschema, reference: str, place: Any, path: Pointer) -> Finding:
    if not reference.startswith("#"):
        message = (
            f"`{path[-1]}` refers to {quoted(reference)}, outside of these parameters"
        )
        help_ = "copy the schema to `$defs`, and write `#/$defs/NAME`"
        return Finding(place, message, help_, invalidates=path)
    message = f"`{path[-1]}` refers to {quoted(reference)}, which does not exist"
    known = [
        f"#/{group}/{name}"
        for group in ("$defs", "definitions", "properties")
        for name in root.keywords.get(group, ())
    ]
    guess = nearest(reference, known)
    if guess is None:
        # The same name in another group is what was meant, too.
        last = reference.rpartition("/")[2]
        same = [each for each in known if each.rpartition("/")[2] == last]
        guess = same[0] if len(same) == 1 else None
    fix = replacement(place, reference, guess) if guess else None
    help_ = f"did you mean `{guess}`?" if guess else "define it under `$defs`"
    return Finding(place, message, help_, fix, invalidates=path)


# Rules VA451 and VA456: constraints that no value satisfies.


# The lower limit, the upper one, and whether they may be equal.
_LIMITS = (
    ("minimum", "maximum", True),
    ("minimum", "exclusiveMaximum", False),
    ("exclusiveMinimum", "maximum", False),
    ("exclusiveMinimum", "exclusiveMaximum", False),
    ("minLength", "maxLength", True),
    ("minItems", "maxItems", True),
    ("minProperties", "maxProperties", True),
)


@rule("VA451", "enum-unfit", "warning")
def enum_unfit(inspection: RuleContext) -> Iterator[Finding]:
    """A member of an `enum` does not fit the `type`, or is listed twice.

    No value matches both `type: string` and `enum: [1, 2]`. An `enum` without members
    refuses every value.

    Bad:
        tools:
          - name: rate
            description: Note how satisfied the caller is.
            parameters:
              type: object
              properties: {stars: {type: string, enum: [1, 2, 3]}}
            http: {url: "https://api.example.com/rate"}

    Good:
        tools:
          - name: rate
            description: Note how satisfied the caller is.
            parameters:
              type: object
              properties: {stars: {type: integer, enum: [1, 2, 3]}}
            http: {url: "https://api.example.com/rate"}
    """
    for each in inspection.fact(find_subschemas):
        members = each.keywords.get("enum")
        if not isinstance(members, list):
            continue
        path = (*each.path, "enum")
        if not members:
            message = "`enum` has no members: every value is refused"
            yield Finding(inspection.value(path), message, "list them, or remove it")
        seen: set[str] = set()
        for index, member in enumerate(members):
            place = inspection.value((*path, index))
            shown = quoted(member)
            text = _canonical(member)
            if text in seen:
                yield Finding(place, f"{shown} is in the `enum` twice", "remove one")
            elif member is not None and not _is_of(member, each.types):
                kinds = " or ".join(each.types)
                fix = None
                if "string" in each.types and not isinstance(member, dict | list):
                    fix = replacement(place, shown, f'"{shown}"')
                yield Finding(
                    place,
                    f"{shown} is in the `enum`, but the `type` is {kinds}",
                    f'put it in quotes: "{shown}"' if fix else None,
                    fix,
                )
            seen.add(text)


def _canonical(value: Any) -> str:
    import json

    return json.dumps(value, sort_keys=True, default=str)


def _is_of(value: Any, types: tuple[str, ...]) -> bool:
    """True if a value is of one of the types; always true without types."""
    match value:
        case bool():
            kinds = {"boolean"}
        case int():
            kinds = {"integer", "number"}
        case float():
            kinds = {"number", "integer"} if value.is_integer() else {"number"}
        case str():
            # The value of a placeholder is not known yet.
            kinds = set(types) if "${" in value else {"string"}
        case None:
            kinds = {"null"}
        case list():
            kinds = {"array"}
        case _:
            kinds = {"object"}
    return not types or not kinds.isdisjoint(types)


@rule("VA456", "limits-crossed", "warning")
def limits_crossed(inspection: RuleContext) -> Iterator[Finding]:
    """A lower limit is above the upper limit, so no value fits.

    Every tool call with the argument is refused.

    Bad:
        tools:
          - name: book
            description: Book a table.
            parameters:
              type: object
              properties: {guests: {type: integer, minimum: 12, maximum: 1}}
            http: {url: "https://api.example.com/book"}

    Good:
        tools:
          - name: book
            description: Book a table.
            parameters:
              type: object
              properties: {guests: {type: integer, minimum: 1, maximum: 12}}
            http: {url: "https://api.example.com/book"}
    """
    for each in inspection.fact(find_subschemas):
        for lower, upper, may_be_equal in _LIMITS:
            least, most = each.keywords.get(lower), each.keywords.get(upper)
            if least is None or most is None:
                continue
            if least < most or (may_be_equal and least == most):
                continue
            relation = "is" if least == most else "is above"
            yield Finding(
                inspection.value((*each.path, upper)),
                f"`{lower}` {least} {relation} `{upper}` {most}: no value fits",
                "swap the two limits" if least > most else None,
            )


# Rules VA453 and VA457: keywords of schemas that do nothing.


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
# Formats of OpenAPI for numbers; harmless.
_NUMBER_FORMATS = ("int32", "int64", "float", "double")

# Without short keywords: too many custom keywords are similar to them.
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
    """A keyword of a schema does not apply to its `type`.

    JSON Schema checks `pattern` of strings, `minimum` of numbers, `items` of lists and
    so on, and ignores other values, so nothing is checked.

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


@rule("VA457", "keyword-misspelled", "warning")
def keyword_misspelled(inspection: RuleContext) -> Iterator[Finding]:
    """A keyword of a schema is misspelled.

    JSON Schema silently ignores unknown keywords, so the description or the check is
    lost.

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
            if keyword.startswith(("x-", "$")):  # extensions; JSON Schema's own
                continue
            guess = nearest(keyword, _GUESSED)
            if guess is None:
                continue
            place = inspection.key((*each.path, keyword))
            # A second one of the same name would not be read.
            free = guess not in each.keywords
            yield Finding(
                place,
                f"`{keyword}` is not a keyword of JSON Schema and is ignored",
                f"did you mean `{guess}`?",
                replacement(place, keyword, guess) if free else None,
                intended=(*each.path, guess) if free else None,
            )
