"""YAML text to a value of JSON's data model and the place of every key and value.

The only file that imports yaml. It reads the parser's events in one pass, without
recursion, and constructs nothing from tags.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from runner.config.diagnostics import Diagnostic, Related, diagnose
from runner.config.source import Source, Span
from runner.config.tree import ParseAborted, TreeBuilder
from runner.config.yaml.nodes import Node, Pointer
from runner.config.yaml.syntax import Message, ParserError, explain_syntax

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@dataclass(frozen=True, slots=True)
class Document:
    """A YAML document as `value` (JSON's data model) with places for all of it."""

    source: Source
    value: Any
    root: Node
    # Lines that were read otherwise than they stand there; a finding says why.
    mended: frozenset[int] = frozenset()
    # Whether there is a finding about any of it; most documents have none.
    has_faults: bool = True

    def node(self, path: Pointer) -> Node | None:
        """Return the node at `path`, None when there is none."""
        node: Node | None = self.root
        for part in path:
            node = None if node is None else node.child(part)
        return node

    def is_broken(self, path: Pointer) -> bool:
        """Whether `path` is, or is below, something that already has a finding."""
        node: Node | None = self.root
        for part in path:
            if node is None or node.is_broken:
                break
            node = node.child(part)
        return node is not None and node.is_broken

    def is_whole(self, path: Pointer) -> bool:
        """Whether nothing at `path` or below it has a finding of the parser."""
        waiting = [self.node(path)] if self.has_faults else []
        while waiting:
            node = waiting.pop()
            if node is None or node.is_broken:
                return False
            waiting += [entry.node for entry in (node.entries or {}).values()]
            waiting += node.items or ()
        return True

    def value_span(self, path: Pointer) -> Span:
        """The place of the value at `path`; of its key where the value is empty."""
        node = self.node(path)
        if node is None:
            return self.start_span(path[:-1]) if path else Span(0, 0)
        if node.head.start == node.head.end and path and isinstance(path[-1], str):
            return self.key_span(path)
        return node.head

    def key_span(self, path: Pointer) -> Span:
        """The place of the key that `path` ends with; of the item for a list's."""
        parent = self.node(path[:-1])
        last = path[-1] if path else None
        if parent is not None and parent.entries and isinstance(last, str):
            entry = parent.entries.get(last)
            if entry is not None:
                return entry.key
        node = self.node(path)
        return node.head if node else self.start_span(path[:-1])

    def start_span(self, path: Pointer) -> Span:
        """Where the mapping at `path` begins: its first key, or its brace."""
        node = self.node(path)
        return node.head if node else Span(0, 0)

    def part_span(self, path: Pointer, start: int, end: int) -> Span:
        """The place of characters of the text at `path`, by offsets into it.

        The whole text's where the file does not say it letter by letter: through an
        alias, with escapes, across folded lines.
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
        # The same part may be there more often: the one of the same rank is meant.
        if written.count(part) != node.value.count(part):
            return whole
        at = written.find(part)
        for _ in range(node.value.count(part, 0, start)):
            at = written.find(part, at + len(part))
        return Span(first + at, first + at + len(part))

    def related(self, path: Pointer) -> tuple[Related, ...]:
        """The other places that the value at `path` comes through: alias and anchor."""
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
        """Where each scalar that is written out ends, by where it begins (1-based)."""
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


# How to begin a file, for those that hold nothing or no mapping.
AGENT_BEGINNING = "begin with `version: 1`, a `name` and a `prompt`"


def parse_document(
    source: Source, *, recover: bool = True, beginning: str = AGENT_BEGINNING
) -> tuple[Document | None, list[Diagnostic]]:
    """Read one YAML document; None when the text could not be read to its end.

    After a syntax error the text is read as it was probably meant (`recovery` says
    when), unless `recover` is false. `beginning` tells how to begin an empty file.
    """
    builder = TreeBuilder(source, beginning)
    try:
        root = _build(source.text, builder, None)
    except ParseAborted:
        return None, builder.findings
    except yaml.MarkedYAMLError as error:
        complaint = _complaint(error, len(source.text))
        if recover:
            return _recover(source, complaint, builder.findings, beginning)
        fault = explain_syntax(source.text, complaint)
        return None, [*builder.findings, _syntax_finding(source, *fault)]
    except yaml.YAMLError:  # the reader's, which has no mark; `read_source` is stricter
        message = "the text holds a character that YAML does not allow"
        found = diagnose(source, Span(0, 0), "VA108", message)
        return None, [*builder.findings, found]
    has_faults = bool(builder.findings)
    document = Document(source, root.value, root, has_faults=has_faults)
    return document, builder.findings


def _recover(
    source: Source, complaint: ParserError, before: list[Diagnostic], beginning: str
) -> tuple[Document | None, list[Diagnostic]]:
    from runner.config.yaml.recovery import recover  # for broken files only

    recovered = recover(source.text, complaint, first_error)
    faults = [_syntax_finding(source, *each) for each in recovered.faults]
    if recovered.text is None:
        # What was found below the fault may come of it.
        sure = [each for each in before if each.line < min(faults).line]
        return None, [*sure, *faults]
    builder = TreeBuilder(source, beginning)
    try:
        root = _build(recovered.text, builder, recovered.origins)
    except ParseAborted:
        return None, faults
    # What is said about a mended line would often be about the mending.
    mended = frozenset(source.point(each)[0] for each in recovered.offsets)
    found = [each for each in builder.findings if each.line not in mended]
    return Document(source, root.value, root, mended), [*faults, *found]


def first_error(text: str) -> ParserError | None:
    """Return the parser's first complaint about a text."""
    try:
        for _ in _events(text):
            pass
    except yaml.MarkedYAMLError as error:
        return _complaint(error, len(text))
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
        # libyaml is about ten times as fast; wheels carry it, some builds do not.
        from yaml import cyaml
    except ImportError:
        return _PurePythonParser(text)
    parser: Any = cyaml  # the stub does not list CParser
    return parser.CParser(text)


class _PurePythonParser(yaml.reader.Reader, yaml.scanner.Scanner, yaml.parser.Parser):
    """PyYAML's own parser, which gives the same events at the same places."""

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


def _complaint(error: yaml.MarkedYAMLError, length: int) -> ParserError:
    # PyYAML's stub leaves out that a mark may be libyaml's or none.
    marks: list[Any] = [error.problem_mark, error.context_mark]
    problem, context = (min(mark.index, length) if mark else None for mark in marks)
    at = problem or 0
    return ParserError(
        error.problem or "", error.context or "", at, at if context is None else context
    )


def _syntax_finding(source: Source, at: int, words: Message) -> Diagnostic:
    return diagnose(source, Span(at, at), "VA101", words.message, words.help)
