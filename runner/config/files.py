"""Agent and scenario files: recognition, parsing, referenced files and schema lines."""

from __future__ import annotations

import io
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runner.config.diagnostics import Diagnostic, diagnose
from runner.config.schema import AGENT_SCHEMA
from runner.config.source import (
    Source,
    SourceError,
    Span,
    decode_source,
    read_content,
    read_source,
)
from runner.config.spelling import is_certain_guess, nearest
from runner.config.yaml.parser import AGENT_BEGINNING, Document, parse_document
from runner.errors import FileUnreadable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def referenced_files(path: Path) -> frozenset[Path]:
    """Returns the files that an agent or scenario file uses, whether they exist or not.

    For an agent: the prompt file and the Python files in the folders of its tools,
    which tools may import. Files outside the agent's folder are never read and left
    out. For a scenario file: its agents and their files. Empty for invalid YAML.
    """
    value = _value(path)
    agents = {path.parent / each for each in _agents(value)}
    return frozenset(agents).union(
        _used_files(path, value), *(_used_files(each, _value(each)) for each in agents)
    )


def _value(path: Path) -> dict[str, Any]:
    try:
        document, _ = parse_document(read_source(path))
    except (FileUnreadable, SourceError):
        return {}
    value = document.value if document is not None else None
    return value if isinstance(value, dict) else {}


def _used_files(path: Path, value: dict[str, Any]) -> set[Path]:
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
    """Returns the agents named in a scenario file."""
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


# With `version`, each of them makes a file an agent file.
_AGENT_KEYS = ("prompt", "prompt_file", "tools")
# Two of the keys of agent files do so as well, if one is not a key of many other files:
# packages have a name and a version, pipelines have variables.
_OWN_KEYS = (
    *(*_AGENT_KEYS, "greeting", "voice", "transcription", "turn_detection"),
    *("local", "session", "key_terms"),
)
_COMMON_KEYS = ("version", "name", "languages", "variables", "service")
_MAX_KEYS = 60  # of a file, that are compared with these
_KEY_LINE = r"""^([ \t]*)["']?([A-Za-z][\w .-]{0,40}?)["']?[ \t]*[:\uff1a]"""
# The key of scenario files, and the endings of their names.
_SUITE_KEY = "scenarios"
_SUITE_SUFFIXES = (".test.yaml", ".test.yml")
SUITE_BEGINNING = "begin with `agent: NAME.yaml` and a list of `scenarios`"


@dataclass(frozen=True, slots=True)
class ParsedFile:
    """A file's text, its document (None for invalid YAML) and its findings.

    `path` is that of the file, or of an unsaved text; tools are looked up in its
    folder.
    """

    path: Path
    source: Source
    document: Document | None
    findings: tuple[Diagnostic, ...]

    @property
    def is_agent(self) -> bool:
        """True if it looks like an agent file, even with errors.

        An agent file is a mapping with two keys of agent files, near spellings
        included. For invalid YAML the lines are searched for these keys.
        """
        keys = self._keys()
        if "version" in keys and not keys.isdisjoint(_AGENT_KEYS):
            return True
        return not self._is_named_suite(keys) and _has_agent_keys(keys)

    @property
    def is_suite(self) -> bool:
        """True if it looks like a scenario file, even with errors.

        A scenario file is a mapping with `scenarios` or has a name like
        `NAME.test.yaml`, and does not look like an agent file.
        """
        return not self.is_agent and self._is_named_suite(self._keys())

    def _is_named_suite(self, keys: set[str]) -> bool:
        return self.path.name.endswith(_SUITE_SUFFIXES) or _SUITE_KEY in keys

    def _keys(self) -> set[str]:
        if self.document is not None:
            value = self.document.value
            if isinstance(value, dict):
                return {each for each in value if isinstance(each, str)}
            if not isinstance(value, str):  # text: keys with a full-width colon
                return set()
        return _written_keys(self.source.text)


def _written_keys(text: str) -> set[str]:
    """Returns what is written like a key at the top level of a text."""
    found = re.findall(_KEY_LINE, text, re.MULTILINE)
    top = min((len(indent) for indent, _ in found), default=0)
    return {key for indent, key in found if len(indent) == top}


def _has_agent_keys(keys: set[str]) -> bool:
    """True if two keys are those of agent files, one of them of no other files."""
    known = [*_OWN_KEYS, *_COMMON_KEYS]
    meant: set[str] = set()
    for key in sorted(keys)[:_MAX_KEYS]:
        guess = key if key in known else nearest(key, known)
        if guess and (guess == key or is_certain_guess(key, guess)):
            meant.add(guess)
    return len(meant) > 1 and not meant.isdisjoint(_OWN_KEYS)


# Folders that are searched for the agent that a wrong path means.
_AGENT_FOLDERS = (".", "agents")
_SUFFIXES = (".yaml", ".yml")
_MAX_SEARCHED = 200  # files of a folder
_MAX_SHOWN = 8


def find_agents(folder: Path) -> list[Path]:
    """Returns the agent files in a folder, in order; those below it are not searched.

    Files that cannot be read or parsed and do not look like agents are left out.
    """
    try:
        entries = sorted(each for each in folder.iterdir() if each.suffix in _SUFFIXES)
    except OSError:
        return []
    found = []
    for path in entries[:_MAX_SEARCHED]:
        try:
            reading = find_file(path)
        except FileUnreadable:
            continue
        if reading is not None and reading.is_agent and not reading.is_suite:
            found.append(path)
    return found


def resolve_agent(path: Path) -> Path:
    """Returns the agent file that a path of the command line means.

    A folder means the only agent file in it.

    Raises:
        UsageError: the folder has no agent file, or several.
        FileUnreadable: the file does not exist.
    """
    if path.is_dir():
        agents = find_agents(path)
        if len(agents) == 1:
            return agents[0]
        if not agents:
            raise UsageError(
                f"'{path}' is a folder without agent files",
                hint="write one with `vagent new`",
            )
        raise UsageError(
            f"'{path}' is a folder with {len(agents)} agent files",
            hint=f"name one of them: {_listed(agents)}",
        )
    if path.exists() or path.is_symlink():
        return path
    known = [
        each
        for folder in dict.fromkeys((path.parent, *map(Path, _AGENT_FOLDERS)))
        for each in find_agents(folder)
    ]
    guess = nearest(path.stem, [each.stem for each in known])
    meant = [each for each in known if each.stem == guess]
    hint = None
    if meant:
        hint = f"did you mean {meant[0]}?"
    elif known:
        hint = f"the agents here: {_listed(known)}"
    raise FileUnreadable(f"{path} does not exist", hint=hint)


def _listed(paths: list[Path]) -> str:
    shown = ", ".join(str(each) for each in paths[:_MAX_SHOWN])
    return f"{shown}, ..." if len(paths) > _MAX_SHOWN else shown


def read_agent_file(path: Path) -> ParsedFile:
    """Reads an agent or scenario file; raises `FileUnreadable` if it cannot be read."""
    return _read(path, lambda: read_source(path))


def find_file(path: Path) -> ParsedFile | None:
    """Reads a file if it looks like an agent or scenario file; else returns None.

    Most other YAML files are recognized without parsing. Raises `FileUnreadable`.
    """
    try:
        source = read_source(path)
    except SourceError:
        reading = read_agent_file(path)
    else:
        text = source.text
        is_suite = _SUITE_KEY in text or path.name.endswith(_SUITE_SUFFIXES)
        # A mapping in braces may have all its keys in one line.
        is_braced = text.lstrip().startswith("{")
        if not is_suite and not is_braced and not _has_agent_keys(_written_keys(text)):
            return None
        reading = _read(path, lambda: source)
    return reading if reading.is_agent or reading.is_suite else None


def read_agent_text(data: bytes, path: Path) -> ParsedFile:
    """Reads the content of a file as if it were at `path`."""
    return _read(path, lambda: decode_source(data, str(path)))


def _read(path: Path, source_of: Callable[[], Source]) -> ParsedFile:
    try:
        source = source_of()
    except SourceError as error:
        found = diagnose(
            error.source, error.span, error.rule, error.message, error.help
        )
        return ParsedFile(path, error.source, None, (found,))
    is_suite = path.name.endswith(_SUITE_SUFFIXES)
    beginning = SUITE_BEGINNING if is_suite else AGENT_BEGINNING
    document, findings = parse_document(source, beginning=beginning)
    return ParsedFile(path, source, document, tuple(findings))


class Environment(dict[str, str]):
    """Variables of the process and of a `.env` file, without those that are empty.

    `in_file` are those of the file, `empty` the names that were left out, and `tried`
    the paths of the file that were tried, the one that was read last.
    """

    in_file: Mapping[str, str]
    empty: frozenset[str]
    tried: tuple[Path, ...]


def load_environment(folder: Path, process: Mapping[str, str]) -> Environment:
    """Returns the variables of `process` and of the nearest `.env` file.

    The file is looked for in `folder`, above it up to the root of the project (a folder
    with `.git` or `pyproject.toml`), and in the current folder. Variables of the
    process take precedence unless they are empty. Raises `FileUnreadable`.
    """
    tried: list[Path] = []
    values: dict[str, str] = {}
    for each in _environment_folders(folder):
        path = each / ".env"
        tried.append(path)
        if path.exists() and not path.is_dir():
            values = _read_environment(path, process)
            break
    merged = {**values, **{name: each for name, each in process.items() if each}}
    found = Environment(
        {name: each for name, each in merged.items() if each.strip()},
    )
    found.in_file = values
    found.empty = frozenset({*values, *process} - found.keys())
    found.tried = tuple(tried)
    return found


def _environment_folders(folder: Path) -> list[Path]:
    """Returns the folders that may have a `.env` file, in the order of the search."""
    found = [folder]
    real = os.path.abspath(folder)
    above = real
    while not _is_project(above) and os.path.dirname(above) != above:
        above = os.path.dirname(above)
        found.append(type(folder)(above))
    if not _is_project(above):
        del found[1:]  # without a project only the folder itself
    current = os.path.abspath(os.curdir)
    if current not in {os.path.abspath(each) for each in found}:
        found.append(type(folder)(current))
    return found


def _is_project(folder: str) -> bool:
    names = (".git", "pyproject.toml")
    return any(os.path.exists(os.path.join(folder, each)) for each in names)


def _read_environment(path: Path, process: Mapping[str, str]) -> dict[str, str]:
    """Reads a `.env` file; a value in single quotes is literal, as in a shell."""
    # 15 ms to import, and most folders have no .env.
    from dotenv.parser import parse_stream
    from dotenv.variables import parse_variables

    try:
        text = read_content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileUnreadable(
            f"{path} cannot be read: {error}", hint="save it as UTF-8 text"
        ) from error
    values: dict[str, str] = {}
    for each in parse_stream(io.StringIO(text)):
        if each.key is None or each.value is None:
            continue
        value = each.value
        if not re.match(r"[^=]*=[^\S\r\n]*'", each.original.string):
            known = {**process, **values}
            value = "".join(part.resolve(known) for part in parse_variables(value))
        values[each.key] = value
    return values


def resolve_inside(folder: Path, reference: str) -> Path | None:
    """Returns the real path of a file named in an agent file.

    None if it is outside the agent's folder: through `..`, an absolute path or a link.
    """
    try:
        path = (folder / reference).resolve()
        return path if path.is_relative_to(folder.resolve()) else None
    except (OSError, ValueError, RuntimeError):  # an invalid file name; a link loop
        return None


# The modeline: a comment that names the schema of a file for editors.

_MAX_PARENT_FOLDERS = 3  # searched above the agent's folder

# The form of yaml-language-server, and that of JetBrains editors and newer servers.
_MODELINE = (
    r"^[ \t]*#[ \t]*(?:yaml-language-server[ \t]*:[^\r\n]*?\$schema=|\$schema:[ \t]*)"
    r"(\S*)"
)
_URL = r"[A-Za-z][A-Za-z0-9+.-]+:"  # a drive has one letter
_DIRECTIVES = r"(?:%[^\r\n]*(?:\r\n|\n|\r))*"
_LINE_END = r"\r\n|\n|\r"


def find_modeline(text: str) -> Span | None:
    """Returns the place of the reference in the first modeline, None without one."""
    if "$schema" not in text:
        return None
    found = re.search(_MODELINE, text, re.MULTILINE)
    return Span(*found.span(1)) if found else None


def is_missing(reference: str, folder: Path) -> bool:
    """True if a modeline refers to a file that does not exist."""
    if not reference or re.match(_URL, reference):
        return False
    return not os.path.exists(os.path.join(folder, reference))


def find_schema(folder: Path, name: str = AGENT_SCHEMA) -> str | None:
    """Returns the reference for a modeline to a schema in a folder or above it.

    Folders above are searched only within the repository of `folder`.
    """
    start = os.path.abspath(folder)
    current, prefix = start, "./"
    for level in range(_MAX_PARENT_FOLDERS + 1):
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
    """Returns the offset for a modeline in a text, and the line with its line end."""
    directives = re.match(_DIRECTIVES, text)
    at = directives.end() if directives else 0
    end = re.search(_LINE_END, text)
    line = f"# yaml-language-server: $schema={reference}"
    return at, line + (end[0] if end else "\n")
