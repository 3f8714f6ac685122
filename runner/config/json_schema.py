"""Validation against the JSON Schemas of strangers, with a bounded amount of work.

jsonschema itself has no such bounds. Here patterns match in linear time or under a
timeout, `uniqueItems` compares hashes, each keyword that is evaluated counts towards a
limit (references can double the work at each level), and the registry is empty, so that
no reference opens a file or a connection.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from typing import Any, TypeAlias

from jsonschema import Draft202012Validator, FormatChecker
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from runner.patterns import InvalidPattern, MatchTimeout, compile_pattern

# About half a second of work. The largest honest schemas need some hundreds.
MAX_STEPS = 50_000
# A step that looks at this many characters counts twice.
_CHARS_PER_STEP = 1_000

Keyword: TypeAlias = Callable[[Any, Any, Any, Any], Iterator[ValidationError]]

# A fixed list: the default depends on which optional packages are installed.
FORMATS = FormatChecker(("date", "email", "ipv4", "ipv6", "uuid"))

_REFERENCES = ("$ref", "$dynamicRef")
# Their values are data and not schemas.
_DATA = ("enum", "const", "default", "examples")
# jsonschema finds the evaluated properties with patterns of `re`.
_NOT_TOGETHER = ("unevaluatedProperties", "patternProperties")

_steps_left: ContextVar[list[float]] = ContextVar("steps_left")


class SchemaTooComplex(Exception):
    """Raised if validation needs too much work; the message is one clause."""


class BoundedSchema:
    """A schema of JSON Schema 2020-12 to validate values against."""

    def __init__(
        self, schema: Mapping[str, Any] | bool, *, match_whole: bool = False
    ) -> None:
        """`match_whole`: a `pattern` must match the whole text, not a part of it.

        Raises SchemaTooComplex for a combination of keywords that is not supported.
        """
        text = json.dumps(schema, default=str)
        if all(f'"{each}"' in text for each in _NOT_TOGETHER):
            raise SchemaTooComplex(
                "`{}` and `{}` in one schema are not supported".format(*_NOT_TOGETHER)
            )
        validator: Any = _WholeValidator if match_whole else _PartValidator
        self._validator = validator(schema, format_checker=FORMATS, registry=Registry())

    def find_errors(self, value: object, limit: int = 1) -> list[ValidationError]:
        """Returns the first errors, at most `limit`. Raises SchemaTooComplex.

        The error of a reference that does not resolve, or refers to itself without
        end, is SchemaTooComplex as well.
        """
        return _run(self._validator, value, limit, MAX_STEPS)

    def find_all_errors(self, value: object) -> list[ValidationError]:
        """Returns all errors, without a limit of steps: for schemas of our own."""
        return _run(self._validator, value, None, math.inf)

    def is_valid(self, value: object, part: Mapping[str, Any] | bool) -> bool:
        """True if a value is valid under a part of it. Raises SchemaTooComplex."""
        return not _run(self._validator.evolve(schema=part), value, 1, MAX_STEPS)


def _run(
    validator: Any, value: object, limit: int | None, max_steps: float
) -> list[ValidationError]:
    token = _steps_left.set([max_steps])
    found: list[ValidationError] = []
    try:
        for error in validator.iter_errors(value):
            found.append(error)
            if len(found) == limit:
                break
    except Unresolvable as error:
        raise SchemaTooComplex(f"{error.ref!r} is not in the schema") from error
    except RecursionError as error:
        raise SchemaTooComplex("a reference refers to itself") from error
    except MatchTimeout as error:
        raise SchemaTooComplex(f"the pattern {error} takes too long") from error
    finally:
        _steps_left.reset(token)
    return found


def find_meta_errors(
    schema: Mapping[str, Any] | bool, limit: int | None = 1
) -> list[ValidationError]:
    """Returns errors of the schema itself, as an instance of the meta-schema.

    Patterns that are not regular expressions of Python are errors, too.
    """
    # Without a limit of steps: the meta-schema is known, and its work grows with the
    # size of the schema alone.
    meta = _PartValidator(
        Draft202012Validator.META_SCHEMA, format_checker=FORMATS, registry=Registry()
    )
    return _run(meta, schema, limit, math.inf)


def find_unresolved_references(schema: Mapping[str, Any]) -> list[str]:
    """Returns the references of a schema that do not resolve inside it."""
    resolver = Registry[Any]().resolver_with_root(DRAFT202012.create_resource(schema))
    missing = []
    for reference in _references(schema):
        try:
            resolver.lookup(reference)
        except Unresolvable:
            missing.append(reference)
    return missing


def _references(schema: object) -> Iterator[str]:
    if isinstance(schema, Mapping):
        for keyword in _REFERENCES:
            reference = schema.get(keyword)
            if isinstance(reference, str):
                yield reference
        for key, value in schema.items():
            if key not in _DATA:
                yield from _references(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from _references(value)


def _count(instance: object) -> None:
    left = _steps_left.get()
    left[0] -= 1 + (
        len(instance) // _CHARS_PER_STEP if isinstance(instance, str) else 0
    )
    if left[0] < 0:
        raise SchemaTooComplex(f"more than {MAX_STEPS} steps")


def _counted(keyword: Keyword) -> Keyword:
    def check(
        validator: Any, wanted: Any, instance: Any, schema: Any
    ) -> Iterator[ValidationError]:
        _count(instance)
        return keyword(validator, wanted, instance, schema)

    return check


def _matches(pattern: str, text: str) -> bool:
    _count(text)
    return compile_pattern(pattern).search(text)


def _pattern(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del validator, schema
    if isinstance(instance, str) and not _matches(wanted, instance):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


def _whole_pattern(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del validator, schema
    if isinstance(instance, str) and not compile_pattern(wanted).fullmatch(instance):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


def _pattern_properties(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del schema
    if not isinstance(instance, dict):
        return
    for pattern, part in wanted.items():
        for key, value in instance.items():
            if _matches(pattern, key):
                yield from validator.descend(value, part, key, pattern)


def _additional_properties(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    if not isinstance(instance, dict):
        return
    named = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for key, value in instance.items():
        if key in named or any(_matches(each, key) for each in patterns):
            continue
        if wanted is False:
            yield ValidationError(f"unknown property {key!r}")
            return
        yield from validator.descend(value, wanted, path=key)


def _unique_items(
    validator: Any, wanted: Any, instance: Any, schema: Any
) -> Iterator[ValidationError]:
    del validator, schema
    if not wanted or not isinstance(instance, list):
        return
    seen = set()
    for each in instance:
        text = json.dumps(_canonical(each), sort_keys=True)
        _count(text)
        if text in seen:
            yield ValidationError(f"{each!r} is twice in the list")
            return
        seen.add(text)


def _canonical(value: Any) -> Any:
    """Returns a value whose JSON text is equal for values equal in JSON Schema."""
    match value:
        case float() if value.is_integer():
            return int(value)
        case list():
            return [_canonical(each) for each in value]
        case dict():
            return {key: _canonical(each) for key, each in value.items()}
    return value


@FORMATS.checks("regex")
def _is_regex(value: object) -> bool:
    if isinstance(value, str):
        try:
            compile_pattern(value)
        except InvalidPattern:
            return False
    return True


_OWN: dict[str, Keyword] = {
    "pattern": _pattern,
    "patternProperties": _pattern_properties,
    "additionalProperties": _additional_properties,
    "uniqueItems": _unique_items,
}
_KEYWORDS = {**Draft202012Validator.VALIDATORS, **_OWN}


def _extended(keywords: Mapping[str, Keyword]) -> Any:
    counted = {name: _counted(each) for name, each in keywords.items()}
    return extend(Draft202012Validator, counted)  # type: ignore[no-untyped-call]  # the stubs have no types


_PartValidator = _extended(_KEYWORDS)
_WholeValidator = _extended({**_KEYWORDS, "pattern": _whole_pattern})
