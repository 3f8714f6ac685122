"""YAML values with their places, and the meaning of plain scalars."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.config.source import Span

# From the root: keys of mappings and indexes of lists.
Pointer: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Entry:
    """A key of a mapping and, once parsed, its value."""

    name: str
    key: Span
    node: Node | None = None
    is_merge: bool = False  # `<<`
    is_repeated: bool = False  # a duplicate, whose value is dropped
    is_broken: bool = False  # not a text
    origin: Span | None = None  # place of the key if `<<` merged it


@dataclass(slots=True)
class Node:
    """One value and its place; `value` is part of the value of the parent.

    A mapping has `entries`, a list has `items`, a scalar has neither.
    """

    value: Any
    span: Span
    style: str = ""  # "", a quote, "|" or ">" for a scalar; "{" for a flow collection
    entries: dict[str, Entry] | None = None
    items: list[Node] | None = None
    is_broken: bool = False  # has a finding; `value` is a substitute
    is_alias: bool = False
    origin: Span | None = None  # of an alias: place of the anchored value
    is_open: bool = False  # anchored and not yet closed
    weight: int = 0  # characters with aliases expanded
    depth: int = 1

    @property
    def is_scalar(self) -> bool:
        """True if it is neither a mapping nor a list."""
        return self.entries is None and self.items is None

    @property
    def head(self) -> Span:
        """The place to mark: a whole scalar, or the start of a collection."""
        if self.is_alias or self.is_scalar:
            return self.span
        if self.style != "{" and self.entries:
            first = next(iter(self.entries.values())).key
            if first.start == self.span.start:
                return first
        return Span(self.span.start, min(self.span.start + 1, self.span.end))

    def child(self, part: str | int) -> Node | None:
        """Returns the node at a key or an index, None if there is none."""
        if isinstance(part, str):
            entry = self.entries.get(part) if self.entries else None
            return entry.node if entry else None
        if self.items is not None and 0 <= part < len(self.items):
            return self.items[part]
        return None

    def append(self, node: Node) -> None:
        """Adds a list's item."""
        assert self.items is not None
        self.items.append(node)
        if not self.is_broken:
            self.value.append(node.value)
        self._grow(node)

    def put(self, entry: Entry, node: Node) -> None:
        """Adds a mapping's key and value."""
        assert self.entries is not None
        entry.node = node
        if entry.is_broken:
            node.is_broken = True
        self.entries[entry.name] = entry
        if not self.is_broken:
            self.value[entry.name] = node.value
        self._grow(node)

    def inherit(self, entry: Entry, merge: Span) -> None:
        """Adds a key of a merged mapping, unless this mapping has it.

        `merge` is the place of the `<<`, which becomes the place of the key: a key that
        is invalid here may be valid there.
        """
        assert self.entries is not None
        if entry.name not in self.entries and entry.node is not None:
            origin = entry.origin or entry.key
            self.put(Entry(entry.name, merge, origin=origin), entry.node)

    def alias(self, span: Span) -> Node:
        """Returns the node of an alias of this value at `span`."""
        return Node(
            self.value,
            span,
            self.style,
            self.entries,
            self.items,
            is_broken=self.is_broken,
            is_alias=True,
            origin=self.origin or self.head,
            weight=self.weight,
            depth=self.depth,
        )

    def close(self, end: int, text: str) -> None:
        """Sets the end of a collection; PyYAML ends a block at the next token."""
        while end > self.span.start and text[end - 1].isspace():
            end -= 1
        self.span = Span(self.span.start, end)

    def _grow(self, node: Node) -> None:
        self.weight += node.weight
        self.depth = max(self.depth, node.depth + 1)


# Plain scalars follow the core schema of YAML 1.2, limited to the JSON data model:
# `yes`, `on`, `2024-01-01` and `12:30` are text and `012` is twelve, unlike in YAML
# 1.1, which most Python programs read.

_NULL = frozenset(("", "~", "null", "Null", "NULL"))
_BOOLEAN = {
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}
_INTEGER = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", re.ASCII)
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", re.ASCII)
_NOT_JSON = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")

# Python refuses integers of over 4,300 digits; no field allows as many as these.
_MAX_DIGITS = 400


class NotJsonError(ValueError):
    """Raised for a scalar that JSON cannot express (infinity, NaN, a huge number)."""


def resolve_plain(text: str) -> str | int | float | bool | None:
    """Returns the value of an unquoted scalar; raises `NotJsonError`."""
    if text in _NULL:
        return None
    if text in _BOOLEAN:
        return _BOOLEAN[text]
    # Most plain scalars are words, which the patterns below cannot match.
    if text[0] not in "+-.0123456789":
        return text
    if _INTEGER.fullmatch(text):
        return _read_integer(text)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise NotJsonError(text)
        return number
    if _NOT_JSON.fullmatch(text):
        raise NotJsonError(text)
    return text


def _read_integer(text: str) -> int:
    if len(text) > _MAX_DIGITS:
        raise NotJsonError(text)
    if text.startswith("0o"):
        return int(text[2:], 8)
    if text.startswith("0x"):
        return int(text[2:], 16)
    return int(text)


# The meaning of plain scalars in YAML 1.1 (PyYAML, Ruby, older editors).

_TRUE = frozenset(("y", "yes", "on"))
_FALSE = frozenset(("n", "no", "off"))
_CASED = (str.lower, str.upper, str.capitalize)

_DATE = r"[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME = r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}.*"
_SIXTIES = r"[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+"
_SIXTIES_POINT = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*"
_YAML11_INTEGER = r"[-+]?(?:0|[1-9][0-9_]*)"
_OCTAL = r"[-+]?0[0-7_]+"
_BINARY = r"[-+]?0b[0-1_]+"
_HEX = r"[-+]?0x[0-9a-fA-F_]+"
_YAML11_FLOAT = (
    r"[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?"
)
# First characters of scalars that YAML 1.1 may read differently.
STARTS = frozenset("yYnNoO+-.0123456789")


def read_elsewhere(text: str, value: Any) -> str | None:
    """Returns the meaning of a plain scalar in YAML 1.1 if it differs from `value`.

    The text completes "it is": "false" for `no`, "a date", "8" for `010`.
    """
    if text[:1] not in STARTS:
        return None
    if isinstance(value, str):
        return _of_text(text)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return _of_number(text, value)
    return None


def _of_text(text: str) -> str | None:
    for spellings, meaning in ((_TRUE, "true"), (_FALSE, "false")):
        if text.lower() in spellings and any(text == case(text) for case in _CASED):
            return meaning
    if re.fullmatch(_DATE, text) or re.fullmatch(_TIME, text):
        return "a date"
    if re.fullmatch(_SIXTIES, text) or re.fullmatch(_SIXTIES_POINT, text):
        return "a number to the base of 60"
    for form in (_YAML11_INTEGER, _OCTAL, _BINARY, _HEX, _YAML11_FLOAT):
        if re.fullmatch(form, text) and any(each.isdigit() for each in text):
            return "a number"
    return None


def _of_number(text: str, value: float) -> str | None:
    if re.fullmatch(_OCTAL, text):
        digits = text.replace("_", "").lstrip("+-")
        other = int(digits, 8) if digits.strip("0") else 0
        return str(other) if other != abs(value) else None
    if re.fullmatch(_HEX, text):
        return None
    if re.fullmatch(_YAML11_INTEGER, text) or re.fullmatch(_YAML11_FLOAT, text):
        return None
    return "text"
