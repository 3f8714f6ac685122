"""What breaks the schema, said as a finding at its place in the file."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, TypeAlias

from runner.config.diagnostics import Edit, Finding, Fix, Place, quoted
from runner.config.schema import Violation
from runner.config.schema_fixes import FORMAT, Format
from runner.config.spelling import is_surely, nearest, snake
from runner.config.yaml.nodes import NotJsonError, resolve_plain

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
    """Turn violations into findings, one for each broken thing, with their rules' ids.

    `above` is where the checked value lies in the document. What the document has a
    finding for already gets no second one. Of a file of another version only that is
    said: what the version has changed is not known here. `homes` tell where keys belong
    that somebody has put elsewhere; by default those of agent files.
    """
    listed = list(violations)
    for each in listed:
        if (*above, *each.path) == _VERSION and each.keyword == "const":
            found = _other_version(document, each.instance, format_)
            if found is not None:
                return [("VA212", found)]
    scene = _Scene(document, above, homes)
    unknown = [each for each in listed if each.keyword == "additionalProperties"]
    rest = [each for each in listed if each.keyword != "additionalProperties"]
    for each in unknown:
        scene.add_unknown_keys(each)
    for each in rest:
        scene.add(each)
    return list(dict.fromkeys(scene.found))


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
    return Finding(place, *format_.explain(version), fix, spoils=())


class _Scene:
    """Collects the findings of one check."""

    def __init__(
        self, document: Document, above: Pointer, homes: Mapping[str, str] | None
    ) -> None:
        self.found: list[tuple[str, Finding]] = []
        self._unsound: set[Pointer] = set()
        self._document = document
        self._above = above
        self._homes = homes
        # Keys that an unknown one was probably meant to be: they are not missing.
        self._meant: set[Pointer] = set()

    def add_unknown_keys(self, violation: Violation) -> None:
        """Report each key that the schema does not know."""
        # These are for broken files only, as below.
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
            # A known key in the wrong place is not a misspelt one.
            if guess and home and not is_renamed and not is_surely(key, guess):
                guess = None
            if guess:
                self._meant.add((*here, guess))
            if is_renamed and renamed:
                words = renamed_key(key, renamed)
            else:
                words = unknown_key(key, guess, known, home)
            path = (*here, key)
            span = self._document.key_span(path)
            fix = None
            if guess and guess not in violation.instance:
                schema = violation.schema["properties"][guess]
                schema = schema if isinstance(schema, dict) else {}
                fix = fix_key(
                    self._document, path, span, guess, schema, is_renamed=is_renamed
                )
            meant = (*here, guess) if guess else None
            self._report("VA203", path, span, words, fix=fix, meant=meant)

    def add(self, violation: Violation) -> None:
        """Report any other violation."""
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
            words = missing_keys(here, missing, because)
            span = self._document.start_span(here)
            self._report("VA204", here, span, words, spoils=False)

    def _choice(
        self, here: Pointer, alternatives: list[str], mapping: dict[str, Any]
    ) -> None:
        present = [key for key in mapping if key in alternatives]
        if len(present) > 1:
            path = (*here, present[1])
            span = self._document.key_span(path)
            self._report("VA211", path, span, too_many_choices(present))
        elif not any((*here, key) in self._meant for key in alternatives):
            words = no_choice(here, alternatives)
            span = self._document.start_span(here)
            self._report("VA210", here, span, words, spoils=False)

    def _bad_key(self, here: Pointer, violation: Violation) -> None:
        path = (*here, violation.instance)
        if self._document.is_broken(path):
            return
        words = bad_key(violation.instance, violation.schema)
        self._report("VA206", path, self._document.key_span(path), words)

    def _bad_value(self, here: Pointer, violation: Violation) -> None:
        if here in self._unsound:
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
            help_ = f"perhaps {fix.edits[0].text}"
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
        words: Words,
        *,
        fix: Fix | None = None,
        spoils: bool = True,
        meant: Pointer | None = None,
    ) -> None:
        if spoils:
            self._unsound.add(path)
        place = self._place(path, span)
        spoilt = path if spoils else None
        found = Finding(place, *words, fix, spoils=spoilt, meant=meant)
        self.found.append((rule, found))


def _alternatives(branches: list[Any]) -> list[str]:
    """The keys of a `oneOf` that says "exactly one of these keys", else nothing."""
    keys = []
    for branch in branches:
        match branch:
            case {"required": [str(key)]} if len(branch) == 1:
                keys.append(key)
            case _:
                return []
    return keys


# The sentences about what breaks the schema: of the file, never of the schema.


Words: TypeAlias = tuple[str, str | None]
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
_SPOKEN_BOOLEANS = {"yes": "true", "on": "true", "no": "false", "off": "false"}
_MANY = 12  # more known keys than this are not listed


def subject(path: Pointer) -> str:
    """Name the value at `path`."""
    if not path:
        return "the file"
    last = path[-1]
    if isinstance(last, str):
        return f"`{quoted(last)[1:-1]}`"
    return f"item {last + 1} of {subject(path[:-1])}"


def unknown_key(
    key: str, guess: str | None, known: Sequence[str], home: str | None = None
) -> Words:
    """For a key that no field has; `home` is where one of that name belongs."""
    message = f"unknown key `{quoted(key)[1:-1]}`"
    if guess:
        return message, f"did you mean `{guess}`?"
    if home:
        where, _, entry = home.partition(", ")
        written = f"`{where}`, {entry}" if entry else f"`{where}`"
        return message, f"it belongs under {written}"
    if 0 < len(known) <= _MANY:
        return message, f"known here: {_names(known)}"
    return message, None


def renamed_key(key: str, new: str) -> Words:
    """For a key that had another name in an earlier version."""
    message = f"unknown key `{key}`: its name is now `{new}`"
    return message, "rename it; `vagent validate --fix` does so"


def missing_keys(path: Pointer, missing: Sequence[str], because: str | None) -> Words:
    """For fields that must be there."""
    are = "is" if len(missing) == 1 else "are"
    them = "it" if len(missing) == 1 else "them"
    help_ = f"add {them}"
    if because:
        help_ = f"an `{because}` tool needs {them}"
    place = "" if not path else f" in {subject(path)}"
    return f"{_names(missing, 'and')} {are} missing{place}", help_


def no_choice(path: Pointer, alternatives: Sequence[str]) -> Words:
    """For a mapping that has none of the keys of which it needs one."""
    if not path:
        first, *others = alternatives
        return f"`{first}` is missing", f"add a `{first}` or a {_names(others, 'or')}"
    return (
        f"{subject(path)} does not say what it is",
        f"add one of {_names(alternatives, 'or')}",
    )


def too_many_choices(present: Sequence[str]) -> Words:
    """For a mapping that has two of the keys of which it takes one."""
    return f"{_names(present, 'and')} exclude each other", "keep one of them"


def bad_key(key: str, schema: Schema) -> Words:
    """For the name of an entry that is not as names are."""
    rule = schema.get("patternErrorMessage", "it is not as such names are")
    return f"`{quoted(key)[1:-1]}` is not a name: {rule}", None


def bad_value(
    path: Pointer, keyword: str, expected: Any, value: Any, schema: Schema
) -> tuple[str, str, str | None]:
    """For a value that the schema refuses; returns rule id, message and help."""
    rule, say = _VALUES.get(keyword, ("VA299", _any_other))
    return rule, *say(subject(path), expected, value, schema)


def is_vague(help_: str | None, schema: Schema) -> bool:
    """Whether a help line is better said by the text that mends the value."""
    return help_ is None or _is_duration(schema) or schema.get("type") == "object"


def first_repeated(items: list[Any]) -> int:
    """Return the index of the first item that an earlier one equals."""
    seen: set[str] = set()
    for index, item in enumerate(items):
        text = json.dumps(item, sort_keys=True)
        if text in seen:
            return index
        seen.add(text)
    return 0


def _bad_type(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    types = [expected] if isinstance(expected, str) else list(expected)
    if _is_duration(schema) and _is_number(value):
        return f"{name} is {value}, without a unit", f"write {value}s or {value}ms"
    wanted = " or ".join(_TYPES.get(each, each) for each in types)
    message = f"{name} is {_shown(value)}; it takes {wanted}"
    if "boolean" in types and isinstance(value, str):
        meant = _SPOKEN_BOOLEANS.get(value.lower())
        return message, f"write {meant}, which YAML knows as such" if meant else None
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
    return message, _manner(types, value, schema)


def _manner(types: list[str], value: Any, schema: Schema) -> str | None:
    """How values of a kind are written, for somebody who has written another kind."""
    keys = list(schema.get("properties", ()))
    if types == ["object"] and 0 < len(keys) <= _MANY:
        return f"write it as a mapping of {_names(keys, 'and')}"
    if types == ["object"]:
        return "write `key: value` lines, indented below it"
    if types == ["array"]:
        return "write each item on a line of its own, after `- `"
    if types == ["string"] and isinstance(value, list):
        return "write one text; a long one as a block after `|`"
    if types in (["number"], ["integer"]) and "default" in schema:
        return f"write a number, such as {schema['default']}"
    return None


def _bad_pattern(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    form = schema.get("patternErrorMessage", f"it must match {expected}")
    message = f"{name} is {quoted(value)}; {form}"
    if _is_duration(schema) and value.replace(".", "", 1).isdecimal():
        return message, f"write {value}s or {value}ms"
    return message, None


def _not_listed(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    texts = [each if isinstance(each, str) else quoted(each) for each in expected]
    message = f"{name} is {_shown(value)}; it is one of {_names(texts, 'or')}"
    from runner.config.spelling import nearest_choice  # for broken files only

    guess = nearest_choice(value, texts) if isinstance(value, str) else None
    return message, f"did you mean `{guess}`?" if guess else None


def _not_constant(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    shown = expected if isinstance(expected, str) else quoted(expected)
    help_ = "remove the quotes" if value == shown else f"write {shown}"
    return f"{name} is {_shown(value)}; it is always `{shown}`", help_


def _out_of_range(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        return f"{name} is {value}; it goes from {low} to {high}", None
    if low is not None:
        return f"{name} is {value}; it is at least {low}", None
    if high is not None:
        return f"{name} is {value}; it is at most {high}", None
    return f"{name} is {value}, which is out of its range", None


def _too_short(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    if len(value) == 0:
        return f"{name} is empty", "fill it in, or remove the key"
    return (
        f"{name} has {len(value)} {_units(value)}; it needs at least {expected}",
        None,
    )


def _too_long(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    return f"{name} has {len(value)} {_units(value)}; it takes at most {expected}", None


def _repeated(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    item = value[first_repeated(value)]
    return f"{_shown(item)} is in {name} twice", "remove one of them"


def _any_other(name: str, expected: Any, value: Any, schema: Schema) -> Words:
    return f"{name} is {_shown(value)}, which is not allowed here", None


_VALUES: dict[str, tuple[str, Callable[[str, Any, Any, Schema], Words]]] = {
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
