"""Builds the tree of nodes from what the YAML parser says, and checks it on the way.

Aliases are shared and counted as if they were written out, so that a "billion laughs"
file is refused before anything walks it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.config.diagnostics import Diagnostic, diagnose, quoted
from runner.config.scalars import NotJsonError, resolve_plain
from runner.config.source import Span
from runner.config.yaml.nodes import Entry, Node

if TYPE_CHECKING:
    from runner.config.source import Source

# Deeper than any agent file, shallow enough that checks may recurse.
MAX_DEPTH = 32
# What a file may come to with its aliases written out, in characters; a value counts
# a hundred more than its text, which bounds their number at 40,000.
MAX_EXPANDED = 4_000_000
_VALUE_COST = 100

_TAG = "tag:yaml.org,2002:"
_COLLECTION_TAGS = (None, "!", f"{_TAG}map", f"{_TAG}seq")
_SCALAR_TAGS = {f"{_TAG}{name}": name for name in ("null", "bool", "int", "float")}
_KINDS = {type(None): "null", bool: "bool", int: "int", float: "float"}


class ParseAborted(Exception):
    """The rest of the text is not worth reading; a finding says why."""


@dataclass(slots=True)
class _Open:
    """A collection whose end has not come yet."""

    node: Node
    anchor: str | None
    key: Entry | None = None  # the key that waits for its value
    merges: list[tuple[Span, Node]] = field(default_factory=list)


class TreeBuilder:
    """Takes what a document consists of, in order; `finish` returns the root."""

    def __init__(self, source: Source, beginning: str) -> None:
        self.findings: list[Diagnostic] = []
        self._beginning = beginning  # how to begin a file that is empty
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._spent = 0
        self._root: Node | None = None

    def begin_document(self, span: Span) -> None:
        """Take the beginning of a document; raises `ParseAborted` at the second."""
        if self._root is not None:
            help_ = "one file holds one document; move the rest to its own"
            self._report("VA106", span, "a second document begins here", help_)
            raise ParseAborted

    def scalar(
        self,
        text: str,
        span: Span,
        style: str,
        tag: str | None,
        plain: bool,
        anchor: str | None,
    ) -> None:
        """Take a scalar; `plain` says that its text decides what it is."""
        node = Node(text, self._without_properties(span), style)
        node.weight = _VALUE_COST + len(text)
        try:
            if tag is None:
                # A lone `!` says "text", but for some scalars it is passed on as none.
                written = self._source.text[span.start : node.span.start].split()
                if plain and style == "" and "!" not in written:
                    node.value = resolve_plain(text)
            elif tag in _SCALAR_TAGS:
                self._force(node, _SCALAR_TAGS[tag])
            elif tag not in (f"{_TAG}str", "!"):
                self._refuse_tag(node, tag, span)
        except NotJsonError:
            shown = quoted(text)[1:-1]
            message = f"{shown} is not a number that JSON can say"
            self._break(node, "VA105", message, "put it in quotes to make it text")
        self._add(node, anchor)

    def begin_mapping(
        self, span: Span, flow: bool, tag: str | None, anchor: str | None
    ) -> None:
        """Take the beginning of a mapping."""
        self._begin(Node({}, span, "{" if flow else "", entries={}), tag, anchor)

    def begin_list(
        self, span: Span, flow: bool, tag: str | None, anchor: str | None
    ) -> None:
        """Take the beginning of a list."""
        self._begin(Node([], span, "{" if flow else "", items=[]), tag, anchor)

    def end(self, offset: int) -> None:
        """Take the end of the innermost collection."""
        top = self._open.pop()
        top.node.close(offset, self._source.text)
        for span, merged in top.merges:
            self._merge(top.node, span, merged)
        self._add(top.node, top.anchor)

    def alias(self, name: str, span: Span) -> None:
        """Take `*name`."""
        target = self._anchors.get(name)
        shown = quoted(name)[1:-1]
        if target is None or target.is_open:
            node = Node(None, span, is_broken=True, is_alias=True)
            if target is None:
                what, help_ = "stands for nothing", f"define `&{shown}` before it"
            else:
                what, help_ = "contains itself", "write the inner one out"
            self._report("VA112", span, f"`*{shown}` {what}", help_)
        else:
            node = target.alias(span)
            self._check_depth(node.depth, span)
        self._add(node, None)

    def finish(self) -> Node:
        """Return the root; raises `ParseAborted` when there was nothing."""
        if self._root is None:
            self._report("VA107", Span(0, 0), "the file is empty", self._beginning)
            raise ParseAborted
        return self._root

    def _report(self, rule: str, span: Span, message: str, help_: str | None) -> None:
        self.findings.append(diagnose(self._source, span, rule, message, help_))

    def _begin(self, node: Node, tag: str | None, anchor: str | None) -> None:
        whole = node.span
        node.span = self._without_properties(whole)
        node.weight = _VALUE_COST
        if tag is not None and tag not in _COLLECTION_TAGS:
            self._refuse_tag(node, tag, whole)
        self._check_depth(1, node.span)
        self._open.append(_Open(node, anchor))
        if anchor:
            self._anchors[anchor] = node
            node.is_open = True

    def _force(self, node: Node, kind: str) -> None:
        """Obey an explicit tag such as `!!int`, where the text allows it."""
        value = resolve_plain(str(node.value))
        if kind == "float" and type(value) is int:
            value = float(value)
        if _KINDS.get(type(value)) != kind:
            shown = quoted(node.value)
            message = f"{shown} is not what its tag `!!{kind}` says"
            self._break(node, "VA104", message, "remove the tag")
        else:
            node.value = value

    def _refuse_tag(self, node: Node, tag: str, whole: Span) -> None:
        node.is_broken = True
        node.value = None
        shown = quoted(tag.replace(_TAG, "!!"))[1:-1]
        text = self._source.text[whole.start : node.span.start].rstrip()
        span = Span(whole.start, whole.start + len(text))
        help_ = "the file holds plain data; remove the tag"
        self._report("VA104", span, f"the tag `{shown}` is not allowed", help_)

    def _break(self, node: Node, rule: str, message: str, help_: str) -> None:
        node.is_broken = True
        node.value = None
        self._report(rule, node.span, message, help_)

    def _check_depth(self, more: int, span: Span) -> None:
        if len(self._open) + more > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            self._report("VA110", span, message, "no field needs that")
            raise ParseAborted

    def _add(self, node: Node, anchor: str | None) -> None:
        """Hang a finished node where it belongs: root, item, key or value."""
        node.is_open = False
        if anchor:
            self._anchors[anchor] = node
        self._spend(node)
        if not self._open:
            self._root = node
            return
        top = self._open[-1]
        if top.node.items is not None:
            top.node.append(node)
        elif top.key is None:
            top.key = self._key(top.node, node)
        else:
            key, top.key = top.key, None
            if key.is_merge:
                top.merges.append((key.key, node))
            elif not key.is_repeated:
                top.node.put(key, node)

    def _spend(self, node: Node) -> None:
        # The parts of a collection were paid for one by one, unless it comes in again
        # through an alias.
        again = node.is_alias or node.is_scalar
        self._spent += node.weight if again else _VALUE_COST
        if self._spent > MAX_EXPANDED:
            message = "with its aliases written out the file holds too much"
            most = MAX_EXPANDED // _VALUE_COST
            help_ = f"a file has at most {most:,} keys and values"
            self._report("VA110", node.span, message, help_)
            raise ParseAborted

    def _key(self, mapping: Node, node: Node) -> Entry:
        if node.value == "<<" and node.style == "" and not node.is_alias:
            return Entry("<<", node.head, is_merge=True)
        is_text = isinstance(node.value, str)
        name = node.value if is_text else self._odd_key(node)
        entry = Entry(name, node.head, is_broken=not is_text)
        previous = mapping.entries.get(name) if mapping.entries else None
        if previous is not None:
            line, _ = self._source.point(previous.key.start)
            message = f"`{quoted(name)[1:-1]}` is here twice"
            self._report("VA102", node.head, message, f"the first is in line {line}")
            entry.is_repeated = True
        return entry

    def _odd_key(self, node: Node) -> str:
        """Report a key that is no text, and return what stands for it."""
        text = self._source.text[node.span.start : node.span.end]
        if not node.is_broken:
            message = f"the key `{quoted(text)[1:-1]}` is not text"
            self._report("VA103", node.head, message, "put it in quotes")
        return text

    def _merge(self, into: Node, span: Span, merged: Node) -> None:
        for each in [merged] if merged.items is None else merged.items:
            if each.is_broken:
                continue
            if each.entries is None:
                message = "`<<` takes a mapping or a list of mappings"
                help_ = "write `<<: *name`, where `&name` marks a mapping"
                self._report("VA111", span, message, help_)
                continue
            for entry in each.entries.values():
                into.inherit(entry, span)

    def _without_properties(self, span: Span) -> Span:
        """The place of a node without the anchor and tag before it."""
        start, end = span
        text = self._source.text
        while start < end and text[start] in "&!":
            while start < end and not text[start].isspace():
                start += 1
            while start < end and text[start].isspace():
                start += 1
        return Span(start, end)
