"""Turns schema violations into findings about the file, with messages and fixes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.config.diagnostics import Edit, Finding, Fix, Place, quoted
from runner.config.schema import Violation
from runner.config.schema_fixes import FORMAT, Format
from runner.config.spelling import is_certain_guess, nearest, snake
from runner.config.yaml.nodes import NotJsonError, resolve_plain
from runner.config.yaml.syntax import find_lookalike

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from runner.config.source import Span
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document


_VERSION = ("version",)


def to_findings(
    document: Document,
    violations: Iterable[Violation],
    *,
    above: Pointer = (),
    format_: Format = FORMAT,
    homes: Mapping[str, str] | None = None,
) -> list[tuple[str, Finding]]:
    """Returns the rule ids and findings of violations, one for each invalid value.

    `above` is the path of the checked value in the document. Values with a finding of
    the parser get no second one. A file of another version gets only that finding.
    `homes` names the place of misplaced keys, by default that of agent files.
    """
    listed = list(violations)
    for each in listed:
        if (*above, *each.path) == _VERSION and each.keyword == "const":
            found = _other_version(document, each.instance, format_)
            if found is not None:
                return [("VA212", found)]
    collector = _Collector(document, above, homes)
    unknown = [each for each in listed if each.keyword == "additionalProperties"]
    rest = [each for each in listed if each.keyword != "additionalProperties"]
    for each in unknown:
        collector.add_unknown_keys(each)
    for each in rest:
        collector.add(each)
    return list(dict.fromkeys(collector.found))


def _other_version(document: Document, version: Any, format_: Format) -> Finding | None:
    fix = None
    if format_.is_outdated(version):
        text = document.source.text
        title = f"rewrite the file for version {format_.current}"
        new = format_.migrate(text, int(version))
        fix = Fix(title, (Edit(0, len(text), new),))
    elif not format_.is_later(version):
        return None
    span = document.value_span(_VERSION)
    place = Place(document.source, span, document.related(_VERSION))
    return Finding(place, *format_.explain(version), fix, invalidates=())


class _Collector:
    """Collects the findings of one check."""

    def __init__(
        self, document: Document, above: Pointer, homes: Mapping[str, str] | None
    ) -> None:
        self.found: list[tuple[str, Finding]] = []
        self._invalid_paths: set[Pointer] = set()
        self._document = document
        self._above = above
        self._homes = homes
        # Keys that a misspelled key was meant to be; they are not missing.
        self._meant: set[Pointer] = set()

    def add_unknown_keys(self, violation: Violation) -> None:
        """Reports each key that the schema does not know."""
        # Imported here and below, because valid files do not need them.
        from runner.config.schema_fixes import fix_key
        from runner.config.spelling import HOMES, RENAMED

        homes = HOMES if self._homes is None else self._homes
        known = list(violation.schema.get("properties", ()))
        here = (*self._above, *violation.path)
        for key in violation.instance:
            if key in known:
                continue
            if self._document.is_broken((*here, key)):
                continue
            renamed = RENAMED.get(key)
            is_renamed = renamed in known
            guess = renamed if is_renamed else nearest(key, known)
            home = homes.get(snake(key))
            # A misplaced key is not a misspelled one.
            if guess and home and not is_renamed and not is_certain_guess(key, guess):
                guess = None
            if guess:
                self._meant.add((*here, guess))
            if is_renamed and renamed:
                message = renamed_key(key, renamed)
            else:
                message = unknown_key(key, guess, known, home)
            path = (*here, key)
            span = self._document.key_span(path)
            fix = None
            if guess and guess not in violation.instance:
                schema = violation.schema["properties"][guess]
                schema = schema if isinstance(schema, dict) else {}
                fix = fix_key(
                    self._document, path, span, guess, schema, is_renamed=is_renamed
                )
            intended = (*here, guess) if guess else None
            lookalike = find_lookalike(self._document.source.text, span.start)
            if lookalike is not None:
                at, (text, help_) = lookalike
                message = text, help_
                span, fix = type(span)(at, at + 1), None
            self._report("VA203", path, span, message, fix=fix, intended=intended)

    def add(self, violation: Violation) -> None:
        """Reports any other violation."""
        here = (*self._above, *violation.path)
        if self._document.is_broken(here):
            return
        match violation.keyword:
            case "required":
                self._missing(here, violation.expected, violation.instance)
            case "dependentRequired":
                for key, needed in violation.expected.items():
                    if key in violation.instance:
                        self._missing(here, needed, violation.instance, because=key)
            case "oneOf" if alternatives := _alternatives(violation.expected):
                if isinstance(violation.instance, dict):
                    self._choice(here, alternatives, violation.instance)
            case _ if violation.about_key:
                self._bad_key(here, violation)
            case _:
                self._bad_value(here, violation)

    def _missing(
        self,
        here: Pointer,
        needed: list[str],
        mapping: dict[str, Any],
        because: str | None = None,
    ) -> None:
        missing = [
            key
            for key in needed
            if key not in mapping and (*here, key) not in self._meant
        ]
        if missing:
            message = missing_keys(here, missing, because)
            span = self._document.start_span(here)
            self._report("VA204", here, span, message, invalidates=False)

    def _choice(
        self, here: Pointer, alternatives: list[str], mapping: dict[str, Any]
    ) -> None:
        present = [key for key in mapping if key in alternatives]
        if len(present) > 1:
            path = (*here, present[1])
            span = self._document.key_span(path)
            self._report("VA211", path, span, too_many_choices(present))
        elif not any((*here, key) in self._meant for key in alternatives):
            message = no_choice(here, alternatives)
            span = self._document.start_span(here)
            self._report("VA210", here, span, message, invalidates=False)

    def _bad_key(self, here: Pointer, violation: Violation) -> None:
        path = (*here, violation.instance)
        if self._document.is_broken(path):
            return
        message = bad_key(violation.instance, violation.schema)
        self._report("VA206", path, self._document.key_span(path), message)

    def _bad_value(self, here: Pointer, violation: Violation) -> None:
        if here in self._invalid_paths:
            return  # one value, one finding
        rule, message, help_ = bad_value(
            here,
            violation.keyword,
            violation.expected,
            violation.instance,
            violation.schema,
        )
        from runner.config.schema_fixes import fix_value

        fix = fix_value(self._document, here, violation)
        if fix and fix.is_safe and is_vague(help_, violation.schema):
            help_ = f"write {fix.edits[0].text}"
        elif fix and help_ is None:
            help_ = f"did you mean {fix.edits[0].text}?"
        at = here
        if violation.keyword == "maxItems":
            at = (*here, violation.expected)
        elif violation.keyword == "uniqueItems":
            at = (*here, first_repeated(violation.instance))
        span = self._document.value_span(at)
        self._report(rule, here, span, (message, help_), fix=fix)

    def _place(self, path: Pointer, span: Span) -> Place:
        return Place(self._document.source, span, self._document.related(path))

    def _report(
        self,
        rule: str,
        path: Pointer,
        span: Span,
        message: Message,
        *,
        fix: Fix | None = None,
        invalidates: bool = True,
        intended: Pointer | None = None,
    ) -> None:
        if invalidates:
            self._invalid_paths.add(path)
        place = self._place(path, span)
        invalid = path if invalidates else None
        found = Finding(place, *message, fix, invalidates=invalid, intended=intended)
        self.found.append((rule, found))


def _alternatives(branches: list[Any]) -> list[str]:
    """Returns the keys of a `oneOf` that requires exactly one of them, else nothing."""
    keys = []
    for branch in branches:
        match branch:
            case {"required": [str(key)]} if len(branch) == 1:
                keys.append(key)
            case _:
                return []
    return keys


# Messages about violations, in terms of the file instead of the schema.

# A message and its help.
Message: TypeAlias = tuple[str, str | None]
Schema: TypeAlias = dict[str, Any]

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "object": "a mapping",
    "array": "a list",
    "null": "nothing",
}
_YAML11_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_MAX_LISTED_KEYS = 12


def subject(path: Pointer) -> str:
    """Returns the name of the value at `path` for messages."""
    if not path:
        return "the file"
    last = path[-1]
    if isinstance(last, str):
        return f"`{quoted(last)[1:-1]}`"
    return f"item {last + 1} of {subject(path[:-1])}"


def unknown_key(
    key: str, guess: str | None, known: Sequence[str], home: str | None = None
) -> Message:
    """Describes an unknown key; `home` is the place of a field with that name."""
    message = f"unknown key `{quoted(key)[1:-1]}`"
    if guess:
        return message, f"did you mean `{guess}`?"
    if home:
        where, _, entry = home.partition(", ")
        written = f"`{where}`, {entry}" if entry else f"`{where}`"
        return message, f"it belongs under {written}"
    if 0 < len(known) <= _MAX_LISTED_KEYS:
        return message, f"use {_names(known)}"
    return message, None


def renamed_key(key: str, new: str) -> Message:
    """Describes a key that had another name in an earlier version."""
    message = f"unknown key `{key}`: it was renamed to `{new}`"
    return message, "rename it, or run `vagent validate --fix`"


def missing_keys(path: Pointer, missing: Sequence[str], because: str | None) -> Message:
    """Describes missing required fields."""
    are = "is" if len(missing) == 1 else "are"
    them = "it" if len(missing) == 1 else "them"
    help_ = f"add {them}"
    if because:
        help_ = f"an `{because}` tool needs {them}"
    place = "" if not path else f" in {subject(path)}"
    return f"{_names(missing, 'and')} {are} missing{place}", help_


def no_choice(path: Pointer, alternatives: Sequence[str]) -> Message:
    """Describes a mapping without any of the keys of which it needs one."""
    if not path:
        first, *others = alternatives
        return f"`{first}` is missing", f"add a `{first}` or a {_names(others, 'or')}"
    return (
        f"{subject(path)} is incomplete",
        f"add one of {_names(alternatives, 'or')}",
    )


def too_many_choices(present: Sequence[str]) -> Message:
    """Describes a mapping with two keys of which only one is allowed."""
    return f"{_names(present, 'and')} are mutually exclusive", "remove one of them"


def bad_key(key: str, schema: Schema) -> Message:
    """Describes an invalid name of an entry."""
    rule = schema.get("patternErrorMessage", "it has invalid characters")
    return f"invalid name `{quoted(key)[1:-1]}`: {rule}", None


def bad_value(
    path: Pointer, keyword: str, expected: Any, value: Any, schema: Schema
) -> tuple[str, str, str | None]:
    """Returns rule id, message and help for an invalid value."""
    rule, describe = _VALUES.get(keyword, ("VA299", _any_other))
    return rule, *describe(subject(path), expected, value, schema)


def is_vague(help_: str | None, schema: Schema) -> bool:
    """True if the text of the fix is more helpful than `help_`."""
    return help_ is None or _is_duration(schema) or schema.get("type") == "object"


def first_repeated(items: list[Any]) -> int:
    """Returns the index of the first item that an earlier one equals."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            return index
        seen.add(text)
    return 0


def _bad_type(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    types = [expected] if isinstance(expected, str) else list(expected)
    if _is_duration(schema) and _is_number(value):
        return f"{name} is {value}, without a unit", f"write {value}s or {value}ms"
    wanted = " or ".join(_TYPES.get(each, each) for each in types)
    message = f"{name} is {_shown(value)}; it must be {wanted}"
    if "boolean" in types and isinstance(value, str):
        meant = _YAML11_BOOLEANS.get(value.lower())
        return message, f"write {meant}" if meant else None
    if _is_duration(schema):
        return f"{name} is {_shown(value)}; {schema['patternErrorMessage']}", None
    if "string" in types and (_is_number(value) or isinstance(value, bool)):
        return message, f'put it in quotes: "{json.dumps(value)}"'
    if types == ["array"] and isinstance(value, str):
        return message, f"write [{value}]" if len(value) < 20 else None
    if value is None:
        return message, "give it a value, or remove the key"
    if {"number", "integer"} & set(types) and _reads_as_number(value):
        return message, "remove the quotes"
    return message, _how_to_write(types, value, schema)


def _how_to_write(types: list[str], value: Any, schema: Schema) -> str | None:
    """Returns help on how to write a value of the expected type."""
    keys = list(schema.get("properties", ()))
    if types == ["object"] and 0 < len(keys) <= _MAX_LISTED_KEYS:
        return f"write it as a mapping of {_names(keys, 'and')}"
    if types == ["object"]:
        return "write `key: value` lines, indented below it"
    if types == ["array"]:
        return "write each item on a line of its own, after `- `"
    if types == ["string"] and isinstance(value, list):
        return "write one text, if it is long as a block after `|`"
    if types in (["number"], ["integer"]) and "default" in schema:
        return f"write a number, such as {schema['default']}"
    return None


def _bad_pattern(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    form = schema.get("patternErrorMessage", f"it must match {expected}")
    message = f"{name} is {quoted(value)}; {form}"
    if _is_duration(schema) and value.replace(".", "", 1).isdecimal():
        return message, f"write {value}s or {value}ms"
    return message, None


def _not_listed(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    texts = [each if isinstance(each, str) else quoted(each) for each in expected]
    message = f"{name} is {_shown(value)}; it must be one of {_names(texts, 'or')}"
    from runner.config.spelling import nearest_choice  # for broken files only

    guess = nearest_choice(value, texts) if isinstance(value, str) else None
    return message, f"did you mean `{guess}`?" if guess else None


def _not_constant(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    shown = expected if isinstance(expected, str) else quoted(expected)
    help_ = "remove the quotes" if value == shown else f"write {shown}"
    return f"{name} is {_shown(value)}; it must be `{shown}`", help_


def _out_of_range(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{name} is {value}; it must be from {low} to {high}", None
    if low is not None:
        return f"{name} is {value}; it must be at least {low}", None
    if high is not None:
        return f"{name} is {value}; it must be at most {high}", None
    return f"{name} is {value}, which is out of range", None


def _too_short(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    if len(value) == 0:
        return f"{name} is empty", "fill it in, or remove the key"
    return (
        f"{name} has {len(value)} {_units(value)}; the minimum is {expected}",
        None,
    )


def _too_long(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    return f"{name} has {len(value)} {_units(value)}; the maximum is {expected}", None


def _repeated(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    item = value[first_repeated(value)]
    return f"{name} has {_shown(item)} twice", "remove one of them"


def _any_other(name: str, expected: Any, value: Any, schema: Schema) -> Message:
    return f"{name} is {_shown(value)}, which is not allowed here", None


_VALUES: dict[str, tuple[str, Callable[[str, Any, Any, Schema], Message]]] = {
    "type": ("VA201", _bad_type),
    "minimum": ("VA202", _out_of_range),
    "maximum": ("VA202", _out_of_range),
    "exclusiveMinimum": ("VA202", _out_of_range),
    "exclusiveMaximum": ("VA202", _out_of_range),
    "enum": ("VA205", _not_listed),
    "const": ("VA205", _not_constant),
    "pattern": ("VA206", _bad_pattern),
    "minLength": ("VA207", _too_short),
    "minItems": ("VA207", _too_short),
    "minProperties": ("VA207", _too_short),
    "maxLength": ("VA207", _too_long),
    "maxItems": ("VA207", _too_long),
    "maxProperties": ("VA207", _too_long),
    "uniqueItems": ("VA208", _repeated),
}


def _is_duration(schema: Schema) -> bool:
    return schema.get("title") == "duration"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _reads_as_number(value: Any) -> bool:
    try:
        return isinstance(value, str) and _is_number(resolve_plain(value))
    except NotJsonError:
        return False


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, dict | list):
        return _TYPES["object" if isinstance(value, dict) else "array"]
    return quoted(value)


def _units(value: Any) -> str:
    return "characters" if isinstance(value, str) else "items"


def _names(names: Sequence[str], last: str = "or") -> str:
    shown = [f"`{each}`" for each in names]
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} {last} {shown[-1]}"
