"""What the rules work on: a document, its surroundings, and the findings so far."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from runner.config.diagnostics import Diagnostic, Severity, diagnose

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from runner.config.document import Document
    from runner.config.nodes import Pointer
    from runner.config.source import Source, Span

T = TypeVar("T")


@dataclass(slots=True)
class Inspection:
    """One check of one file; rules read through `get` and add by `report`.

    `variables` are the values given for this run (None: nobody runs it now, so a
    variable without a value is no error); `unsound` are paths that the schema check
    has found wrong, which no rule should build on.
    """

    document: Document
    folder: Path
    environment: Mapping[str, str]
    variables: Mapping[str, str] | None
    unsound: frozenset[Pointer]
    # Whether the file is about to be run: then what is not set is an error.
    must_run: bool = False
    prompt: Source | None = None  # of prompt_file, once a rule has read it
    found: list[Diagnostic] = field(default_factory=list)

    def get(self, path: Pointer, kind: type[T]) -> T | None:
        """Return the value at `path` if it is there, sound and of this type."""
        value: Any = self.document.value
        for part in path:
            if isinstance(value, dict):
                value = value.get(part)
            elif isinstance(value, list) and isinstance(part, int):
                value = value[part] if part < len(value) else None
            else:
                return None
        if type(value) is not kind or not self.is_sound(path):
            return None
        return value

    def is_sound(self, path: Pointer) -> bool:
        """Whether nothing at `path` or above it has a finding."""
        if self.document.is_broken(path):
            return False
        return not any(path[:end] in self.unsound for end in range(len(path) + 1))

    def tools(self) -> Iterator[Pointer]:
        """Yield the path of every tool that is a mapping."""
        tools = self.get(("tools",), list)
        for index in range(len(tools or ())):
            path = ("tools", index)
            if self.get(path, dict) is not None:
                yield path

    def report(
        self,
        path: Pointer,
        rule: str,
        message: str,
        help_: str | None = None,
        *,
        at: Literal["key", "value", "start"] = "value",
        severity: Severity = "error",
    ) -> None:
        """Add a finding about the key, the value or the mapping at `path`."""
        span = {
            "key": self.document.key_span,
            "value": self.document.value_span,
            "start": self.document.start_span,
        }[at](path)
        self.report_at(
            self.document.source, span, rule, message, help_, severity=severity
        )

    def report_at(
        self,
        source: Source,
        span: Span,
        rule: str,
        message: str,
        help_: str | None = None,
        *,
        severity: Severity = "error",
    ) -> None:
        """Add a finding about a place in the agent file or in its prompt file."""
        found = diagnose(source, span, rule, message, help_, severity=severity)
        self.found.append(found)
