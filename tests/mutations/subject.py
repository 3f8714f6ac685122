"""A valid agent file with the places of all its keys and values, ready to be spoiled.

A `Change` is what one mutation does: the new text, and the offsets in it where a
finding should be. The first is where the fault is; others are listed only where a
person could as well say that it is there (the two halves of a contradiction).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any, TypeAlias

from runner.config.schema import packaged_schema
from runner.config.source import Source, Span, read_source
from runner.config.yaml.nodes import Node, Pointer
from runner.config.yaml.parser import Document, parse_document

# Mappings whose keys the schema knows; an index or a free name is `*`.
FIELDS = {
    (),
    ("voice",),
    ("transcription",),
    ("turn_detection",),
    ("variables", "*"),
    ("tools", "*"),
    ("tools", "*", "http"),
    ("session",),
    ("session", "idle"),
    ("local", "brain"),
}
SPOKEN = {
    ("prompt",),
    ("greeting",),
    ("tools", "*", "announce"),
    ("tools", "*", "description"),
    ("session", "one_minute_left"),
    ("session", "idle", "say"),
}


def _known(schema: Any) -> Iterator[str]:
    if isinstance(schema, dict):
        properties = schema.get("properties")
        if isinstance(properties, dict):
            yield from properties
        for each in schema.values():
            yield from _known(each)
    elif isinstance(schema, list):
        for each in schema:
            yield from _known(each)


# Every key that any mapping of an agent file may have.
KNOWN = frozenset(_known(packaged_schema()))


@dataclass(frozen=True, slots=True)
class Change:
    """What a mutation does; `exact` is false where only the line is known."""

    text: str
    offsets: tuple[int, ...]
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Edit:
    """Characters of the valid text to replace."""

    start: int
    end: int
    new: str


@dataclass(frozen=True, slots=True)
class Site:
    """A key and its value, or an item of a list (then `key` is None)."""

    path: Pointer
    key: Span | None
    node: Node
    parent: Node

    @property
    def name(self) -> str | int:
        """The last part of the path."""
        return self.path[-1]

    @property
    def general(self) -> tuple[str, ...]:
        """The path with `*` for indexes and for the names of variables."""
        parts = ["*" if isinstance(part, int) else part for part in self.path]
        if parts[0] == "variables" and len(parts) > 1:
            parts[1] = "*"
        return tuple(parts)

    @property
    def is_field(self) -> bool:
        """True if the schema knows which keys are allowed here."""
        return self.key is not None and self.general[:-1] in FIELDS

    @property
    def in_flow(self) -> bool:
        """True if it is between braces or brackets."""
        return self.parent.style == "{"


class Subject:
    """One valid agent file."""

    def __init__(self, path: Path) -> None:
        source = read_source(path)
        document, findings = parse_document(source)
        assert document is not None and not findings, f"{path} is no valid YAML"
        self.path = path
        self.text = source.text
        self.document: Document = document
        self.newline = "\r\n" if "\r\n" in source.text else "\n"

    @cached_property
    def sites(self) -> tuple[Site, ...]:
        """All keys and items that are written out, in the order of the file."""
        return tuple(self._walk((), self.document.root))

    def _walk(self, path: Pointer, node: Node) -> Iterator[Site]:
        if node.is_alias:
            return
        for name, entry in (node.entries or {}).items():
            assert entry.node is not None
            if self.text[entry.key.start : entry.key.end] != "<<":
                yield Site((*path, name), entry.key, entry.node, node)
                yield from self._walk((*path, name), entry.node)
        for index, item in enumerate(node.items or ()):
            yield Site((*path, index), None, item, node)
            yield from self._walk((*path, index), item)

    def choose(self, draw: Random, wanted: Callable[[Site], bool]) -> Site | None:
        """Draw one of the sites that are as wanted; None when there is none."""
        found = [site for site in self.sites if wanted(site)]
        return draw.choice(found) if found else None

    def written(self, site: Site) -> str:
        """The text of the value in the file."""
        return self.text[site.node.span.start : site.node.span.end]

    def line_start(self, offset: int) -> int:
        """Where the line of an offset begins."""
        return self.text.rfind("\n", 0, offset) + 1

    def line_end(self, offset: int) -> int:
        """Where the text of the line ends, before its line break."""
        end = self.text.find("\n", offset)
        end = len(self.text) if end < 0 else end
        return end - 1 if self.text[end - 1 : end] == "\r" else end

    def next_line(self, offset: int) -> int:
        """Where the next line begins."""
        end = self.text.find("\n", offset)
        return len(self.text) if end < 0 else end + 1

    def starts_line(self, site: Site) -> bool:
        """Whether it is a key of a block with only blanks before it."""
        if site.key is None or site.in_flow:
            return False
        return not self.text[self.line_start(site.key.start) : site.key.start].strip()

    def is_first(self, site: Site) -> bool:
        """Whether it is the first key of its mapping."""
        assert site.parent.entries is not None and site.key is not None
        starts = [entry.key.start for entry in site.parent.entries.values()]
        return site.key.start == min(starts)

    def in_one_line(self, site: Site) -> bool:
        """True if key and a non-empty value are in one line."""
        if site.key is None or site.node.span.start == site.node.span.end:
            return False
        if site.node.style in ("|", ">"):
            return False
        return "\n" not in self.text[site.key.start : site.node.span.end]

    def is_alone(self, site: Site) -> bool:
        """Whether its line holds nothing else, so that the line can be taken out."""
        return self.starts_line(site) and self.in_one_line(site)

    def indent(self, site: Site) -> int:
        """Number of characters before a key that starts its line."""
        assert site.key is not None
        return site.key.start - self.line_start(site.key.start)

    def change(
        self, edit: Edit, *marks: int, exact: bool = True, more: Iterable[Edit] = ()
    ) -> Change:
        """Apply an edit, and more elsewhere.

        `marks` are offsets of the valid text: those after an edit move with the text,
        those where an edit begins stay. Without any, the edit's beginning is marked.
        """
        marks = marks or (edit.start,)
        edits = sorted([edit, *more], key=lambda each: each.start)
        text, done = "", 0
        for each in edits:
            text += self.text[done : each.start] + each.new
            done = each.end
        text += self.text[done:]
        return Change(text, tuple(_moved(mark, edits) for mark in marks), exact)


def _moved(mark: int, edits: list[Edit]) -> int:
    shift = 0
    for each in edits:
        if mark > each.start and mark >= each.end:
            shift += len(each.new) - (each.end - each.start)
    return mark + shift


Mutator: TypeAlias = Callable[[Subject, Random], Change | None]


def is_plain(site: Site) -> bool:
    """Whether the value is text without quotes."""
    return (
        site.node.is_scalar
        and site.node.style == ""
        and not site.node.is_alias
        and isinstance(site.node.value, str)
    )


def is_word(site: Site) -> bool:
    """Whether the value is text in one piece."""
    return isinstance(site.node.value, str) and not site.node.is_alias


def point(text: str, offset: int) -> tuple[int, int]:
    """Turn an offset into line and column, from 1."""
    return Source("", text).point(offset)


def placeholders(text: str) -> list[re.Match[str]]:
    """Find `${name}` in a text; escapes and the environment are left out."""
    return list(re.finditer(r"(?<!\$)\$\{([A-Za-z_]\w*)\}", text))


def mentions(subject: Subject, name: str) -> list[tuple[int, int]]:
    """Where the prompt names a tool."""
    start, end = subject.document.value_span(("prompt",))
    found = re.finditer(rf"\b{name}\b", subject.text[start:end])
    return [(start + each.start(), start + each.end()) for each in found]
