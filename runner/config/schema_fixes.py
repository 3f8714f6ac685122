"""What a value or a key that breaks the schema was surely meant to be.

Only what is written out at its place is mended: not what comes through an alias or a
merge, and no text that goes over several lines or has escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

from runner.config.diagnostics import Edit, Fix
from runner.config.durations import guess_unit, respell_duration
from runner.config.spelling import (
    RENAMED_BELOW,
    is_surely,
    nearest_choice,
    snake,
    unit_of,
)
from runner.config.yaml.nodes import NotJsonError, resolve_plain

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.schema import Violation
    from runner.config.source import Span
    from runner.config.yaml.nodes import Node, Pointer
    from runner.config.yaml.parser import Document


_BOOLEANS = {
    **dict.fromkeys(("yes", "on", "true", "y"), "true"),
    **dict.fromkeys(("no", "off", "false", "n"), "false"),
}
# A plain scalar of these stays one wherever it is put, also between brackets.
_TAME = r"[^\W_](?:[\w ./@+\-'!?]|:(?=\S))*"
_ANCHOR = r"&[^\s,\[\]{}]+\s+(?:!\S*\s+)?$"
_BUILT_IN = ("end_call", "current_time")


class Replacement(NamedTuple):
    """What to write in the place of a value."""

    written: str
    is_safe: bool = True


def written_node(document: Document, path: Pointer) -> Node | None:
    """Return the node at `path` if it is written out there, else None."""
    node = document.root
    for part in path:
        entry = (node.entries or {}).get(str(part))
        below = node.child(part)
        if below is None or below.is_alias or (entry and entry.origin):
            return None
        node = below
    return node


def fix_value(document: Document, path: Pointer, broken: Violation) -> Fix | None:
    """Return the fix of a value that the schema refuses, if it is clear."""
    node = written_node(document, path)
    # What was checked may be what a parameter stands for, not what is written.
    if node is None or node.value != broken.instance:
        return None
    if broken.keyword == "uniqueItems":
        return _drop_repeated(document, node)
    text = document.source.text
    written = text[node.span.start : node.span.end]
    if re.search(_ANCHOR, text[max(0, node.span.start - 200) : node.span.start]):
        return None  # what is right here may be wrong where it is used
    if not node.is_scalar or not written or "\n" in written or "\r" in written:
        return None
    if node.style and written[1:-1] != node.value:
        return None  # escapes, or a block
    repair = _repair(path, node, written, broken)
    if repair is None or repair.written == written:
        return None
    edit = Edit(*node.span, repair.written)
    return Fix(f"replace `{written}` by `{repair.written}`", (edit,), repair.is_safe)


def fix_key(
    document: Document,
    path: Pointer,
    key: Span,
    guess: str,
    schema: dict[str, Any],
    *,
    is_renamed: bool = False,
) -> Fix | None:
    """Return the fix of a key that was meant to be `guess`, whose schema is `schema`.

    `is_renamed`: the key had this name in an earlier version, so its value may have
    old keys, too, and the fix is safe all the same. Where the unit of a number is part
    of the name, it moves to the value.
    """
    name = str(path[-1])
    node = written_node(document, path)
    text = document.source.text
    start, end = key
    if is_renamed and node is None:
        return _rename(document, path, key, guess)
    if text[start:end] in (f"'{name}'", f'"{name}"'):
        start, end = start + 1, end - 1
    if node is None or text[start:end] != name:
        return None
    is_safe = is_renamed or (is_surely(name, guess) and _fits(node.value, schema))
    edits = [Edit(start, end, guess)]
    if is_renamed:
        edits += _renames_below(text, node, RENAMED_BELOW.get(name, {}))
    title = f"replace `{name}` by `{guess}`"
    _, unit = unit_of(snake(name))
    written = text[node.span.start : node.span.end]
    bare = written.strip("\"'")
    if unit and _is_duration(schema) and re.fullmatch(r"[0-9]+(\.[0-9]+)?", bare):
        edits.append(Edit(*node.span, bare + unit))
        title = f"replace `{name}: {written}` by `{guess}: {bare}{unit}`"
    return Fix(title, tuple(edits), is_safe)


def _rename(document: Document, path: Pointer, key: Span, new: str) -> Fix | None:
    """Return the fix of a renamed key whose value is an alias; the value stays."""
    name = str(path[-1])
    above = written_node(document, path[:-1])
    entry = (above.entries or {}).get(name) if above else None
    if entry is None or entry.origin or document.source.text[slice(*key)] != name:
        return None
    return Fix(f"replace `{name}` by `{new}`", (Edit(*key, new),))


def _renames_below(text: str, node: Node, names: Mapping[str, str]) -> Iterator[Edit]:
    """Yield the edits of renamed keys in the entries of a list."""
    for item in node.items or ():
        for entry in (item.entries or {}).values():
            new = names.get(entry.name)
            # Not those that a merge or an alias brings from elsewhere.
            is_written = not (item.is_alias or entry.origin)
            if new and is_written and text[slice(*entry.key)] == entry.name:
                yield Edit(*entry.key, new)


def _repair(
    path: Pointer, node: Node, written: str, broken: Violation
) -> Replacement | None:
    value, schema = node.value, broken.schema
    if broken.keyword == "type":
        wanted = broken.expected
        types = {wanted} if isinstance(wanted, str) else set(wanted)
        return _retype(path, node, written, types, schema)
    if broken.keyword == "pattern" and isinstance(value, str):
        found = _reform(path, value, schema)
        if found and re.search(broken.expected, found.written):
            return Replacement(_as(node, found.written), found.is_safe)
    if broken.keyword == "enum" and isinstance(value, str):
        return _choose(node, value, broken.expected)
    if broken.keyword == "const" and value == json.dumps(broken.expected):
        return Replacement(value)
    return None


def _retype(
    path: Pointer, node: Node, written: str, types: set[str], schema: dict[str, Any]
) -> Replacement | None:
    value = node.value
    if isinstance(value, str):
        return _retype_text(path, node, written, types, schema)
    if value is None or not ("string" in types or _is_variable(path)):
        return None
    if types == {"object"} and _is_variable(path):
        return Replacement(f'{{default: "{written}"}}')
    if not _is_duration(schema):
        return Replacement(f'"{written}"')
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+(\.[0-9]+)?", written):
        return None
    unit, is_sure = guess_unit(path, value)
    return Replacement(written + unit, is_sure)


def _retype_text(
    path: Pointer, node: Node, written: str, types: set[str], schema: dict[str, Any]
) -> Replacement | None:
    value = node.value
    if "boolean" in types and value.lower() in _BOOLEANS:
        return Replacement(_BOOLEANS[value.lower()])
    if types & {"number", "integer"} and _is_number(value):
        return Replacement(value)
    if "object" in types and _is_variable(path):
        quoted = written if node.style or _is_tame(value) else json.dumps(value)
        return Replacement(f"{{default: {quoted}}}")
    if "object" in types and len(path) == 2 and path[0] == "tools":
        if value in _BUILT_IN:
            return Replacement(f"{{plugin: {value}}}")
        if re.fullmatch(r"[\w./-]+\.py:\w+", value):
            return Replacement(f"{{python: {value}}}")
    if types == {"array"}:
        if node.style or _is_tame(value):
            return Replacement(f"[{written}]")
        if all(_is_tame(each.strip()) for each in value.split(",")):
            return Replacement(f"[{written}]", is_safe=False)
    return None


def _is_variable(path: Pointer) -> bool:
    return len(path) == 2 and path[0] == "variables"


def _reform(path: Pointer, value: str, schema: dict[str, Any]) -> Replacement | None:
    """Return a text as its field's pattern wants it; the caller tries the pattern."""
    if _is_duration(schema):
        found = respell_duration(value.replace(",", "."))
        if found:
            return Replacement(found)
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?", value):
            unit, is_sure = guess_unit(path, float(value))
            return Replacement(value + unit, is_sure)
        return None
    match path:
        case ("name",):
            return Replacement(re.sub(r"\s+", "-", value.strip()), is_safe=False)
        case ("tools", _, "name"):
            return Replacement(re.sub(r"[\s-]+", "_", value.strip()), is_safe=False)
        case ("tools", _, "python"):
            file = value.replace("\\", "/").replace("::", ":")
            if file == value:
                module, _, function = value.partition(":")
                file = f"{module.replace('.', '/')}.py:{function}"
                return Replacement(file, is_safe=False)
            return Replacement(file)
        case ("service", "url"):
            return Replacement(re.sub(r"^http", "ws", value), is_safe=False)
        case ("tools", _, "http", "url") if re.match(r"[\w-]+\.[\w.-]+(/|$)", value):
            return Replacement(f"https://{value}", is_safe=False)
    return None


def _choose(node: Node, value: str, choices: list[Any]) -> Replacement | None:
    texts = [each for each in choices if isinstance(each, str)]
    guess = nearest_choice(value, texts)
    if guess is None:
        return None
    is_safe = is_surely(value, guess) or value[:2].lower() == guess
    return Replacement(_as(node, guess), is_safe)


def _as(node: Node, text: str) -> str:
    """Write a text in the manner of a node, whose quotes it keeps."""
    if node.style in ("'", '"'):
        return f"{node.style}{text}{node.style}"
    return text if _is_tame(text) else json.dumps(text, ensure_ascii=False)


def _is_tame(text: str) -> bool:
    try:
        plain = resolve_plain(text) == text
    except NotJsonError:
        return False
    return plain and re.fullmatch(_TAME, text) is not None and text.strip() == text


def _is_number(text: str) -> bool:
    try:
        return type(resolve_plain(text)) in (int, float)
    except NotJsonError:
        return False


def _is_duration(schema: dict[str, Any]) -> bool:
    # The schema refers to one definition, which has this title.
    return "duration" in (schema.get("title"), schema.get("$ref", "")[-8:])


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """Whether a value is of the kind that a field takes, or will be once mended."""
    if _is_duration(schema):
        return isinstance(value, str | int | float)
    types = schema.get("type", [])
    wanted = {types} if isinstance(types, str) else set(types)
    match value:
        case dict():
            return not wanted or "object" in wanted
        case list():
            return not wanted or "array" in wanted
        case str() if wanted == {"object"}:
            return False
    return True


def _drop_repeated(document: Document, node: Node) -> Fix | None:
    """Take away the first item that is there already, with its comma or its line."""
    items = node.items or []
    seen: list[Any] = []
    for index, item in enumerate(items):
        what = (type(item.value), item.value)
        if what not in seen:
            seen.append(what)
            continue
        if item.is_alias or not item.is_scalar:
            return None
        text = document.source.text
        start, end = items[index - 1].span.end, item.span.end
        between = text[start : item.span.start]
        following = re.compile(r"[ \t]*(?:\r\n|\n|\r|$)").match(text, end)
        if node.style == "{":
            fits = re.fullmatch(r"[ \t]*,[ \t]*", between)
        elif following is not None:
            fits = re.fullmatch(r"[ \t]*(?:\r\n|\n|\r)[ \t]*-[ \t]+", between)
        else:
            fits = None
        if fits is None:
            return None
        shown = text[item.span.start : end]
        return Fix(f"take the second `{shown}` away", (Edit(start, end, ""),))
    return None


# Versions of the agent file format: the one that is read, and the ways to it.
#
# A change of the format that would break files that are right today gets a version of
# its own: raise `FORMAT.current` (and the schema's), and add the migration from the
# version before. `validate` then offers it as a fix; nothing is migrated behind
# anyone's back, so that findings and the file that people look at are about the same
# text.


# Turns the text of a file of one version into that of the next one, version line
# included. It edits the text: comments and layout are the author's.
Migration: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Format:
    """A version that is read, and the migrations to it by the version they begin at."""

    current: int
    migrations: Mapping[int, Migration] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        known = sorted(self.migrations)
        if known != list(range(self.current - len(known), self.current)):
            raise ValueError(f"migrations from {known} do not lead to {self.current}")

    def is_later(self, version: Any) -> bool:
        """Whether a file of this version is newer than what is known here."""
        number = _number(version)
        return number is not None and number > self.current

    def is_outdated(self, version: Any) -> bool:
        """Whether there is a way from this version to the one that is read."""
        return _number(version) in self.migrations

    def migrate(self, text: str, version: int) -> str:
        """Return the text of a file of an older version as one of the current one."""
        for step in range(version, self.current):
            text = self.migrations[step](text)
        return text

    def explain(self, version: Any) -> tuple[str, str]:
        """Say of a file of a later or an outdated version what it is; and what to do.

        A pair of message and help.
        """
        if self.is_later(version):
            help_ = "a newer vagent may read it"
        else:
            help_ = "`vagent validate --fix` rewrites it"
        message = (
            f"the file is of version {_number(version)}; "
            f"this vagent reads version {self.current}"
        )
        return message, help_


def _number(version: Any) -> int | None:
    """Return the version that was meant, be it in quotes; None where there is none."""
    if isinstance(version, bool):
        return None
    if isinstance(version, str):
        # Longer ones are no versions, and slow to read.
        return int(version) if version.isdecimal() and len(version) < 10 else None
    if isinstance(version, float):
        return int(version) if version.is_integer() else None
    return version if isinstance(version, int) else None


FORMAT = Format(current=1)
