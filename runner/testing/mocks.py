"""Mocked tools, which return answers of a scenario instead of running.

A mocked call has the limits of a real one: the tool's schema for its arguments, the
maximum size of its result, and the tool's timeout.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from runner.config.loader import load_agent
from runner.config.model import AgentConfig
from runner.engine.hot_reload import AgentFileWatcher
from runner.errors import ToolError
from runner.testing.scenarios.model import MockAnswer
from runner.testing.virtual_clock import real_work
from runner.tools.plugins import installed_kinds
from runner.tools.registry import ToolRegistry, load_each
from runner.tools.tool import Tool, ToolDefinition, ToolKind, ToolOutcome

Mocks = Mapping[str, Sequence[MockAnswer] | None]


class MockedFailure(Exception):
    """The error of a mock with `raises`."""


@dataclass(slots=True)
class _MockState:
    """An answer and how often it can still be used; None: no limit."""

    answer: MockAnswer
    left: int | None


class MockedTool:
    """Answers with the first answer that matches the arguments and is not used up."""

    def __init__(
        self, definition: ToolDefinition, answers: Sequence[MockAnswer]
    ) -> None:
        self._definition = definition
        self._answers = [_MockState(answer, answer.times) for answer in answers]

    @property
    def definition(self) -> ToolDefinition:
        return self._definition

    async def run(self, arguments: Mapping[str, Any]) -> object:
        answer = self._take(arguments)
        await asyncio.sleep(answer.delay)
        if answer.raises is not None:
            raise MockedFailure(answer.raises)
        return answer.returns

    def _take(self, arguments: Mapping[str, Any]) -> MockAnswer:
        for state in self._answers:
            fits = all(
                key in arguments and arguments[key] == value
                for key, value in state.answer.match.items()
            )
            if fits and state.left != 0:
                state.left = None if state.left is None else state.left - 1
                return state.answer
        raise ToolError(
            f"the mock of {self._definition.name} has no matching answer left"
        )


class RefusedTool:
    """Replaces a tool that would use the network in a dry run."""

    def __init__(self, definition: ToolDefinition) -> None:
        self._definition = definition

    @property
    def definition(self) -> ToolDefinition:
        return self._definition

    async def run(self, arguments: Mapping[str, Any]) -> object:
        del arguments
        raise ToolError(f"{self._definition.name} calls a URL and is not mocked")


class MockedToolset:
    """The tools of a call under test; `refused` lists calls that were refused."""

    def __init__(self, registry: ToolRegistry) -> None:
        self.registry = registry
        self.refused: list[str] = []

    async def run(self, name: str, arguments: object) -> ToolOutcome:
        """Runs a call; real tools take no virtual time, asynchronous ones real time."""
        tool = self.registry.get(name)
        if isinstance(tool, RefusedTool) and name not in self.refused:
            self.refused.append(name)
        if tool is None or isinstance(tool, MockedTool | RefusedTool):
            return await self.registry.run(name, arguments)
        is_async = inspect.iscoroutinefunction(tool.run)
        with real_work(paced=is_async, seconds=tool.definition.timeout):
            return await self.registry.run(name, arguments)


def load_staged_tools(
    agent: AgentConfig, mocks: Mocks, *, allow_network: bool
) -> MockedToolset:
    """Loads an agent's tools, with mocks in place of those that have answers.

    Without `allow_network` an HTTP tool runs only where the mock says that it may.

    Raises:
        ToolError: a tool cannot be loaded, or a mocked tool does not exist.
    """
    tools: list[Tool] = []
    for config, loaded in zip(agent.tools, load_each(agent, kinds()), strict=True):
        if isinstance(loaded, ToolError):
            raise loaded
        name = loaded.definition.name
        answers = mocks.get(name, ())
        if answers:
            tools.append(MockedTool(loaded.definition, answers))
        elif config.kind == "http" and answers is not None and not allow_network:
            tools.append(RefusedTool(loaded.definition))
        else:
            tools.append(loaded)
    names = {tool.definition.name for tool in tools}
    for name in mocks:
        if name not in names:
            known = ", ".join(sorted(names)) or "none"
            raise ToolError(
                f"cannot mock the tool {name!r}: the agent does not have it",
                hint=f"its tools are: {known}",
            )
    return MockedToolset(ToolRegistry(tools, secrets=agent.secrets))


# Agents are read once for many calls, until one of their files changes.


@cache
def kinds() -> Mapping[str, ToolKind]:
    """Returns the installed tool kinds; searched once per process."""
    return installed_kinds()


def load_test_agent(
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    stand_ins: bool,
) -> AgentConfig:
    """Loads an agent; with `stand_ins`, unset environment variables get a value.

    Raises:
        ConfigError: the file has findings. FileUnreadable, UsageError.
    """
    files = AgentFileWatcher(path)
    stamp = tuple(sorted(files.poll().items()))
    given = frozenset(variables.items()), frozenset(environment.items())
    agent = _load(path, stamp, *given, stand_ins)
    # A copy for each call: tool kinds cache what they load by agent object.
    return replace(agent)


@lru_cache(maxsize=64)
def _load(
    path: Path,
    stamp: object,
    variables: frozenset[tuple[str, str]],
    environment: frozenset[tuple[str, str]],
    stand_ins: bool,
) -> AgentConfig:
    del stamp  # part of the cache key
    known = dict(environment)
    return load_agent(
        path,
        environment=_StandIns(known) if stand_ins else known,
        variables=dict(variables),
        kinds={key: kind.schema for key, kind in kinds().items()},
    )


class _StandIns(dict[str, str]):
    """An environment in which every variable is set."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"stand-in-for-{name}"
