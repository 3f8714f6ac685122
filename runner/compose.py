"""The composition root: the only file that knows everyone.

`open_call` builds what one call needs from an agent file and the wishes of whoever
started it; a `Call` holds it. Nothing is global, everything is handed over.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from runner.audio.spoken import QueueMicrophone
from runner.caller import Caller, Deliver, Notice
from runner.config.model import AgentConfig
from runner.config.wire import session_fields
from runner.engine import Engine, Observer, RunToolCall
from runner.loading import load_agent_and_tools
from runner.localvoice import SpokenLines
from runner.nearend import NearEnd, open_near_end
from runner.protocol.client.actions import Close
from runner.protocol.client.calls import CallRules
from runner.protocol.client.events import HangUp, Say
from runner.protocol.client.session import ClientSession
from runner.protocol.client.wishes import ClientConfig, Idle, Patience
from runner.protocol.messages import ToolCall
from runner.services import Service, choose_service
from runner.tools.failures import Masking
from runner.tools.registry import ToolRegistry
from runner.tools.tool import ToolOutcome
from runner.transport import Dialer, choose_library

# The embedded server answers when its voice is loaded: a second or two on a fast
# machine, many more on a cold disk; and a large model on a small one thinks for long.
EMBEDDED_PATIENCE = Patience(ready=60.0, sound=45.0)


class View(Protocol):
    """Somebody who watches a call."""

    def observe(self, at: float, what: Any) -> None: ...

    def notice(self, text: str) -> None: ...


@dataclass(frozen=True, slots=True)
class CallWishes:
    """What the command line asks for; None leaves it to what is there.

    `input` is mic, text, none or a sound file; `output` is speaker, null or a file to
    write; `lines` are spoken by the local voice, each after the agent has finished.
    `transport` is a library for the wire, or auto.
    """

    agent: Path
    input: str | None = None
    output: str | None = None
    lines: tuple[str, ...] = ()
    service: str | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    max_duration: float | None = None
    transport: str = "auto"


@dataclass(frozen=True, slots=True)
class Call:
    """A call that is ready to begin."""

    engine: Engine
    near_end: NearEnd
    caller: Caller
    masking: Masking

    def hang_up(self, reason: str) -> None:
        """End the call politely, at once; on the event loop's thread."""
        self.engine.post(HangUp(reason))

    async def hold(self) -> Close:
        """Hold the call to its end.

        Raises:
            VagentError: a device, the voice or the input failed.
        """
        running = asyncio.create_task(self.engine.run())
        driving = asyncio.create_task(self.near_end.drive(self.caller))
        try:
            await asyncio.wait((running, driving), return_when="FIRST_COMPLETED")
            if driving.done() and not running.done():
                driving.result()  # raises what went wrong at the near end
            return await running
        finally:
            for task in (running, driving):
                task.cancel()
            await asyncio.gather(running, driving, return_exceptions=True)


@contextlib.asynccontextmanager
async def open_call(
    wishes: CallWishes,
    environment: Mapping[str, str],
    view: View,
    observers: Sequence[Observer] = (),
) -> AsyncIterator[Call]:
    """Build a call; everything that was opened is closed on leaving.

    Raises:
        VagentError: the file, a tool, a device or the service cannot be had.
    """
    agent, registry = load_agent_and_tools(wishes.agent, wishes.variables, environment)
    service = choose_service(wishes.service, agent.service_url, environment)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(registry.close)
        near_end = await stack.enter_async_context(
            open_near_end(wishes.input, wishes.output, wishes.lines, view.notice)
        )
        view.notice(f"service: {service.name} ({service.why})")
        url = await stack.enter_async_context(_reach(service, agent, view.notice))
        engine = Engine(
            ClientSession(
                _client_config(agent, registry, wishes, service), jitter=random.random
            ),
            Dialer(url, lambda: service.key, choose_library(wishes.transport)),
            microphone=near_end.microphone,
            speaker=near_end.speaker,
            run_tool=_tool_runner(registry, view.notice),
            observers=(*observers, view.observe),
        )
        deliver = _delivery(near_end, engine, agent, service, stack)
        caller = Caller(engine, near_end.speaker, deliver, view.notice)
        secrets = frozenset({service.key} if service.key else ()) | agent.secrets
        yield Call(engine, near_end, caller, Masking(secrets, shortest=6))


def _delivery(
    near_end: NearEnd,
    engine: Engine,
    agent: AgentConfig,
    service: Service,
    stack: contextlib.AsyncExitStack,
) -> Deliver:
    """Return how a line of the caller's reaches the service: as text or as sound."""

    async def say_as_text(line: str) -> None:
        engine.post(Say(line))

    microphone = near_end.microphone
    is_typed = near_end.input == "text"
    if not isinstance(microphone, QueueMicrophone) or is_typed and service.takes_text:
        return say_as_text
    spoken = SpokenLines(microphone, agent.local, near_end.lines)
    stack.callback(spoken.close)
    spoken.prepare()
    return spoken.deliver


@contextlib.asynccontextmanager
async def _reach(
    service: Service, agent: AgentConfig, notice: Callable[[str], None]
) -> AsyncIterator[str]:
    if service.url is not None:
        yield service.url
        return
    from runner.server.child import embedded_server

    def listen(line: Mapping[str, Any]) -> None:
        if line.get("type") == "vagent.missing":
            notice(
                f"no {line['part']} ({line['reason']}): {line['instead']}; "
                f"to mend it: {line['command']}"
            )

    async with embedded_server(agent.local, listen) as url:
        yield url


def _client_config(
    agent: AgentConfig,
    registry: ToolRegistry,
    wishes: CallWishes,
    service: Service,
) -> ClientConfig:
    limits = [
        limit
        for limit in (wishes.max_duration, agent.session.max_duration)
        if limit is not None
    ]
    is_embedded = service.url is None
    idle, carry_over = agent.session.idle, agent.session.carry_over
    return ClientConfig(
        session=session_fields(agent, registry.wire_definitions()),
        tools={
            tool.name: CallRules(
                terminal=tool.effect == "terminal", on_interrupt=tool.on_interrupt
            )
            for tool in registry.definitions()
        },
        immediate_results=agent.session.tool_results == "immediate",
        max_duration=min(limits, default=None),
        one_minute_left=agent.session.one_minute_left,
        idle=Idle(idle.nudge_after, idle.say, idle.end_after),
        carry_over=is_embedded if carry_over is None else carry_over,
        patience=EMBEDDED_PATIENCE if is_embedded else Patience(),
    )


def _tool_runner(registry: ToolRegistry, notice: Notice) -> RunToolCall:
    async def run(call: ToolCall) -> ToolOutcome:
        outcome = await registry.run(call.name, call.arguments)
        if outcome.detail:
            notice(f"{call.name}: {outcome.detail}")
        return outcome

    return run
