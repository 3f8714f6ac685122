"""An agent file as it was read: its text, and what came out of it as YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.document import Document, parse_document
from runner.config.source import Source, SourceFault, decode_source, read_source

if TYPE_CHECKING:
    from collections.abc import Callable

# What tells an agent file from any other YAML file in the same folder.
_MARKS = ("prompt", "prompt_file", "tools")


@dataclass(frozen=True, slots=True)
class Reading:
    """A file's text, its document (None when it is no YAML), and the findings so far.

    `path` says where the file is, or where a text that has no file would be: its folder
    is where the agent's tools are looked for.
    """

    path: Path
    source: Source
    document: Document | None
    findings: tuple[Diagnostic, ...]

    @property
    def is_agent(self) -> bool:
        """Whether it looks like an agent's, however broken.

        That is a mapping with `version` and one of `prompt`, `prompt_file`, `tools`. A
        file that is no YAML is judged by its lines: a typing error must not hide it.
        """
        if self.document is not None:
            value = self.document.value
            keys = set(value) if isinstance(value, dict) else set()
        else:
            lines = self.source.text.splitlines()
            keys = {line.partition(":")[0] for line in lines if ":" in line}
        return "version" in keys and not keys.isdisjoint(_MARKS)


def read_agent_file(path: Path) -> Reading:
    """Read an agent file; raises `FileUnreadable` when there is nothing to read."""
    return _read(path, lambda: read_source(path))


def find_agent_file(path: Path) -> Reading | None:
    """Read a file if it looks like an agent's; raises `FileUnreadable`.

    Most YAML files are somebody else's, and can be told without being parsed.
    """
    try:
        source = read_source(path)
    except SourceFault:
        reading = read_agent_file(path)
    else:
        text = source.text
        if "version" not in text or not any(each in text for each in _MARKS):
            return None
        reading = _read(path, lambda: source)
    return reading if reading.is_agent else None


def read_agent_text(data: bytes, path: Path) -> Reading:
    """Read an agent file's content, as if it lay at `path`."""
    return _read(path, lambda: decode_source(data, str(path)))


def _read(path: Path, source_of: Callable[[], Source]) -> Reading:
    try:
        source = source_of()
    except SourceFault as fault:
        found = diagnose(
            fault.source, fault.span, fault.rule, fault.message, fault.help
        )
        return Reading(path, fault.source, None, (found,))
    document, findings = parse_document(source)
    return Reading(path, source, document, tuple(findings))
