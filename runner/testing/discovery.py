"""Which scenario files are meant: files, folders, patterns, agents, FILE::scenario."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from runner.config.files import referenced_files
from runner.errors import ConfigError, UsageError
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
