"""Which of the scenarios are run: by words, by tags, or what failed last time."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

from runner.checking.reports.places import shown_path
from runner.config.files import referenced_files
from runner.errors import UsageError
from runner.scenarios.agents import read_agent
from runner.testing.scenarios.model import Scenario

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
