"""The tools of a running call over all changes of them.

A call that has begun keeps the tools it began with. Tools that are replaced are closed
when none of their calls runs any more.
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
# Most of what happens is sound, which is let pass at once.
_CONCERNS = frozenset((RunTool, CancelTool, ConfigApplied))


@dataclass(slots=True, eq=False)
class ToolsetVersion:
    """The tools of one state of an agent file, and the rules that come with them.

    The session tells outfits apart by the identity of `rules`.
    """

    registry: ToolRegistry
    rules: Rules
    calls: set[str] = field(default_factory=set)  # that are to run with it, or do


def build_toolset(registry: ToolRegistry) -> ToolsetVersion:
    """Return what is needed to use a registry's tools."""
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
    """Runs a call's tools; the engine calls `run`, and `observe` as for any observer.

    `adopted` returns the rules of the configuration that the service follows.
    """

    def __init__(
        self,
        first: ToolsetVersion,
        adopted: Callable[[], Rules],
        notice: Callable[[str], None],
    ) -> None:
        self._current = first
        self._offered: list[ToolsetVersion] = []  # not followed yet, in order
        self._retired: list[ToolsetVersion] = []  # calls still run with them
        self._adopted = adopted
        self._notice = notice
        self._begun: set[str] = set()
        self._closing: set[asyncio.Task[None]] = set()
        self._closed: list[ToolRegistry] = []  # whose hung threads are still counted

    @property
    def hung(self) -> int:
        """How many plain functions were given up and still run."""
        outfits = (self._current, *self._offered, *self._retired)
        return sum(
            registry.hung
            for registry in (*(each.registry for each in outfits), *self._closed)
        )

    def offer(self, outfit: ToolsetVersion) -> None:
        """Use these tools from when the service follows the change to them."""
        self._offered.append(outfit)

    def observe(self, at: float, what: Event | Action) -> None:
        """Note which tools a call is to run with, and when others take over."""
        del at
        if type(what) not in _CONCERNS:
            return
        match what:
            case RunTool(call):
                self._current.calls.add(call.call_id)
            case CancelTool(call_id) if call_id not in self._begun:
                self._release(call_id)  # it waits in a queue, and never gets to `run`
            case ConfigApplied():
                self._adopt(self._adopted())
            case _:
                pass

    async def run(self, call: ToolCall) -> ToolOutcome:
        """Run a call with the tools that were in use when it began."""
        self._begun.add(call.call_id)
        try:
            registry = self._outfit_of(call.call_id).registry
            outcome = await registry.run(call.name, call.arguments)
        finally:
            self._begun.discard(call.call_id)
            self._release(call.call_id)
        if outcome.detail:
            self._notice(f"{call.name}: {outcome.detail}")
        return outcome

    async def close(self) -> None:
        """Close all tools; no call may follow."""
        for each in (*self._retired, *self._offered, self._current):
            await each.registry.close()
        self._retired.clear()
        self._offered.clear()
        await asyncio.gather(*self._closing)

    def _adopt(self, rules: Rules) -> None:
        """Retire what the outfit with these rules replaces; none: nothing changed."""
        for number, each in enumerate(self._offered):
            if each.rules is rules:
                # What was offered before it was refused, or overtaken.
                replaced = [self._current, *self._offered[:number]]
                self._current, self._offered = each, self._offered[number + 1 :]
                self._retired += replaced
                self._close_unused()
                return

    def _outfit_of(self, call_id: str) -> ToolsetVersion:
        for each in self._retired:
            if call_id in each.calls:
                return each
        return self._current

    def _release(self, call_id: str) -> None:
        self._outfit_of(call_id).calls.discard(call_id)
        self._close_unused()

    def _close_unused(self) -> None:
        for each in [each for each in self._retired if not each.calls]:
            self._retired.remove(each)
            self._closed.append(each.registry)
            closing = asyncio.create_task(each.registry.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)


# On what terms a call is held: what an agent file asks of its session.


# The local service answers when its voice is loaded: a second or two on a fast
# machine, many more on a cold disk; and a large model on a small one thinks for long.
LOCAL_PATIENCE = Timeouts(ready=60.0, sound=45.0)


def build_client_config(
    agent: AgentConfig,
    tools: ToolsetVersion,
    service: Service,
    max_duration: float | None,
) -> ClientConfig:
    """Return what the session of a call with this agent is made of."""
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
        patience=LOCAL_PATIENCE if service.is_local else Timeouts(),
        # Its own server's replies are never silent for long, and it takes reply.create.
        announce_by="reply" if service.url is None else "either",
    )
