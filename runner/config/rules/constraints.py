"""Rules VA451 and VA456: constraints that no value satisfies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Finding, quoted, replacement
from runner.config.rules.rule import rule
from runner.config.subschemas import find_subschemas

if TYPE_CHECKING:
    from collections.abc import Iterator

    from runner.config.lint.context import RuleContext

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
    """A member of an `enum` can never be chosen, or is there twice.

    A value must be of the `type` as well: of `type: string` and `enum: [1, 2]` no value
    is both. An `enum` without members refuses everything.

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
    """Whether a value is of one of the types; without types every value is."""
    match value:
        case bool():
            kinds = {"boolean"}
        case int():
            kinds = {"integer", "number"}
        case float():
            kinds = {"number", "integer"} if value.is_integer() else {"number"}
        case str():
            # What stands for a placeholder is not known yet.
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
    """A lower limit is above the upper one, so that no value fits.

    Every call of the tool that gives the argument is refused.

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
                "exchange the two" if least > most else None,
            )
