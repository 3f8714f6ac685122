"""Which scenario files are meant: files, folders, patterns, agents, FILE::scenario."""

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
from runner.errors import ConfigError, FileUnreadable, UsageError
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
    """The scenario files that were asked for, with the scenarios wanted of each."""

    names: dict[Path, set[str] | None] = field(default_factory=dict)  # None: all
    named: dict[str, list[Path]] = field(default_factory=dict)  # and where to look
    _spelled: dict[str, Path] = field(default_factory=dict)

    def add(self, path: Path, name: str | None = None) -> None:
        """Want a file, or one scenario of it; a file counts once however spelled."""
        path = self._spelled.setdefault(os.path.realpath(path), path)
        known = self.names.get(path, set())
        self.names[path] = None if name is None or known is None else known | {name}
        if name is not None:
            self.named.setdefault(name, []).append(path)

    def wants(self, path: Path, scenario: Scenario) -> bool:
        """Whether a scenario of a file was asked for."""
        names = self.names[path]
        return names is None or any(_is_called(scenario, name) for name in names)


def load_scenarios(targets: Sequence[str]) -> list[Scenario]:
    """Load what is meant by the words of a command line; none: the working folder.

    Raises:
        UsageError: nothing is meant by one. ConfigError, FileUnreadable.
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
    """Load scenario files; what is wrong with any is raised together, at the end."""
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
    """Return the files that are meant, each once, in the order of the words."""
    chosen = SelectedScenarios()
    for target in targets or ["."]:
        text, colons, name = target.partition(_SEPARATOR)
        found = list(_find(text))
        if not found:
            raise UsageError(
                f"no scenarios in {text}",
                hint="scenario files end in .test.yaml, or lie in a folder `tests`; "
                "`vagent new NAME` writes a first one",
            )
        for path in found:
            chosen.add(path, name if colons else None)
    return chosen


def is_suite(path: Path) -> bool:
    """Whether a file holds scenarios, by its name and where it lies."""
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
    """Whether a file that is named stands for the scenarios about it."""
    is_other = path.name.endswith(SUFFIXES) or path.suffix not in _YAML
    return not is_other and path.is_file() and not _has(path)


def _fitting(path: Path) -> Iterator[Path]:
    """Yield what a pattern means by a path: shells put in folders and agents, too."""
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
    """Return the files whose changes may matter, without reading them.

    Of an agent it is the agent, and whatever could be about it.

    Raises:
        UsageError: nothing is meant by a word.
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
    """Yield the scenario files beside an agent file that are about it."""
    for path in _in_folder(agent.parent):
        # However wrong the rest of it is, it can be told whom it is about.
        if any(_is_same(each, agent) for each in referenced_files(path)):
            yield path


def _is_same(one: Path, other: Path) -> bool:
    return os.path.realpath(one) == os.path.realpath(other)


def _has(path: Path) -> bool:
    """Whether a YAML file has scenarios, told without parsing it."""
    try:
        text = path.read_text("utf-8", errors="replace")
    except OSError:
        return False
    return text.startswith("scenarios:") or "\nscenarios:" in text


def _is_called(scenario: Scenario, name: str) -> bool:
    return name in (scenario.id, scenario.name)


# Which of the scenarios are run: by words, by tags, or what failed last time.


Wanted: TypeAlias = Callable[[Scenario], bool]

_TOKEN = re.compile(r"\s*(\(|\)|\"[^\"]*\"|'[^']*'|[^\s()]+)")


def select(
    scenarios: Sequence[Scenario],
    *,
    keywords: str | None = None,
    tags: Sequence[str] = (),
    failed: frozenset[str] | None = None,
) -> list[Scenario]:
    """Return the scenarios that fit: keywords, one of the tags, those that failed.

    Where none of those that failed is left, as they are called otherwise by now or lie
    elsewhere, it is as if none had failed.

    Raises:
        UsageError: the keywords are no expression, or nothing is left.
    """
    wanted = parse_keywords(keywords) if keywords else None
    left = [
        each
        for each in scenarios
        if (wanted is None or wanted(each)) and (not tags or set(tags) & set(each.tags))
    ]
    if not left and scenarios:
        raise UsageError(
            f"none of {len(scenarios)} scenarios is chosen",
            hint="--list shows them, with their tags",
        )
    return [each for each in left if failed and key(each) in failed] or left


def concerned(
    scenarios: Sequence[Scenario], changed: frozenset[Path]
) -> list[Scenario]:
    """Return the scenarios whose file, agent, prompt or tools are among the changed."""
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
    """Return the scenarios with variables set, each where its agent declares it.

    An agent that cannot be read takes any; what is wrong is told when it is tried.

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
    """Return what a scenario is called from one run to the next."""
    return f"{shown_path(scenario.place.path, Path.cwd())}::{scenario.id}"


def parse_keywords(text: str) -> Wanted:
    """Read `order and not (slow or "line was lost")`: parts of names, files and tags.

    Raises:
        UsageError: it is no such expression.
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


# What failed last time, kept beside the project for `--last-failed`.


FOLDER = Path(".vagent")
RECORDINGS = FOLDER / "recordings"
_FILE = "last-failed.json"
_MOST_RECORDINGS = 200


def load_failed(folder: Path = FOLDER) -> frozenset[str] | None:
    """Return the keys of what failed; None when nothing is known or nothing failed.

    A file that cannot be made sense of is as good as none: it is only a memory.
    """
    try:
        content = json.loads((folder / _FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(content, list):
        return None
    return frozenset(each for each in content if isinstance(each, str)) or None


def note_failed(report: Report, folder: Path = FOLDER) -> None:
    """Remember what failed, and forget what has passed since.

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
    """Remove the oldest recordings beyond a number, none that the report names."""
    named = {os.path.realpath(each.recording or "") for each in report.results}
    try:
        found = [
            each
            for each in folder.iterdir()
            if (each / "session.jsonl").is_file()  # nothing that somebody else put here
        ]
        found.sort(key=lambda each: each.stat().st_mtime_ns, reverse=True)
    except OSError:  # there are none, or another run is at it
        return
    for each in found[_MOST_RECORDINGS:]:
        if os.path.realpath(each) not in named:
            shutil.rmtree(each, ignore_errors=True)


def _write(folder: Path, failed: Sequence[str]) -> None:
    path = folder / _FILE
    if not failed and not folder.exists():
        return
    try:
        keep_out_of_git(folder)  # recordings of what passed may be in it, too
        path.write_text(json.dumps(failed, indent=1) + "\n", "utf-8")
    except OSError as error:
        raise FileUnreadable.from_os_error(path, "written", error) from error


def keep_out_of_git(folder: Path) -> None:
    """Make the folder for what is only of this machine; raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", "utf-8")
