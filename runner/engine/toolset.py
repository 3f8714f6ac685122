"""The tools of a running call across hot reloads, and the session configuration.

A tool call that has started keeps the tools it started with. Replaced tools are closed
after the last of their tool calls.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from runner.config.model import AgentConfig, session_fields
from runner.engine.services import Service
from runner.protocol.client.actions import Action, CancelTool, ConfigApplied, RunTool
from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts
from runner.protocol.client.events import Event
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import ToolCall
from runner.tools.registry import ToolRegistry
from runner.tools.tool import ToolOutcome

Rules: TypeAlias = Mapping[str, ToolPolicy]
# Most events are audio, which is skipped immediately.
_HANDLED = frozenset((RunTool, CancelTool, ConfigApplied))


@dataclass(slots=True, eq=False)
class ToolsetVersion:
    """The tools of one version of an agent file, with their rules.

    The session distinguishes versions by the identity of `rules`.
    """

    registry: ToolRegistry
    rules: Rules
    calls: set[str] = field(default_factory=set)  # ids of its pending tool calls


def build_toolset(registry: ToolRegistry) -> ToolsetVersion:
    """Returns the tools of a registry with the rules for the session."""
    rules = {
        tool.name: ToolPolicy(
            terminal=tool.effect == "terminal",
            on_interrupt=tool.on_interrupt,
            announce=tool.announce or None,
        )
        for tool in registry.definitions()
    }
    return ToolsetVersion(registry, rules)


class LiveToolset:
    """Runs the tools of a call; the engine calls `run`, and `observe` as an observer.

    `adopted` returns the rules of the configuration that is in effect at the service.
    Without `owns_tools`, the tools are shared with other calls and stay open.
    """

    def __init__(
        self,
        first: ToolsetVersion,
        adopted: Callable[[], Rules],
        notice: Callable[[str], None],
        *,
        owns_tools: bool = True,
    ) -> None:
        self._owns_tools = owns_tools
        self._current = first
        self._offered: list[ToolsetVersion] = []  # not in effect yet, in order
        self._retired: list[ToolsetVersion] = []  # with pending tool calls
        self._adopted = adopted
        self._notice = notice
        self._started: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed: list[ToolRegistry] = []  # kept for the count of hung threads

    @property
    def hung(self) -> int:
        """Number of plain functions that timed out and still run."""
        versions = (self._current, *self._offered, *self._retired)
        return sum(
            registry.hung
            for registry in (*(each.registry for each in versions), *self._closed)
        )

    def offer(self, version: ToolsetVersion) -> None:
        """Uses these tools once their configuration is in effect at the service."""
        self._offered.append(version)

    def observe(self, at: float, what: Event | Action) -> None:
        """Assigns tool calls to versions, and switches to an offered version."""
        del at
        if type(what) not in _HANDLED:
            return
        match what:
            case RunTool(call):
                self._current.calls.add(call.call_id)
            case CancelTool(call_id) if call_id not in self._started:
                self._release(call_id)  # still queued, so `run` is never called
            case ConfigApplied():
                self._adopt(self._adopted())
            case _:
                pass

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Runs a tool call with the tools that were current when it was requested."""
        self._started.add(call.call_id)
        try:
            registry = self._version_of(call.call_id).registry
            outcome = await registry.run(call.name, call.raw_arguments)
        finally:
            self._started.discard(call.call_id)
            self._release(call.call_id)
        if outcome.detail:
            self._notice(f"{call.name}: {outcome.detail}")
        return outcome

    async def close(self) -> None:
        """Closes all tools that it owns; no tool call may follow."""
        if not self._owns_tools:
            return
        for each in (*self._retired, *self._offered, self._current):
            await each.registry.close()
        self._retired.clear()
        self._offered.clear()
        await asyncio.gather(*self._closing)

    def _adopt(self, rules: Rules) -> None:
        """Makes the offered version with these rules current, if there is one."""
        for number, each in enumerate(self._offered):
            if each.rules is rules:
                # Versions offered before it were refused or superseded.
                replaced = [self._current, *self._offered[:number]]
                self._current, self._offered = each, self._offered[number + 1 :]
                self._retired += replaced
                self._close_unused()
                return

    def _version_of(self, call_id: str) -> ToolsetVersion:
        for each in self._retired:
            if call_id in each.calls:
                return each
        return self._current

    def _release(self, call_id: str) -> None:
        self._version_of(call_id).calls.discard(call_id)
        self._close_unused()

    def _close_unused(self) -> None:
        for each in [each for each in self._retired if not each.calls]:
            self._retired.remove(each)
            self._closed.append(each.registry)
            if not self._owns_tools:
                continue
            closing = asyncio.create_task(each.registry.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


# The local service answers after its voice was loaded: a second or two on a fast
# machine, longer from a cold disk; and a large model is slow on a small machine.
LOCAL_TIMEOUTS = Timeouts(ready=60.0, sound=45.0)


def build_client_config(
    agent: AgentConfig,
    tools: ToolsetVersion,
    service: Service,
    max_duration: float | None,
) -> ClientConfig:
    """Returns the session configuration of a call with this agent."""
    limits = [
        limit
        for limit in (max_duration, agent.session.max_duration)
        if limit is not None
    ]
    idle, carry_over = agent.session.idle, agent.session.carry_over
    return ClientConfig(
        session=session_fields(agent, tools.registry.wire_definitions()),
        tools=tools.rules,
        immediate_results=agent.session.tool_results == "immediate",
        max_duration=min(limits, default=None),
        one_minute_left=agent.session.one_minute_left,
        idle=IdlePolicy(idle.nudge_after, idle.say, idle.end_after),
        carry_over=service.is_local if carry_over is None else carry_over,
        patience=LOCAL_TIMEOUTS if service.is_local else Timeouts(),
        # Replies of the embedded server are never silent for long, and it accepts
        # reply.create.
        announce_by="reply" if service.url is None else "either",
    )
