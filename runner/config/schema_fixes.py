"""Fixes of values and keys that violate the schema, and file format versions.

Only text that is literally in the file is fixed: no aliases or merges, and no text over
several lines or with escapes.
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
    is_certain_guess,
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
# A plain scalar that needs no quotes anywhere, also between brackets.
_PLAIN_ANYWHERE = r"[^\W_](?:[\w ./@+\-'!?]|:(?=\S))*"
_ANCHOR = r"&[^\s,\[\]{}]+\s+(?:!\S*\s+)?$"
_BUILT_IN = ("end_call", "current_time")


class Replacement(NamedTuple):
    """The text that replaces a value."""

    written: str
    is_safe: bool = True


def written_node(document: Document, path: Pointer) -> Node | None:
    """Returns the node at `path` if it is literally in the file, else None."""
    node = document.root
    for part in path:
        entry = (node.entries or {}).get(str(part))
        below = node.child(part)
        if below is None or below.is_alias or (entry and entry.origin):
            return None
        node = below
    return node


def fix_value(document: Document, path: Pointer, broken: Violation) -> Fix | None:
    """Returns the fix of an invalid value, None if it is unclear."""
    node = written_node(document, path)
    # The checked value may differ from the text, such as that of a parameter.
    if node is None or node.value != broken.instance:
        return None
    if broken.keyword == "uniqueItems":
        return _drop_repeated(document, node)
    text = document.source.text
    written = text[node.span.start : node.span.end]
    if re.search(_ANCHOR, text[max(0, node.span.start - 200) : node.span.start]):
        return None  # aliases of the value may need it unchanged
    if not node.is_scalar or not written or "\n" in written or "\r" in written:
        return None
    if node.style and written[1:-1] != node.value:
        return None  # escapes, or a block
    replacement = _fix_scalar(path, node, written, broken)
    if replacement is None or replacement.written == written:
        return None
    edit = Edit(*node.span, replacement.written)
    return Fix(
        f"replace `{written}` by `{replacement.written}`", (edit,), replacement.is_safe
    )


def fix_key(
    document: Document,
    path: Pointer,
    key: Span,
    guess: str,
    schema: dict[str, Any],
    *,
    is_renamed: bool = False,
) -> Fix | None:
    """Returns the fix of a key that was meant to be `guess`, whose schema is `schema`.

    With `is_renamed`, the key had this name in an earlier version; its value may have
    old keys too, and the fix is safe. A unit in the name moves to the value.
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
    is_safe = is_renamed or (
        is_certain_guess(name, guess) and _fits(node.value, schema)
    )
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
    """Returns the fix of a renamed key whose value is an alias."""
    name = str(path[-1])
    above = written_node(document, path[:-1])
    entry = (above.entries or {}).get(name) if above else None
    if entry is None or entry.origin or document.source.text[slice(*key)] != name:
        return None
    return Fix(f"replace `{name}` by `{new}`", (Edit(*key, new),))


def _renames_below(text: str, node: Node, names: Mapping[str, str]) -> Iterator[Edit]:
    """Yields the edits of renamed keys in the entries of a list."""
    for item in node.items or ():
        for entry in (item.entries or {}).values():
            new = names.get(entry.name)
            # Keys of a merge or an alias are elsewhere in the file.
            is_written = not (item.is_alias or entry.origin)
            if new and is_written and text[slice(*entry.key)] == entry.name:
                yield Edit(*entry.key, new)


def _fix_scalar(
    path: Pointer, node: Node, written: str, broken: Violation
) -> Replacement | None:
    value, schema = node.value, broken.schema
    if broken.keyword == "type":
        wanted = broken.expected
        types = {wanted} if isinstance(wanted, str) else set(wanted)
        return _retype(path, node, written, types, schema)
    if broken.keyword == "pattern" and isinstance(value, str):
        found = _reformat(path, value, schema)
        if found and re.search(broken.expected, found.written):
            return Replacement(_quote_like(node, found.written), found.is_safe)
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
        quoted = written if node.style or _needs_no_quotes(value) else json.dumps(value)
        return Replacement(f"{{default: {quoted}}}")
    if "object" in types and len(path) == 2 and path[0] == "tools":
        if value in _BUILT_IN:
            return Replacement(f"{{plugin: {value}}}")
        if re.fullmatch(r"[\w./-]+\.py:\w+", value):
            return Replacement(f"{{python: {value}}}")
    if types == {"array"}:
        if node.style or _needs_no_quotes(value):
            return Replacement(f"[{written}]")
        if all(_needs_no_quotes(each.strip()) for each in value.split(",")):
            return Replacement(f"[{written}]", is_safe=False)
    return None


def _is_variable(path: Pointer) -> bool:
    return len(path) == 2 and path[0] == "variables"


def _reformat(path: Pointer, value: str, schema: dict[str, Any]) -> Replacement | None:
    """Returns a text in the likely format of its field, not yet validated."""
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
    is_safe = is_certain_guess(value, guess) or value[:2].lower() == guess
    return Replacement(_quote_like(node, guess), is_safe)


def _quote_like(node: Node, text: str) -> str:
    """Returns a text as YAML with the quotes of `node`."""
    if node.style in ("'", '"'):
        return f"{node.style}{text}{node.style}"
    return text if _needs_no_quotes(text) else json.dumps(text, ensure_ascii=False)


def _needs_no_quotes(text: str) -> bool:
    try:
        plain = resolve_plain(text) == text
    except NotJsonError:
        return False
    return (
        plain
        and re.fullmatch(_PLAIN_ANYWHERE, text) is not None
        and text.strip() == text
    )


def _is_number(text: str) -> bool:
    try:
        return type(resolve_plain(text)) in (int, float)
    except NotJsonError:
        return False


def _is_duration(schema: dict[str, Any]) -> bool:
    # All durations refer to one definition with this title.
    return "duration" in (schema.get("title"), schema.get("$ref", "")[-8:])


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    """True if a value has a type that the field accepts, possibly after a fix."""
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
    """Returns the fix that removes the first duplicate item with its comma or line."""
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
        return Fix(f"remove the second `{shown}`", (Edit(start, end, ""),))
    return None


# Versions of the agent file format. A change that breaks valid files needs a new
# version: increase `FORMAT.current` and the version of the schema, and add the
# migration from the previous version. `validate` offers it as a fix. Files are never
# migrated silently, so that findings refer to the text that the author sees.

# Converts the text of a file to the next version, including the version line, and keeps
# comments and layout.
Migration: TypeAlias = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Format:
    """The supported version, and the migrations to it by their start version."""

    current: int
    migrations: Mapping[int, Migration] = field(
        default_factory=lambda: MappingProxyType({})
    )

    def __post_init__(self) -> None:
        known = sorted(self.migrations)
        if known != list(range(self.current - len(known), self.current)):
            raise ValueError(f"migrations from {known} do not lead to {self.current}")

    def is_later(self, version: Any) -> bool:
        """True if this version is newer than the supported one."""
        number = _number(version)
        return number is not None and number > self.current

    def is_outdated(self, version: Any) -> bool:
        """True if there is a migration from this version."""
        return _number(version) in self.migrations

    def migrate(self, text: str, version: int) -> str:
        """Returns the text of a file migrated to the current version."""
        for step in range(version, self.current):
            text = self.migrations[step](text)
        return text

    def explain(self, version: Any) -> tuple[str, str]:
        """Returns message and help for a later or an outdated version."""
        if self.is_later(version):
            help_ = "update vagent"
        else:
            help_ = "run `vagent validate --fix` to rewrite it"
        message = (
            f"the file has version {_number(version)}; "
            f"this vagent reads version {self.current}"
        )
        return message, help_


def _number(version: Any) -> int | None:
    """Returns a version as a number, also from quotes; None if it is not one."""
    if isinstance(version, bool):
        return None
    if isinstance(version, str):
        # Longer numbers are not versions, and slow to convert.
        return int(version) if version.isdecimal() and len(version) < 10 else None
    if isinstance(version, float):
        return int(version) if version.is_integer() else None
    return version if isinstance(version, int) else None


FORMAT = Format(current=1)
