"""Which scenario files are meant: files, folders, patterns, agents, FILE::scenario."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from glob import glob
from pathlib import Path

from runner.errors import UsageError, VagentError
from runner.scenarios.loader import load_suite
from runner.scenarios.model import Scenario

SUFFIXES = (".test.yaml", ".test.yml")
# Scenario files may go by any name in a folder of this one.
TESTS_FOLDER = "tests"
_YAML = (".yaml", ".yml")
_SEPARATOR = "::"
_OTHERS = {"node_modules", "venv", "__pycache__", "site-packages"}


@dataclass(slots=True)
class Chosen:
    """The scenario files that were asked for, with the scenarios wanted of each."""

    names: dict[Path, set[str] | None] = field(default_factory=dict)  # None: all

    def add(self, path: Path, name: str | None = None) -> None:
        """Want a file, or one scenario of it."""
        known = self.names.get(path, set())
        self.names[path] = None if name is None or known is None else known | {name}


def load_scenarios(targets: Sequence[str]) -> list[Scenario]:
    """Load what is meant by the words of a command line; none: the working folder.

    Raises:
        UsageError: nothing is meant by one. ConfigError, FileUnreadable.
    """
    scenarios: list[Scenario] = []
    for path, names in find_suites(targets).names.items():
        suite = load_suite(path)
        for name in sorted(names or ()):
            if not any(_is_called(each, name) for each in suite.scenarios):
                known = ", ".join(repr(each.id) for each in suite.scenarios)
                raise UsageError(
                    f"{path} has no scenario {name!r}", hint=f"it has: {known}"
                )
        scenarios += [
            each
            for each in suite.scenarios
            if names is None or any(_is_called(each, name) for name in names)
        ]
    return scenarios


def find_suites(targets: Sequence[str]) -> Chosen:
    """Return the files that are meant, each once, in the order of the words."""
    chosen = Chosen()
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
        yield from (Path(each) for each in sorted(glob(text, recursive=True)))
    elif path.exists() and path.suffix in _YAML and not _has(path):
        yield from _about(path)
    elif path.exists():
        yield path
    else:
        raise UsageError(f"there is no {text}")


def _in_folder(folder: Path) -> Iterator[Path]:
    for current, folders, files in os.walk(folder):
        folders[:] = sorted(
            each for each in folders if not each.startswith(".") and each not in _OTHERS
        )
        for name in sorted(files):
            path = Path(current, name)
            if is_suite(path):
                yield path


def _about(agent: Path) -> Iterator[Path]:
    """Yield the scenario files beside an agent file that are about it."""
    for path in _in_folder(agent.parent):
        try:
            suite = load_suite(path)
        except VagentError:  # named itself, it says what is wrong
            continue
        if any(_is_same(each.agent, agent) for each in suite.scenarios):
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
