"""Context of the rules: a document, its surroundings and cached facts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from runner.config.diagnostics import Finding, Place
from runner.config.schema import AGENT_SCHEMA

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from runner.config.diagnostics import Severity
    from runner.config.yaml.nodes import Pointer
    from runner.config.yaml.parser import Document


T = TypeVar("T")


@dataclass(slots=True)
class RuleContext:
    """One check of one file; rules read it and yield findings.

    `variables` are the values given for this run (None: it is not about
    to run); `invalid_paths` are paths that already have a finding, which rules skip.
    """

    document: Document
    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str] | None
    invalid_paths: frozenset[Pointer]
    # True if the file is about to be run: then a missing value is an error.
    must_run: bool = False
    schema: str = AGENT_SCHEMA  # the name of the file that the schema is written to
    _tools: list[Pointer] | None = None
    _facts: dict[Callable[[RuleContext], Any], Any] = field(default_factory=dict)

    def get(self, path: Pointer, kind: type[T]) -> T | None:
        """Returns the value at `path` if it exists, is valid and is of this type."""
        value: Any = self.document.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part] if part < len(value) else None
            else:
                return None
        if type(value) is not kind or not self.is_valid(path):
            return None
        return value

    def is_valid(self, path: Pointer) -> bool:
        """True if nothing at `path` or above it has a finding."""
        if self.document.has_faults and self.document.is_broken(path):
            return False
        if not self.invalid_paths:
            return True
        return not any(path[:end] in self.invalid_paths for end in range(len(path) + 1))

    def is_whole(self, path: Pointer) -> bool:
        """True if nothing at `path`, above it or below it has a finding."""
        if not self.is_valid(path) or not self.document.is_whole(path):
            return False
        depth = len(path)
        return not any(each[:depth] == path for each in self.invalid_paths)

    def mark_invalid(self, paths: Iterable[Pointer]) -> None:
        """Keeps later rules from building on the values at these paths."""
        more = frozenset(paths)
        if more:
            self.invalid_paths |= more
            self._tools = None

    def tools(self) -> list[Pointer]:
        """Returns the path of every tool that is a mapping."""
        if self._tools is None:
            count = len(self.get(("tools",), list) or ())
            paths: list[Pointer] = [("tools", index) for index in range(count)]
            self._tools = [path for path in paths if self.get(path, dict) is not None]
        return self._tools

    def fact(self, find: Callable[[RuleContext], T]) -> T:
        """Returns what `find` finds out about this file; it is asked once."""
        if find not in self._facts:
            self._facts[find] = find(self)
        found: T = self._facts[find]
        return found

    def key(self, path: Pointer) -> Place:
        """The place of the key that `path` ends with."""
        return self._place(path, self.document.key_span(path))

    def value(self, path: Pointer) -> Place:
        """The place of the value at `path`."""
        return self._place(path, self.document.value_span(path))

    def start(self, path: Pointer) -> Place:
        """The place where the mapping or list at `path` begins."""
        return self._place(path, self.document.start_span(path))

    def part(self, path: Pointer, start: int, end: int) -> Place:
        """The place of some characters of the text at `path`, by offsets into it.

        Where the text in the file is not the text that it stands for (escapes, folding,
        an alias), the place is that of the whole text.
        """
        return self._place(path, self.document.part_span(path, start, end))

    def _place(self, path: Pointer, span: Any) -> Place:
        return Place(self.document.source, span, self.document.related(path))


# A rule: an id, one small function and its documentation.
#
# The documentation is the function's docstring: a summary in the first line, the reason
# in paragraphs, and two examples under `Bad:` and `Good:`. `vagent validate --explain`
# and docs/reference/rules/ show it; tests hold the examples to what they claim.


Check: TypeAlias = "Callable[[RuleContext], Iterator[Finding]]"


@dataclass(frozen=True, slots=True)
class Documentation:
    """The documentation of a rule for `--explain`; the examples are YAML."""

    summary: str
    why: str
    bad: str
    good: str


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule. `check` is None where the finding is made while the file is read."""

    id: str
    name: str  # for people, in kebab case
    severity: Severity
    text: str
    check: Check | None = None

    @property
    def documentation(self) -> Documentation:
        """The parts of the rule's text; raises `ValueError` when one is missing."""
        head, bad_mark, rest = cleandoc(self.text).partition("\nBad:\n")
        bad, good_mark, good = rest.partition("\nGood:\n")
        if not bad_mark or not good_mark:
            raise ValueError(f"the text of {self.id} has no Bad: or no Good: example")
        summary, _, why = head.partition("\n\n")
        return Documentation(
            " ".join(summary.split()),
            why.strip(),
            _example(bad),
            _example(good),
        )


def rule(
    identifier: str, name: str, severity: Severity = "error"
) -> Callable[[Check], Rule]:
    """Makes a rule of the function that checks it; its docstring is the text."""
    return partial(_make, identifier, name, severity)


def documented(
    identifier: str, name: str, text: str, severity: Severity = "error"
) -> Rule:
    """Makes a rule whose findings are made elsewhere, by the parser or the schema."""
    return Rule(identifier, name, severity, text)


def _make(identifier: str, name: str, severity: Severity, check: Check) -> Rule:
    # Empty under -OO, which strips docstrings: then only --explain has nothing to say.
    return Rule(identifier, name, severity, check.__doc__ or "", check)


def _example(text: str) -> str:
    return cleandoc("\n" + text).strip("\n") + "\n"
