"""A file as it was read: its text, what came out of it as YAML, what kind it is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.source import Source, SourceError, decode_source, read_source
from runner.config.yaml.parser import AGENT_BEGINNING, Document, parse_document

if TYPE_CHECKING:
    from collections.abc import Callable

# What tells an agent file from any other YAML file in the same folder.
_MARKS = ("prompt", "prompt_file", "tools")
# What tells a scenario file, and how one is called whatever is in it.
_SUITE_MARK = "scenarios"
_SUITE_ENDS = (".test.yaml", ".test.yml")
SUITE_BEGINNING = "begin with `agent: NAME.yaml` and a list of `scenarios`"


@dataclass(frozen=True, slots=True)
class ParsedFile:
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
        keys = self._keys()
        return "version" in keys and not keys.isdisjoint(_MARKS)

    @property
    def is_suite(self) -> bool:
        """Whether it looks like a scenario file, however broken.

        That is a mapping with `scenarios`, and whatever is called `NAME.test.yaml`,
        unless it looks like an agent's.
        """
        if self.is_agent:
            return False
        return self.path.name.endswith(_SUITE_ENDS) or _SUITE_MARK in self._keys()

    def _keys(self) -> set[str]:
        if self.document is not None:
            value = self.document.value
            return set(value) if isinstance(value, dict) else set()
        lines = self.source.text.splitlines()
        return {line.partition(":")[0] for line in lines if ":" in line}


def read_agent_file(path: Path) -> ParsedFile:
    """Read an agent or scenario file; raises `FileUnreadable` when there is none."""
    return _read(path, lambda: read_source(path))


def find_file(path: Path) -> ParsedFile | None:
    """Read a file if it looks like an agent's or like scenarios; else None.

    Raises `FileUnreadable`.

    Most YAML files are somebody else's, and can be told without being parsed.
    """
    try:
        source = read_source(path)
    except SourceError:
        reading = read_agent_file(path)
    else:
        text = source.text
        may_be_agent = "version" in text and any(each in text for each in _MARKS)
        is_suite = _SUITE_MARK in text or path.name.endswith(_SUITE_ENDS)
        if not may_be_agent and not is_suite:
            return None
        reading = _read(path, lambda: source)
    return reading if reading.is_agent or reading.is_suite else None


def read_agent_text(data: bytes, path: Path) -> ParsedFile:
    """Read the content of a file, as if it lay at `path`."""
    return _read(path, lambda: decode_source(data, str(path)))


def _read(path: Path, source_of: Callable[[], Source]) -> ParsedFile:
    try:
        source = source_of()
    except SourceError as fault:
        found = diagnose(
            fault.source, fault.span, fault.rule, fault.message, fault.help
        )
        return ParsedFile(path, fault.source, None, (found,))
    is_suite = path.name.endswith(_SUITE_ENDS)
    beginning = SUITE_BEGINNING if is_suite else AGENT_BEGINNING
    document, findings = parse_document(source, beginning=beginning)
    return ParsedFile(path, source, document, tuple(findings))
