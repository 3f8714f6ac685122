"""Parses YAML into values of the JSON data model with the place of each key and value.

The only module that imports yaml. It reads the parser's events in one pass, without
recursion, and constructs no objects from tags.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from runner.config.diagnostics import Diagnostic, Related, diagnose, quoted
from runner.config.source import Source, Span
from runner.config.yaml.nodes import Entry, Node, NotJsonError, Pointer, resolve_plain
from runner.config.yaml.syntax import Message, ParserError, explain_syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from runner.config.source import Source


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document: its value (JSON data model) and the place of each part."""

    source: Source
    value: Any
    root: Node
    # Lines that were changed to recover from a syntax error; they have a finding.
    recovered_lines: frozenset[int] = frozenset()
    # False if the parser has no findings, as in most documents.
    has_faults: bool = True

    def node(self, path: Pointer) -> Node | None:
        """Returns the node at `path`, None when there is none."""
        node: Node | None = self.root
        for part in path:
            node = None if node is None else node.child(part)
        return node

    def is_broken(self, path: Pointer) -> bool:
        """True if the parser has a finding at `path` or above it."""
        node: Node | None = self.root
        for part in path:
            if node is None or node.is_broken:
                break
            node = node.child(part)
        return node is not None and node.is_broken

    def is_whole(self, path: Pointer) -> bool:
        """True if the parser has no finding at `path` or below it."""
        waiting = [self.node(path)] if self.has_faults else []
        while waiting:
            node = waiting.pop()
            if node is None or node.is_broken:
                return False
            waiting += [entry.node for entry in (node.entries or {}).values()]
            waiting += node.items or ()
        return True

    def value_span(self, path: Pointer) -> Span:
        """Returns the place of the value at `path`, or of its key if it is empty."""
        node = self.node(path)
        if node is None:
            return self.start_span(path[:-1]) if path else Span(0, 0)
        if node.head.start == node.head.end and path and isinstance(path[-1], str):
            return self.key_span(path)
        return node.head

    def key_span(self, path: Pointer) -> Span:
        """Returns the place of the last key of `path`, or of the item for an index."""
        parent = self.node(path[:-1])
        last = path[-1] if path else None
        if parent is not None and parent.entries and isinstance(last, str):
            entry = parent.entries.get(last)
            if entry is not None:
                return entry.key
        node = self.node(path)
        return node.head if node else self.start_span(path[:-1])

    def start_span(self, path: Pointer) -> Span:
        """Returns the start of the mapping at `path`: its first key or its brace."""
        node = self.node(path)
        return node.head if node else Span(0, 0)

    def part_span(self, path: Pointer, start: int, end: int) -> Span:
        """Returns the place of a part of the text at `path`, given by its offsets.

        Returns the place of the whole text if the file does not hold the part
        literally: through an alias, with escapes, across folded lines.
        """
        node = self.node(path)
        whole = self.value_span(path)
        if node is None or node.is_alias or not isinstance(node.value, str):
            return whole
        part = node.value[start:end].partition("\n")[0]
        if not part:
            return whole
        first, last = node.span
        written = self.source.text[first:last]
        if node.style in ("|", ">"):  # the header line may carry a comment
            header = len(written) - len(written.split("\n", 1)[-1])
            first, written = first + header, written[header:]
        # Of several equal parts, the one with the same index.
        if written.count(part) != node.value.count(part):
            return whole
        at = written.find(part)
        for _ in range(node.value.count(part, 0, start)):
            at = written.find(part, at + len(part))
        return Span(first + at, first + at + len(part))

    def related(self, path: Pointer) -> tuple[Related, ...]:
        """Returns the places of aliases and anchors that the value at `path` uses."""
        found: list[Related] = []
        node: Node | None = self.root
        for part in path:
            if node is None:
                break
            entry = (node.entries or {}).get(str(part))
            node = node.child(part)
            if entry is not None and entry.origin is not None:
                found += self._two_places("<<", entry.key, entry.origin)
            if node is not None and node.origin is not None:
                name = self.source.text[node.span.start : node.span.end]
                found += self._two_places(name, node.span, node.origin)
        return tuple(found)

    def scalar_ends(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Returns the end of each scalar by its start (line, column; 1-based)."""
        point = self.source.point
        ends: dict[tuple[int, int], tuple[int, int]] = {}
        nodes = [self.root]
        while nodes:
            node = nodes.pop()
            if node.is_alias:
                continue
            if node.is_scalar:
                ends[point(node.span.start)] = point(node.span.end)
            entries = (node.entries or {}).values()
            nodes += [each.node for each in entries if each.node and not each.origin]
            nodes += node.items or []
        return ends

    def _two_places(self, name: str, here: Span, there: Span) -> list[Related]:
        used, defined = self.source.point(here.start), self.source.point(there.start)
        return [
            Related(*used, f"used here by `{name}`"),
            Related(*defined, "defined here"),
        ]


# Help for an empty file or one that is not a mapping.
AGENT_BEGINNING = "begin with `version: 1`, a `name` and a `prompt`"


def parse_document(
    source: Source, *, recover: bool = True, beginning: str = AGENT_BEGINNING
) -> tuple[Document | None, list[Diagnostic]]:
    """Parses one YAML document; None if the text cannot be parsed to its end.

    Recovers from syntax errors where `recovery` can, unless `recover` is false.
    `beginning` is the help for an empty file.
    """
    builder = TreeBuilder(source, beginning)
    text, origins = _join_surrogates(source.text)
    try:
        root = _build(text, builder, origins)
    except ParseAborted:
        return None, builder.findings
    except yaml.MarkedYAMLError as error:
        syntax_error = _to_parser_error(error, len(source.text))
        if recover:
            return _recover(source, syntax_error, builder.findings, beginning)
        fault = explain_syntax(source.text, syntax_error)
        return None, [*builder.findings, _syntax_finding(source, *fault)]
    except yaml.YAMLError:  # of the reader, without a mark; `read_source` is stricter
        message = "the text has a character that YAML does not allow"
        found = diagnose(source, Span(0, 0), "VA108", message)
        return None, [*builder.findings, found]
    has_faults = bool(builder.findings)
    document = Document(source, root.value, root, has_faults=has_faults)
    return document, builder.findings


# As JSON writes a character beyond U+FFFF; YAML reads one escape for it.
_PAIR = re.compile(
    r"(?<!\\)\\u([dD][89abAB][0-9a-fA-F]{2})\\u([dD][c-fC-F][0-9a-fA-F]{2})"
)
_QUOTED_REST = re.compile(r'(?:[^"\\]|\\.)*"?', re.DOTALL)
_MAX_JOINED_TEXTS = 20  # outside JSON; each is one more parse


def _is_json(text: str) -> bool:
    """True if all strings of a text are in double quotes."""
    if not text.lstrip().startswith(("{", "[")):
        return False
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _join_surrogates(text: str) -> tuple[str, Sequence[int] | None]:
    """Replaces surrogate pairs in double quotes by `\\U` escapes.

    Returns the text and the offset of each of its characters in the old text, None
    without pairs. Where the quotes are is known by the parser's error only.
    """
    if _PAIR.search(text) is None:
        return text, None
    origins = [*range(len(text) + 1)]
    for _ in range(_MAX_JOINED_TEXTS):
        error = first_error(text)
        if error is None or "invalid Unicode character escape" not in error.problem:
            break
        start = text.rfind("\\", 0, error.at + 1)
        rest = _QUOTED_REST.match(text, start)
        end = rest.end() if rest and not _is_json(text) else len(text)
        pairs = [*_PAIR.finditer(text, start, end)]
        if not pairs or pairs[0].start() != start:
            break
        parts, places, done = [], list[int](), 0
        for found in pairs:
            high, low = (int(each, 16) for each in found.groups())
            code = 0x10000 + ((high - 0xD800) << 10) + (low - 0xDC00)
            parts += [text[done : found.start()], f"\\U{code:08x}"]
            places += origins[done : found.start() + len(parts[-1])]
            done = found.end()
        text = "".join(parts) + text[done:]
        origins = places + origins[done:]
    return text, origins


def _recover(
    source: Source, syntax_error: ParserError, before: list[Diagnostic], beginning: str
) -> tuple[Document | None, list[Diagnostic]]:
    from runner.config.yaml.recovery import recover  # for broken files only

    recovered = recover(source.text, syntax_error, first_error)
    faults = [_syntax_finding(source, *each) for each in recovered.errors]
    if recovered.text is None:
        # Findings below the error may be a consequence of it.
        sure = [each for each in before if each.line < min(faults).line]
        return None, [*sure, *faults]
    builder = TreeBuilder(source, beginning)
    try:
        root = _build(recovered.text, builder, recovered.origins)
    except ParseAborted:
        return None, faults
    # Findings about recovered lines would often be about the recovery.
    recovered_lines = frozenset(source.point(each)[0] for each in recovered.offsets)
    found = [each for each in builder.findings if each.line not in recovered_lines]
    return Document(source, root.value, root, recovered_lines), [*faults, *found]


def first_error(text: str) -> ParserError | None:
    """Returns the first syntax error of a text, None without one."""
    try:
        for _ in _events(text):
            pass
    except yaml.MarkedYAMLError as error:
        return _to_parser_error(error, len(text))
    return None


def _build(text: str, builder: TreeBuilder, origins: Sequence[int] | None) -> Node:
    for event in _events(text):
        start, end = event.start_mark.index, event.end_mark.index
        if origins is not None:
            start, end = origins[start], origins[end]
        _pass_on(event, Span(start, end), builder)
    return builder.finish()


# PyYAML's events and parsers are only partly typed.
def _events(text: str) -> Iterator[Any]:
    parser = _new_parser(text)
    while parser.check_event():
        yield parser.get_event()


def _new_parser(text: str) -> Any:
    try:
        # libyaml is about ten times as fast; wheels include it, some builds do not.
        from yaml import cyaml
    except ImportError:
        return _PurePythonParser(text)
    parser: Any = cyaml  # the stub does not list CParser
    return parser.CParser(text)


class _PurePythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """The parser of PyYAML in Python, with the same events at the same places."""

    def __init__(self, text: str) -> None:
        yaml.reader.Reader.__init__(self, text)
        yaml.scanner.Scanner.__init__(self)
        yaml.parser.Parser.__init__(self)


def _pass_on(event: Any, span: Span, builder: TreeBuilder) -> None:
    match event:
        case yaml.ScalarEvent():
            plain = event.implicit[0]
            builder.scalar(
                event.value, span, event.style or "", event.tag, plain, event.anchor
            )
        case yaml.MappingStartEvent():
            flow = bool(event.flow_style)
            builder.begin_mapping(span, flow, event.tag, event.anchor)
        case yaml.SequenceStartEvent():
            flow = bool(event.flow_style)
            builder.begin_list(span, flow, event.tag, event.anchor)
        case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
            builder.end(span.end)
        case yaml.AliasEvent():
            builder.alias(str(event.anchor), span)
        case yaml.DocumentStartEvent():
            builder.begin_document(span)


def _to_parser_error(error: yaml.MarkedYAMLError, length: int) -> ParserError:
    # The stub of PyYAML omits that a mark may be None or of libyaml.
    marks: list[Any] = [error.problem_mark, error.context_mark]
    problem, context = (min(mark.index, length) if mark else None for mark in marks)
    at = problem or 0
    return ParserError(
        error.problem or "", error.context or "", at, at if context is None else context
    )


def _syntax_finding(source: Source, at: int, text: Message) -> Diagnostic:
    return diagnose(source, Span(at, at), "VA101", text.message, text.help)


# Aliases are shared and counted as if they were expanded, so that a "billion laughs"
# file is refused before the tree is walked.

# Deeper than any agent file, shallow enough that checks may recurse.
MAX_DEPTH = 32
# Characters of a file with its aliases expanded. Each value counts 100 more than its
# text, which limits a file to 40,000 values.
MAX_EXPANDED = 4_000_000
_VALUE_COST = 100

_TAG = "tag:yaml.org,2002:"
_COLLECTION_TAGS = (None, "!", f"{_TAG}map", f"{_TAG}seq")
_SCALAR_TAGS = {f"{_TAG}{name}": name for name in ("null", "bool", "int", "float")}
_KINDS = {type(None): "null", bool: "bool", int: "int", float: "float"}


class ParseAborted(Exception):
    """Raised to stop parsing; a finding gives the reason."""


@dataclass(slots=True)
class _Open:
    """A collection that has not ended yet."""

    node: Node
    anchor: str | None
    key: Entry | None = None  # the key whose value comes next
    merges: list[tuple[Span, Node]] = field(default_factory=list)


class TreeBuilder:
    """Builds the tree of nodes from parser events; `finish` returns the root."""

    def __init__(self, source: Source, beginning: str) -> None:
        self.findings: list[Diagnostic] = []
        self._beginning = beginning  # help for an empty file
        self._source = source
        self._open: list[_Open] = []
        self._anchors: dict[str, Node] = {}
        self._size = 0
        self._root: Node | None = None

    def begin_document(self, span: Span) -> None:
        """Starts a document; raises `ParseAborted` at the second one."""
        if self._root is not None:
            help_ = "move it to its own file"
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
        """Adds a scalar; `plain` is True if its text determines its type."""
        node = Node(text, self._without_properties(span), style)
        node.weight = _VALUE_COST + len(text)
        try:
            if tag is None:
                # A lone `!` means text, but libyaml drops it for some scalars.
                written = self._source.text[span.start : node.span.start].split()
                if plain and style == "" and "!" not in written:
                    node.value = resolve_plain(text)
            elif tag in _SCALAR_TAGS:
                self._force(node, _SCALAR_TAGS[tag])
            elif tag not in (f"{_TAG}str", "!"):
                self._refuse_tag(node, tag, span)
        except NotJsonError:
            shown = quoted(text)[1:-1]
            message = f"{shown} is not a number that JSON supports"
            self._break(node, "VA105", message, "put it in quotes to make it text")
        self._add(node, anchor)

    def begin_mapping(
        self, span: Span, flow: bool, tag: str | None, anchor: str | None
    ) -> None:
        """Starts a mapping."""
        self._begin(Node({}, span, "{" if flow else "", entries={}), tag, anchor)

    def begin_list(
        self, span: Span, flow: bool, tag: str | None, anchor: str | None
    ) -> None:
        """Starts a list."""
        self._begin(Node([], span, "{" if flow else "", items=[]), tag, anchor)

    def end(self, offset: int) -> None:
        """Ends the innermost collection."""
        top = self._open.pop()
        top.node.close(offset, self._source.text)
        for span, merged in top.merges:
            self._merge(top.node, span, merged)
        self._add(top.node, top.anchor)

    def alias(self, name: str, span: Span) -> None:
        """Adds the alias `*name`."""
        target = self._anchors.get(name)
        shown = quoted(name)[1:-1]
        if target is None or target.is_open:
            node = Node(None, span, is_broken=True, is_alias=True)
            if target is None:
                what, help_ = "is not defined", f"define `&{shown}` before it"
            else:
                what, help_ = "contains itself", "replace the inner one by its value"
            self._report("VA112", span, f"`*{shown}` {what}", help_)
        else:
            node = target.alias(span)
            self._check_depth(node.depth, span)
        self._add(node, None)

    def finish(self) -> Node:
        """Returns the root; raises `ParseAborted` for an empty document."""
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
        """Applies an explicit tag such as `!!int`; reports one that does not match."""
        value = resolve_plain(str(node.value))
        if kind == "float" and type(value) is int:
            value = float(value)
        if _KINDS.get(type(value)) != kind:
            shown = quoted(node.value)
            message = f"{shown} does not match its tag `!!{kind}`"
            self._break(node, "VA104", message, "remove the tag")
        else:
            node.value = value

    def _refuse_tag(self, node: Node, tag: str, whole: Span) -> None:
        node.is_broken = True
        node.value = None
        shown = quoted(tag.replace(_TAG, "!!"))[1:-1]
        text = self._source.text[whole.start : node.span.start].rstrip()
        span = Span(whole.start, whole.start + len(text))
        help_ = "remove the tag"
        self._report("VA104", span, f"the tag `{shown}` is not allowed", help_)

    def _break(self, node: Node, rule: str, message: str, help_: str) -> None:
        node.is_broken = True
        node.value = None
        self._report(rule, node.span, message, help_)

    def _check_depth(self, more: int, span: Span) -> None:
        if len(self._open) + more > MAX_DEPTH:
            message = f"values are nested more than {MAX_DEPTH} deep"
            self._report("VA110", span, message, "reduce the nesting")
            raise ParseAborted

    def _add(self, node: Node, anchor: str | None) -> None:
        """Adds a finished node as root, item, key or value."""
        node.is_open = False
        if anchor:
            self._anchors[anchor] = node
        self._count(node)
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

    def _count(self, node: Node) -> None:
        # The parts of a collection were counted one by one, except those of an alias.
        again = node.is_alias or node.is_scalar
        self._size += node.weight if again else _VALUE_COST
        if self._size > MAX_EXPANDED:
            message = "the file is too large with its aliases expanded"
            most = MAX_EXPANDED // _VALUE_COST
            help_ = f"use at most {most:,} keys and values"
            self._report("VA110", node.span, message, help_)
            raise ParseAborted

    def _key(self, mapping: Node, node: Node) -> Entry:
        if node.value == "<<" and node.style == "" and not node.is_alias:
            return Entry("<<", node.head, is_merge=True)
        is_text = isinstance(node.value, str)
        name = node.value if is_text else self._report_key(node)
        entry = Entry(name, node.head, is_broken=not is_text)
        previous = mapping.entries.get(name) if mapping.entries else None
        if previous is not None:
            line, _ = self._source.point(previous.key.start)
            message = f"duplicate key `{quoted(name)[1:-1]}`"
            self._report("VA102", node.head, message, f"it is already in line {line}")
            entry.is_repeated = True
        return entry

    def _report_key(self, node: Node) -> str:
        """Reports a key that is not text; returns its text in the file."""
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
        """Returns the place of a node without the anchor and tag before it."""
        start, end = span
        text = self._source.text
        while start < end and text[start] in "&!":
            while start < end and not text[start].isspace():
                start += 1
            while start < end and text[start].isspace():
                start += 1
        return Span(start, end)
