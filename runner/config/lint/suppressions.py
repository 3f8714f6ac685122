"""Comments of an agent file that silence findings: `# vagent: ignore[VA501] reason`.

A comment is about the line that it ends, and about what begins there (a block of text,
a prompt file, a file of tools); on a line of its own it is about the next line. Only
warnings can be silenced: an error would stop the run anyway.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from runner.config.diagnostics import Diagnostic, Edit, Fix, diagnose
from runner.config.source import Span
from runner.config.spelling import nearest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from runner.config.source import Source
    from runner.config.yaml.nodes import Node
    from runner.config.yaml.parser import Document

_MARK = "vagent: ignore"
_COMMENT = r"(?<!\S)#[ \t]*vagent: ignore(?:\[([^\]\r\n]*)\])?[^\r\n]*"
_IDENTIFIER = r"[^\s,]+"
_LINE_END = r"\r\n|\n|\r|$"


@dataclass(slots=True)
class Suppression:
    """One comment: what it silences (rule id -> its place), and in which lines."""

    span: Span  # of the whole comment
    rules: dict[str, Span]
    lines: range
    used: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    def covers(self, found: Diagnostic, lines: Iterable[int]) -> bool:
        """True if it is about this finding; `lines` are the lines of the finding."""
        return found.rule in self.rules and any(line in self.lines for line in lines)


class Suppressions:
    """All such comments of a file; `apply` may be called once.

    `references` are the lines of the agent file that name another file, by that file's
    path: a finding about it is reported there. `rules` are those that there are.
    """

    def __init__(
        self,
        source: Source,
        comments: list[Suppression],
        references: Mapping[str, set[int]],
        rules: Collection[str],
    ) -> None:
        self._source = source
        self._rules = rules
        self._comments = comments
        self._references = references

    def apply(self, findings: Iterable[Diagnostic]) -> Iterator[Diagnostic]:
        """Yields the findings that are not silenced, then those about the comments."""
        for found in findings:
            lines = self._references.get(found.path, {found.line})
            covering = [each for each in self._comments if each.covers(found, lines)]
            for each in covering:
                (each.refused if found.is_error else each.used).add(found.rule)
            if found.is_error or not covering:
                yield found
        for each in self._comments:
            yield from self._judge(each)

    def _judge(self, comment: Suppression) -> Iterator[Diagnostic]:
        if not comment.rules:
            help_ = "write # vagent: ignore[VA501] and why"
            message = "this comment names no rule, so it ignores nothing"
            yield self._warn(comment.span, "VA114", message, help_)
        for rule, span in comment.rules.items():
            if rule not in self._rules:
                guess = nearest(rule.lower(), [each.lower() for each in self._rules])
                meant = f"did you mean `{guess.upper()}`?" if guess else None
                yield self._warn(span, "VA114", f"unknown rule `{rule}`", meant)
            elif rule in comment.refused:
                message = f"`{rule}` finds an error here, which cannot be ignored"
                help_ = "it would stop a run; only warnings can be ignored"
                yield self._warn(span, "VA114", message, help_)
            elif rule not in comment.used:
                message = f"`{rule}` finds nothing here that could be ignored"
                help_ = "take the comment away"
                fix = self._removal(comment) if len(comment.rules) == 1 else None
                yield self._warn(span, "VA113", message, help_, fix)

    def _removal(self, comment: Suppression) -> Fix:
        """Takes the comment away, and its line if nothing else is in it."""
        text = self._source.text
        start, end = comment.span
        while start > 0 and text[start - 1] in " \t":
            start -= 1
        if start == 0 or text[start - 1] in "\r\n":
            following = re.compile(_LINE_END).match(text, end)
            end = following.end() if following else end
        return Fix("take the comment away", (Edit(start, end, ""),))

    def _warn(
        self,
        span: Span,
        rule: str,
        message: str,
        help_: str | None,
        fix: Fix | None = None,
    ) -> Diagnostic:
        return diagnose(
            self._source, span, rule, message, help_, severity="warning", fix=fix
        )


def find_suppressions(
    document: Document, references: Mapping[str, set[int]], rules: Collection[str]
) -> Suppressions:
    """Finds the comments; what looks like one inside a text is none."""
    source = document.source
    comments: list[Suppression] = []
    if _MARK in source.text:
        scalars = list(_scalars(document.root))
        for found in re.finditer(_COMMENT, source.text):
            at = found.start()
            header = next((s for s in scalars if s.span.start <= at < s.span.end), None)
            if header is None or _is_header(source, header, at):
                comments.append(_read(document, scalars, found))
    return Suppressions(source, comments, references, rules)


def _is_header(source: Source, scalar: Node, at: int) -> bool:
    """True if an offset is in the first line of a block, before its text."""
    if scalar.style not in ("|", ">"):
        return False
    return source.point(scalar.span.start)[0] == source.point(at)[0]


def _read(document: Document, scalars: list[Node], found: re.Match[str]) -> Suppression:
    source = document.source
    rules: dict[str, Span] = {}
    if found[1] is not None:
        for each in re.finditer(_IDENTIFIER, found[1]):
            start = found.start(1) + each.start()
            rules.setdefault(each[0], Span(start, start + len(each[0])))
    line, column = source.point(found.start())
    if not source.line(line)[: column - 1].strip():
        line += 1
    last = line
    for scalar in scalars:
        if source.point(scalar.span.start)[0] == line:
            last = max(last, source.point(max(scalar.span.end - 1, 0))[0])
    return Suppression(Span(*found.span()), rules, range(line, last + 1))


def _scalars(node: Node) -> Iterator[Node]:
    """Yields every scalar that is written out below a node."""
    if node.is_alias:
        return
    if node.is_scalar:
        yield node
    for entry in (node.entries or {}).values():
        if entry.node is not None and entry.origin is None:
            yield from _scalars(entry.node)
    for item in node.items or ():
        yield from _scalars(item)
