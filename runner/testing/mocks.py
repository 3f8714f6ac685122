"""Tools that answer from a scenario instead of running.

A mocked call is checked and bounded as a real one: its arguments against the tool's
schema, its result by size, its time by the tool's timeout.
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
    """What a mock raises in the tool's place."""


@dataclass(slots=True)
class _Stock:
    """An answer and how often it may still be given; None: for ever."""

    answer: MockAnswer
    left: int | None


class MockedTool:
    """Answers by the first answer that fits the arguments and is not used up."""

    def __init__(
        self, definition: ToolDefinition, answers: Sequence[MockAnswer]
    ) -> None:
        self._definition = definition
        self._answers = [_Stock(answer, answer.times) for answer in answers]

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
        for stock in self._answers:
            fits = all(
                key in arguments and arguments[key] == value
                for key, value in stock.answer.match.items()
            )
            if fits and stock.left != 0:
                stock.left = None if stock.left is None else stock.left - 1
                return stock.answer
        raise ToolError(f"the mock of {self._definition.name} has no answer left")


class RefusedTool:
    """Stands for a tool that would reach over the network out of a dry run."""

    def __init__(self, definition: ToolDefinition) -> None:
        self._definition = definition

    @property
    def definition(self) -> ToolDefinition:
        return self._definition

    async def run(self, arguments: Mapping[str, Any]) -> object:
        del arguments
        raise ToolError(f"{self._definition.name} calls a URL and is not mocked")


class MockedToolset:
    """The tools of one call under test; `refused` were called and must not run."""

    def __init__(self, registry: ToolRegistry) -> None:
        self.registry = registry
        self.refused: list[str] = []

    async def run(self, name: str, arguments: object) -> ToolOutcome:
        """Run one call; what is real takes its time beside a virtual clock."""
        tool = self.registry.get(name)
        if isinstance(tool, RefusedTool) and name not in self.refused:
            self.refused.append(name)
        if tool is None or isinstance(tool, MockedTool | RefusedTool):
            return await self.registry.run(name, arguments)
        with real_work(paced=inspect.iscoroutinefunction(tool.run)):
            return await self.registry.run(name, arguments)


def load_staged_tools(
    agent: AgentConfig, mocks: Mocks, *, allow_network: bool
) -> MockedToolset:
    """Load an agent's tools with answers in place of those that are mocked.

    Without `allow_network` an HTTP tool runs only where the mock says that it may.

    Raises:
        ToolError: a tool cannot be loaded, or what is mocked is none of the agent's.
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
                f"a mock of {name!r}, which the agent does not have",
                hint=f"its tools are: {known}",
            )
    return MockedToolset(ToolRegistry(tools, secrets=agent.secrets))


# Agents loaded for many calls: read once, as long as their files stay as they are.


@cache
def kinds() -> Mapping[str, ToolKind]:
    """Return the installed tool kinds; found once, nothing is installed meanwhile."""
    return installed_kinds()


def load_test_agent(
    path: Path,
    variables: Mapping[str, str],
    environment: Mapping[str, str],
    *,
    stand_ins: bool,
) -> AgentConfig:
    """Load an agent; with `stand_ins`, what the environment lacks is made up.

    Raises:
        ConfigError: the file has findings. FileUnreadable, UsageError.
    """
    files = AgentFileWatcher(path)
    stamp = tuple(sorted(files.poll().items()))
    given = frozenset(variables.items()), frozenset(environment.items())
    agent = _load(path, stamp, *given, stand_ins)
    # Its own object for each call: kinds keep what they have loaded for one agent.
    return replace(agent)


@lru_cache(maxsize=64)
def _load(
    path: Path,
    stamp: object,
    variables: frozenset[tuple[str, str]],
    environment: frozenset[tuple[str, str]],
    stand_ins: bool,
) -> AgentConfig:
    del stamp  # other files, another entry
    known = dict(environment)
    return load_agent(
        path,
        environment=_StandIns(known) if stand_ins else known,
        variables=dict(variables),
        kinds={key: kind.schema for key, kind in kinds().items()},
    )


class _StandIns(dict[str, str]):
    """An environment in which everything is set."""

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> str:
        return f"stand-in-for-{name}"
