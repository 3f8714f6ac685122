"""Selection of scenarios by file, folder, pattern, agent, FILE::scenario and name."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from glob import glob
from pathlib import Path
from typing import TypeAlias

from runner.config.files import referenced_files
from runner.config.lint.discovery import shown_path
from runner.errors import ConfigError, FileUnreadable, UsageError, counted
from runner.safe_files import make_private_folders, write_file
from runner.testing.results import Report
from runner.testing.scenarios.drafts import read_agent
from runner.testing.scenarios.loader import load_suite
from runner.testing.scenarios.model import Scenario, Suite

SUFFIXES = (".test.yaml", ".test.yml")
# Scenario files may go by any name in a folder of this one.
TESTS_FOLDER = "tests"
_YAML = (".yaml", ".yml")
_SEPARATOR = "::"
_OTHERS = {"node_modules", "venv", "__pycache__", "site-packages"}


@dataclass(slots=True)
class SelectedScenarios:
    """The selected scenario files, each with its selected scenarios."""

    names: dict[Path, set[str] | None] = field(default_factory=dict)  # None: all
    named: dict[str, list[Path]] = field(default_factory=dict)  # and where to look
    _spelled: dict[str, Path] = field(default_factory=dict)

    def add(self, path: Path, name: str | None = None) -> None:
        """Selects a file or one scenario of it; a file counts once."""
        path = self._spelled.setdefault(os.path.realpath(path), path)
        known = self.names.get(path, set())
        self.names[path] = None if name is None or known is None else known | {name}
        if name is not None:
            self.named.setdefault(name, []).append(path)

    def wants(self, path: Path, scenario: Scenario) -> bool:
        """True if a scenario of a file is selected."""
        names = self.names[path]
        return names is None or any(_is_called(scenario, name) for name in names)


def load_scenarios(targets: Sequence[str]) -> list[Scenario]:
    """Loads the scenarios selected on the command line; default: the working folder.

    Raises:
        UsageError: an argument selects nothing. ConfigError, FileUnreadable.
    """
    chosen = find_suites(targets)
    suites = list(_load_all(chosen.names))
    for name, paths in chosen.named.items():
        known = [e for each in suites if each.path in paths for e in each.scenarios]
        if not any(_is_called(each, name) for each in known):
            files = ", ".join(map(str, paths))
            ids = ", ".join(repr(each.id) for each in known)
            raise UsageError(f"{files} has no scenario {name!r}", hint=f"has: {ids}")
    return [
        each
        for suite in suites
        for each in suite.scenarios
        if chosen.wants(suite.path, each)
    ]


def _load_all(paths: Iterable[Path]) -> Iterator[Suite]:
    """Loads scenario files; the findings of all files are raised at the end."""
    findings: list[object] = []
    messages: list[str] = []
    for path in paths:
        try:
            yield load_suite(path)
        except ConfigError as error:
            findings += error.diagnostics
            messages.append(error.message)
    if messages:
        raise ConfigError("; ".join(messages), findings)


def find_suites(targets: Sequence[str]) -> SelectedScenarios:
    """Returns the selected files, each once, in the order of the arguments."""
    chosen = SelectedScenarios()
    for target in targets or ["."]:
        text, colons, name = target.partition(_SEPARATOR)
        found = list(_find(text))
        if not found:
            raise UsageError(
                f"no scenarios in {text}",
                hint="name a file that ends in .test.yaml or is in a folder `tests`; "
                "`vagent new NAME` creates one",
            )
        for path in found:
            chosen.add(path, name if colons else None)
    return chosen


def is_suite(path: Path) -> bool:
    """True if a file holds scenarios, by its name and folder."""
    if path.name.endswith(SUFFIXES):
        return True
    return path.suffix in _YAML and TESTS_FOLDER in path.parent.parts and _has(path)


def _find(text: str) -> Iterator[Path]:
    path = Path(text)
    if path.is_dir():
        yield from _in_folder(path)
    elif any(mark in text for mark in "*?[") and not path.exists():
        for each in sorted(glob(text, recursive=True)):
            yield from _fitting(Path(each))
    elif is_agent(path):
        yield from _about(path)
    elif path.exists():
        yield path
    else:
        raise UsageError(f"there is no {text}")


def is_agent(path: Path) -> bool:
    """True if a file is an agent file, which selects the scenarios that name it."""
    is_other = path.name.endswith(SUFFIXES) or path.suffix not in _YAML
    return not is_other and path.is_file() and not _has(path)


def _fitting(path: Path) -> Iterator[Path]:
    """Yields the scenario files of a match of a pattern; it may be a folder."""
    if path.is_dir():
        yield from _in_folder(path)
    elif path.name.endswith(SUFFIXES) or (path.suffix in _YAML and _has(path)):
        yield path


def _in_folder(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in _OTHERS
        )
        for name in sorted(files):
            path = Path(current, name)
            if is_suite(path):
                yield path


def find_watched(targets: Sequence[str]) -> list[Path]:
    """Returns the files to watch, without reading them.

    For an agent: its file, and all scenario files in its folder.

    Raises:
        UsageError: an argument selects nothing.
    """
    found: dict[Path, None] = {}
    for target in targets or ["."]:
        path = Path(target.partition(_SEPARATOR)[0])
        if is_agent(path):
            found |= dict.fromkeys([path, *_in_folder(path.parent)])
        else:
            found |= dict.fromkeys(find_suites([target]).names)
    return list(found)


def _about(agent: Path) -> Iterator[Path]:
    """Yields the scenario files in the folder of an agent file that name it."""
    for path in _in_folder(agent.parent):
        # A file with errors in other places still names its agent.
        if any(_is_same(each, agent) for each in referenced_files(path)):
            yield path


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _has(path: Path) -> bool:
    """True if a YAML file has scenarios; it is not parsed."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return False
    return text.startswith("scenarios:") or "\nscenarios:" in text


def _is_called(scenario: Scenario, name: str) -> bool:
    return name in (scenario.id, scenario.name)


# Selection by keywords, by tags, or by the failures of the last run.


Wanted: TypeAlias = Callable[[Scenario], bool]

_TOKEN = re.compile(r"\s*(\(|\)|\"[^\"]*\"|'[^']*'|[^\s()]+)")


def select(
    scenarios: Sequence[Scenario],
    *,
    keywords: str | None = None,
    tags: Sequence[str] = (),
    failed: frozenset[str] | None = None,
) -> list[Scenario]:
    """Returns the scenarios that match the keywords, one of the tags, and `failed`.

    `failed` is ignored if it matches no scenario (renamed or moved ones).

    Raises:
        UsageError: the keywords are not a valid expression, or nothing matches.
    """
    wanted = parse_keywords(keywords) if keywords else None
    left = [
        each
        for each in scenarios
        if (wanted is None or wanted(each)) and (not tags or set(tags) & set(each.tags))
    ]
    if not left and scenarios:
        raise UsageError(
            f"none of {counted(len(scenarios), 'scenario')} is selected",
            hint="list them and their tags with --list",
        )
    return [each for each in left if failed and key(each) in failed] or left


def concerned(
    scenarios: Sequence[Scenario], changed: frozenset[Path]
) -> list[Scenario]:
    """Returns the scenarios whose file, agent, prompt or tools changed."""
    wanted = {os.path.realpath(each) for each in changed}
    draws_on: dict[Path, set[str]] = {}
    for agent in _agents(scenarios):
        files = {agent, *referenced_files(agent)}
        draws_on[agent] = {os.path.realpath(each) for each in files}
    return [
        each
        for each in scenarios
        if os.path.realpath(each.place.path) in wanted or draws_on[each.agent] & wanted
    ]


def give_variables(
    scenarios: Sequence[Scenario], variables: Mapping[str, str]
) -> Sequence[Scenario]:
    """Returns the scenarios with variables set, each where its agent declares it.

    An agent that cannot be read accepts any; its errors are reported when it runs.

    Raises:
        UsageError: no agent declares one of them.
    """
    if not variables:
        return scenarios
    declared = {each: read_agent(each).variables for each in _agents(scenarios)}
    for name in variables:
        if all(known is not None and name not in known for known in declared.values()):
            agents = ", ".join(map(str, declared))
            raise UsageError(f"no agent declares a variable '{name}': {agents}")
    return [
        replace(each, variables={**each.variables, **_known(variables, known)})
        for each in scenarios
        for known in [declared[each.agent]]
    ]


def _agents(scenarios: Sequence[Scenario]) -> list[Path]:
    return list(dict.fromkeys(each.agent for each in scenarios))


def _known(
    variables: Mapping[str, str], known: Mapping[str, bool] | None
) -> Mapping[str, str]:
    if known is None:
        return variables
    return {name: value for name, value in variables.items() if name in known}


def key(scenario: Scenario) -> str:
    """Returns the identity of a scenario across runs: its file and id."""
    return f"{shown_path(scenario.place.path, Path.cwd())}::{scenario.id}"


def parse_keywords(text: str) -> Wanted:
    """Reads `order and not (slow or "line was lost")`: parts of names, files and tags.

    Raises:
        UsageError: the text is not a valid expression.
    """
    parser = _Parser(text, [each[1] for each in _TOKEN.finditer(text)])
    wanted = parser.read_or()
    if parser.peek() is not None:
        raise parser.mistake(f"'{parser.peek()}' is not expected there")
    return wanted


@dataclass(slots=True)
class _Parser:
    text: str
    tokens: list[str]
    position: int = 0

    def peek(self) -> str | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, token: str) -> bool:
        is_next = self.peek() == token
        self.position += is_next
        return is_next

    def mistake(self, what: str) -> UsageError:
        return UsageError(
            f"-k '{self.text}': {what}",
            hint="write words with and, or, not and parentheses; quote several words",
        )

    def read_or(self) -> Wanted:
        parts = [self.read_and()]
        while self.take("or"):
            parts.append(self.read_and())
        return lambda scenario: any(part(scenario) for part in parts)

    def read_and(self) -> Wanted:
        parts = [self.read_not()]
        while self.take("and"):
            parts.append(self.read_not())
        return lambda scenario: all(part(scenario) for part in parts)

    def read_not(self) -> Wanted:
        if self.take("not"):
            part = self.read_not()
            return lambda scenario: not part(scenario)
        if self.take("("):
            part = self.read_or()
            if not self.take(")"):
                raise self.mistake("a ( is not closed")
            return part
        word = self.peek()
        if word is None or word in (")", "and", "or"):
            raise self.mistake("a word is missing")
        self.position += 1
        return _contains(word.strip("\"'").lower())


def _contains(word: str) -> Wanted:
    return lambda scenario: any(word in text for text in _texts(scenario))


def _texts(scenario: Scenario) -> Iterator[str]:
    yield scenario.id.lower()
    yield scenario.place.path.name.lower()
    yield from (tag.lower() for tag in scenario.tags)


# Failures of the last run, stored in the project folder for `--last-failed`.


FOLDER = Path(".vagent")
RECORDINGS = FOLDER / "recordings"
_FILE = "last-failed.json"
_MAX_RECORDINGS = 200


def load_failed(folder: Path = FOLDER) -> frozenset[str] | None:
    """Returns the keys of failed scenarios; None if there are none.

    An unreadable or invalid file is ignored.
    """
    try:
        content = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, list):
        return None
    return frozenset(each for each in content if isinstance(each, str)) or None


def note_failed(report: Report, folder: Path = FOLDER) -> None:
    """Stores the failed scenarios, and removes those that passed since.

    Raises:
        FileUnreadable: the folder cannot be written.
    """
    known = set(load_failed(folder) or ())
    for result in report.results:
        if result.has_failed:
            known.add(key(result.scenario))
    failed_now = {key(each.scenario) for each in report.failed}
    passed = {key(each.scenario) for each in report.results} - failed_now
    _write(folder, sorted(known - passed))


def forget_old(report: Report, folder: Path = RECORDINGS) -> None:
    """Removes the oldest recordings beyond a limit, except those in the report."""
    named = {os.path.realpath(each.recording or "") for each in report.results}
    try:
        found = [
            each
            for each in folder.iterdir()
            if (each / "session.jsonl").is_file()  # other folders are left alone
        ]
        found.sort(key=lambda each: each.stat().st_mtime_ns, reverse=True)
    except OSError:  # the folder is missing, or another run removes files
        return
    for each in found[_MAX_RECORDINGS:]:
        if os.path.realpath(each) not in named:
            shutil.rmtree(each, ignore_errors=True)


def _write(folder: Path, failed: Sequence[str]) -> None:
    path = folder / _FILE
    if not failed and not folder.exists():
        return
    try:
        keep_out_of_git(folder)  # the folder may also hold recordings
        write_file(path, f"{json.dumps(failed, indent=1)}\n".encode())
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def keep_out_of_git(folder: Path) -> None:
    """Makes a private folder that git ignores; raises OSError, for a link as well."""
    make_private_folders(folder)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        write_file(ignore, b"*\n")
