"""Which files a file draws on, read from its text however broken it is."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.schema import AGENT_SCHEMA
from runner.config.source import Source, SourceError, Span, decode_source, read_source
from runner.config.yaml.parser import AGENT_BEGINNING, Document, parse_document
from runner.errors import FileUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path


def referenced_files(path: Path) -> frozenset[Path]:
    """Return the prompt file and the Python files of the tools, there or not.

    Beside a tool's file come the Python files of its folder, which it may import. Paths
    are spelled from the agent file's folder; what lies outside it is left out, since
    nothing is read from there. Of a scenario file it is the agents that it names, and
    what they draw on. Of a file that is no YAML nothing is known.
    """
    value = _value(path)
    agents = {path.parent / each for each in _agents(value)}
    return frozenset(agents).union(
        _drawn_on(path, value), *(_drawn_on(each, _value(each)) for each in agents)
    )


def _value(path: Path) -> dict[str, Any]:
    try:
        document, _ = parse_document(read_source(path))
    except (FileUnreadable, SourceError):
        return {}
    value = document.value if document is not None else None
    return value if isinstance(value, dict) else {}


def _drawn_on(path: Path, value: dict[str, Any]) -> set[Path]:
    found: set[Path] = set()
    prompt = value.get("prompt_file")
    if isinstance(prompt, str) and resolve_inside(path.parent, prompt):
        found.add(path.parent / prompt)
    for reference in _python_files(value.get("tools")):
        if resolve_inside(path.parent, reference):
            file = path.parent / reference
            found |= {file, *file.parent.glob("*.py")}
    return found


def _agents(value: dict[str, Any]) -> list[str]:
    """Return the agents that a scenario file names."""
    scenarios = value.get("scenarios")
    if not isinstance(scenarios, list):
        return []
    named = [
        each.get("agent") for each in (value, *scenarios) if isinstance(each, dict)
    ]
    return [each for each in named if isinstance(each, str)]


def _python_files(tools: Any) -> list[str]:
    entries = tools if isinstance(tools, list) else []
    references = [each.get("python") for each in entries if isinstance(each, dict)]
    return [
        each.rpartition(":")[0]
        for each in references
        if isinstance(each, str) and ":" in each
    ]


# A file as it was read: its text, what came out of it as YAML, what kind it is.


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


# The environment of a run: the process's own, and a `.env` file below it.


def load_environment(folder: Path, process: Mapping[str, str]) -> dict[str, str]:
    """Return `process` with what a `.env` file in `folder` adds to it.

    What the process has set wins, as everywhere. Raises `FileUnreadable`.
    """
    path = folder / ".env"
    if not path.is_file():
        return dict(process)
    # 15 ms to import, and most folders have no .env.
    from dotenv import dotenv_values

    try:
        values = dotenv_values(path)
    except (OSError, UnicodeDecodeError) as error:
        raise FileUnreadable(
            f"{path} cannot be read: {error}", hint="it must be UTF-8 text"
        ) from error
    added = {name: value for name, value in values.items() if value is not None}
    return {**added, **process}


# Files that an agent file names: only those at or below its folder.


def resolve_inside(folder: Path, reference: str) -> Path | None:
    """Return the real path of a file named in an agent file.

    None when it lies outside the agent's folder, be it through `..`, an absolute path
    or a symbolic link.
    """
    try:
        path = (folder / reference).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # a name no file can have; a link loop
        return None


# The comment that tells editors which schema a file follows, and that schema.


_LEVELS = 3  # folders above the agent's that are searched

# The language server's form, and the one that JetBrains' editors and newer servers
# know.
_MODELINE = (
    r"^[ \t]*#[ \t]*(?:yaml-language-server[ \t]*:[^\r\n]*?\$schema=|\$schema:[ \t]*)"
    r"(\S*)"
)
_URL = r"[A-Za-z][A-Za-z0-9+.-]+:"  # a drive has one letter
_DIRECTIVES = r"(?:%[^\r\n]*(?:\r\n|\n|\r))*"
_LINE_END = r"\r\n|\n|\r"


def find_modeline(text: str) -> Span | None:
    """The place of what the first modeline refers to; None without a modeline."""
    if "$schema" not in text:
        return None
    found = re.search(_MODELINE, text, re.MULTILINE)
    return Span(*found.span(1)) if found else None


def is_missing(reference: str, folder: Path) -> bool:
    """Whether a modeline refers to a file that is not there."""
    if not reference or re.match(_URL, reference):
        return False
    return not os.path.exists(os.path.join(folder, reference))


def find_schema(folder: Path, name: str = AGENT_SCHEMA) -> str | None:
    """Return how a modeline refers to a schema in a folder or those above it.

    Above, only within the repository that the folder is in.
    """
    start = os.path.abspath(folder)
    current, prefix = start, "./"
    for level in range(_LEVELS + 1):
        if os.path.isfile(os.path.join(current, name)):
            return prefix + name if level == 0 or _has_root(current) else None
        if os.path.exists(os.path.join(current, ".git")):
            return None
        current = os.path.dirname(current)
        prefix = "../" * (level + 1)
    return None


def _has_root(folder: str) -> bool:
    while not os.path.exists(os.path.join(folder, ".git")):
        above = os.path.dirname(folder)
        if above == folder:
            return False
        folder = above
    return True


def modeline_for(text: str, reference: str) -> tuple[int, str]:
    """Return where a modeline goes in a text, and the line with the text's line end."""
    directives = re.match(_DIRECTIVES, text)
    at = directives.end() if directives else 0
    end = re.search(_LINE_END, text)
    line = f"# yaml-language-server: $schema={reference}"
    return at, line + (end[0] if end else "\n")
