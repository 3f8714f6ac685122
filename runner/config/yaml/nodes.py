"""A YAML value with its place; what `document` is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from runner.config.source import Span

# From the root: keys of mappings and indexes of lists.
Pointer: TypeAlias = tuple[str | int, ...]


@dataclass(slots=True)
class Entry:
    """A key of a mapping, and once it has come, its value."""

    name: str
    key: Span
    node: Node | None = None
    is_merge: bool = False  # `<<`
    is_repeated: bool = False  # the mapping has it already: its value is dropped
    is_broken: bool = False  # it is no text
    origin: Span | None = None  # where the key stands that `<<` brought here


@dataclass(slots=True)
class Node:
    """One value and where it stands; `value` is shared with the value above it.

    A mapping has `entries`, a list has `items`, a scalar has neither.
    """

    value: Any
    span: Span
    style: str = ""  # "", a quote, "|" or ">" for a scalar; "{" for a flow collection
    entries: dict[str, Entry] | None = None
    items: list[Node] | None = None
    is_broken: bool = False  # has a finding; `value` stands in for what is not known
    is_alias: bool = False
    origin: Span | None = None  # of an alias: where what it stands for is
    is_open: bool = False  # anchored and not yet closed
    weight: int = 0  # characters with aliases written out
    depth: int = 1

    @property
    def is_scalar(self) -> bool:
        """Whether it is neither a mapping nor a list."""
        return self.entries is None and self.items is None

    @property
    def head(self) -> Span:
        """What to point at: a scalar itself, but only the beginning of a collection."""
        if self.is_alias or self.is_scalar:
            return self.span
        if self.style != "{" and self.entries:
            first = next(iter(self.entries.values())).key
            if first.start == self.span.start:
                return first
        return Span(self.span.start, min(self.span.start + 1, self.span.end))

    def child(self, part: str | int) -> Node | None:
        """Return the node below a key or an index, None when there is none."""
        if isinstance(part, str):
            entry = self.entries.get(part) if self.entries else None
            return entry.node if entry else None
        if self.items is not None and 0 <= part < len(self.items):
            return self.items[part]
        return None

    def append(self, node: Node) -> None:
        """Add a list's item."""
        assert self.items is not None
        self.items.append(node)
        if not self.is_broken:
            self.value.append(node.value)
        self._grow(node)

    def put(self, entry: Entry, node: Node) -> None:
        """Add a mapping's key and value."""
        assert self.entries is not None
        entry.node = node
        if entry.is_broken:
            node.is_broken = True
        self.entries[entry.name] = entry
        if not self.is_broken:
            self.value[entry.name] = node.value
        self._grow(node)

    def inherit(self, entry: Entry, merge: Span) -> None:
        """Take a key over from a merged mapping, unless this one has its own.

        `merge` is the place of the `<<`: a key that is wrong here may be right there.
        """
        assert self.entries is not None
        if entry.name not in self.entries and entry.node is not None:
            origin = entry.origin or entry.key
            self.put(Entry(entry.name, merge, origin=origin), entry.node)

    def alias(self, span: Span) -> Node:
        """Return the same value as it appears through `*name` at `span`."""
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
        """Set the end of a collection; a block's is reported at the next token."""
        while end > self.span.start and text[end - 1].isspace():
            end -= 1
        self.span = Span(self.span.start, end)

    def _grow(self, node: Node) -> None:
        self.weight += node.weight
        self.depth = max(self.depth, node.depth + 1)
