"""The agents of a server: loaded once, shared by their calls, reloaded after edits."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Self

from runner.config.files import load_environment, read_agent_file
from runner.config.model import AgentConfig, LocalConfig
from runner.engine.agent import load_agent_and_tools
from runner.engine.caller import AnnouncementSynthesizer, LocalSynthesizer
from runner.engine.compose import connect_service, find_secrets, read_agent_text
from runner.engine.connection import Dial
from runner.engine.hot_reload import POLL_SECONDS, AgentFileWatcher, watch_changes
from runner.engine.services import Service, choose_service
from runner.errors import UsageError, VagentError
from runner.redaction import Redactor
from runner.tools.registry import ToolRegistry

# Of a variable that a client sets, as the schema of agent files says.
MAX_VARIABLE_CHARACTERS = 500
# Versions of an agent that are kept for calls with the same variables.
_MAX_VERSIONS = 32

Notice = Callable[[str], None]


class VariablesRefused(Exception):
    """A client sets variables that the agent does not accept."""


@dataclass(slots=True, eq=False)
class AgentVersion:
    """An agent with its tools, as some calls use it; closed after the last of them."""

    agent: AgentConfig
    registry: ToolRegistry
    text: str  # of the file
    calls: int = 0
    is_kept: bool = True  # for further calls

    async def release(self) -> None:
        """Ends the use by one call."""
        self.calls -= 1
        await self.close_if_unused()

    async def close_if_unused(self) -> None:
        """Closes the tools if no call uses them and none will."""
        if not self.is_kept and self.calls == 0:
            await self.registry.close()


@dataclass(slots=True, eq=False)
class HostedAgent:
    """One agent that a server hosts."""

    path: Path
    environment: Mapping[str, str]
    given: Mapping[str, str]  # variables from the command line
    call_variables: Mapping[str, bool]  # set by clients; True: it has no default
    service: Service
    dial: Dial
    announcements: AnnouncementSynthesizer
    redactor: Redactor
    versions: dict[tuple[tuple[str, str], ...], AgentVersion] = field(
        default_factory=dict
    )

    @property
    def current(self) -> AgentVersion:
        """The version for calls without variables."""
        return self.versions[()]

    @property
    def name(self) -> str:
        """The name in the file, by which clients call the agent."""
        return self.current.agent.name

    def load(self, variables: Mapping[str, str]) -> AgentVersion:
        """Returns a new version with these variables; call on a worker thread.

        Raises:
            VagentError: the file has findings, or a tool cannot be loaded.
        """
        unset = {name: "" for name, needed in self.call_variables.items() if needed}
        values = {**unset, **self.given, **variables}
        text = read_agent_text(self.path)
        agent, registry = load_agent_and_tools(
            self.path, values, self.environment, self.redactor.add
        )
        self.redactor.add(find_secrets(text, self.service))
        return AgentVersion(agent, registry, text)

    def check(self, variables: Mapping[str, str]) -> None:
        """Raises VariablesRefused for variables that a client may not set, or lacks."""
        for name, value in variables.items():
            if name not in self.call_variables:
                raise VariablesRefused(
                    f"'{name[:80]}' is not a variable that a client sets"
                )
            if len(value) > MAX_VARIABLE_CHARACTERS:
                raise VariablesRefused(
                    f"the variable '{name}' is longer than "
                    f"{MAX_VARIABLE_CHARACTERS} characters"
                )
            if not value.isprintable():
                raise VariablesRefused(f"the variable '{name}' is not one line of text")
        for name, is_needed in self.call_variables.items():
            if is_needed and name not in variables and name not in self.given:
                raise VariablesRefused(f"the variable '{name}' is not set")

    async def acquire(self, variables: Mapping[str, str]) -> AgentVersion:
        """Returns the version for a call, which releases it at its end.

        Raises:
            VariablesRefused: a client may not set these variables.
            VagentError: the agent cannot be loaded with these variables.
        """
        self.check(variables)
        key = tuple(sorted(variables.items()))
        version = self.versions.get(key)
        if version is None:
            version = await asyncio.to_thread(self.load, variables)
            await self._keep(key, version)
        version.calls += 1
        return version

    async def replace(self, version: AgentVersion) -> None:
        """Makes a reloaded version the one of new calls."""
        old = list(self.versions.values())
        self.versions = {(): version}
        for each in old:
            each.is_kept = False
            await each.close_if_unused()

    async def close(self) -> None:
        """Closes the tools of all versions; no call may follow."""
        for each in self.versions.values():
            await each.registry.close()
        self.versions.clear()

    async def _keep(
        self, key: tuple[tuple[str, str], ...], version: AgentVersion
    ) -> None:
        self.versions[key] = version
        if len(self.versions) > _MAX_VERSIONS:
            oldest = next(each for each in self.versions if each)
            removed = self.versions.pop(oldest)
            removed.is_kept = False
            await removed.close_if_unused()


@dataclass(frozen=True, slots=True)
class AgentSources:
    """What a server hosts: agent files, and how their service is reached."""

    paths: Sequence[Path]
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    transport: str = "auto"
    max_calls: int | None = None  # sessions of a local service


class HostedAgents:
    """All agents of a server, as an asynchronous context.

    Agents whose services are equal share one connection function and one local service.
    Notices are lines for the operator.
    """

    def __init__(
        self,
        sources: AgentSources,
        environment: Mapping[str, str],
        redactor: Redactor,
        notice: Notice,
    ) -> None:
        self._sources = sources
        self._process = environment
        self._redactor = redactor
        self._notice = notice
        self._agents: dict[str, HostedAgent] = {}
        self._dials: dict[tuple[str | None, LocalConfig], Dial] = {}
        self._voices: dict[LocalConfig, AnnouncementSynthesizer] = {}
        self._stack = contextlib.AsyncExitStack()

    def __iter__(self) -> Iterator[HostedAgent]:
        return iter(self._agents.values())

    async def __aenter__(self) -> Self:
        """Loads the agents and starts a local service if one is needed.

        Raises:
            VagentError: a file has findings, a tool cannot be loaded, or the local
                service does not start.
        """
        try:
            for path in self._sources.paths:
                await self._add(path)
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._close()

    def find(self, agent_id: str | None) -> HostedAgent | None:
        """Returns an agent by its name; None as the name is the only agent."""
        if agent_id is None:
            return next(iter(self)) if len(self._agents) == 1 else None
        return self._agents.get(agent_id)

    async def watch(self) -> None:
        """Reloads agents after edits of their files, until it is cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self:
                tasks.create_task(self._follow(each))

    async def _add(self, path: Path) -> None:
        environment = load_environment(path.parent, self._process)
        declared = _call_variables(path)
        unset = {name: "" for name, needed in declared.items() if needed}
        values = {**unset, **self._sources.variables}
        load = partial(
            load_agent_and_tools, path, values, environment, self._redactor.add
        )
        agent, registry = await asyncio.to_thread(load)
        if agent.name in self._agents:
            other = self._agents[agent.name].path
            raise UsageError(
                f"two agents have the name '{agent.name}': '{other}' and '{path}'",
                hint="clients call an agent by its name; change `name` in one file",
            )
        service = choose_service(self._sources.service, agent.service_url, environment)
        text = read_agent_text(path)
        self._redactor.add(find_secrets(text, service))
        hosted = HostedAgent(
            path,
            environment,
            self._sources.variables,
            declared,
            service,
            await self._dial(service, agent),
            self._voice(agent.local),
            self._redactor,
        )
        hosted.versions[()] = AgentVersion(agent, registry, text)
        self._agents[agent.name] = hosted

    async def _dial(self, service: Service, agent: AgentConfig) -> Dial:
        key = service.url, agent.local if service.url is None else LocalConfig()
        if key not in self._dials:
            connecting = connect_service(
                service,
                agent,
                self._sources.transport,
                self._notice,
                max_sessions=self._sources.max_calls,
            )
            self._dials[key] = await self._stack.enter_async_context(connecting)
        return self._dials[key]

    def _voice(self, local: LocalConfig) -> AnnouncementSynthesizer:
        if local not in self._voices:
            voice = LocalSynthesizer(local)
            self._stack.callback(voice.close)
            self._voices[local] = AnnouncementSynthesizer(voice.begin, self._notice)
        return self._voices[local]

    async def _follow(self, hosted: HostedAgent) -> None:
        files = AgentFileWatcher(hosted.path)
        seen = files.poll()

        async def poll() -> Mapping[Path, tuple[int, int, int] | None]:
            return await asyncio.to_thread(files.poll)

        async def pause() -> None:
            await asyncio.sleep(POLL_SECONDS)

        async for changed in watch_changes(seen, poll, pause):
            names = " and ".join(sorted(map(str, changed)))
            try:
                version = await asyncio.to_thread(hosted.load, {})
            except VagentError as error:
                self._notice(f"{error.with_hint}: '{hosted.name}' continues unchanged")
                continue
            if version.agent.name != hosted.name:
                await version.registry.close()
                self._notice(f"{names} changed: a new name needs a restart")
                continue
            await hosted.replace(version)
            self._notice(f"{names} changed: new calls of '{hosted.name}' use it")

    async def _close(self) -> None:
        for each in self:
            await each.close()
        await self._stack.aclose()


def _call_variables(path: Path) -> dict[str, bool]:
    """Returns the variables with `source: call`; True: without a default."""
    document = read_agent_file(path).document
    value = document.value if document is not None else None
    declared = value.get("variables") if isinstance(value, dict) else None
    if not isinstance(declared, dict):
        return {}
    return {
        name: "default" not in each
        for name, each in declared.items()
        if isinstance(each, dict) and each.get("source") == "call"
    }
