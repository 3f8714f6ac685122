"""All hosted calls of one process: seats, sessions to resume, leaving."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from runner.engine.compose import RecordingOptions
from runner.hosting.agents import (
    AgentVersion,
    HostedAgent,
    HostedAgents,
    VariablesRefused,
)
from runner.hosting.call import CallLimits, CallNotAdmitted, HostedCall
from runner.hosting.limits import Admission, Refusal, Seat
from runner.hosting.session import HostedSession, Phase
from runner.observers.events import Handler
from runner.protocol.server.events import ShutDown

# The interval and the memory of the measurement of the event loop.
_LAG_SECONDS = 0.1
_LAG_SAMPLES = 100
# Time for calls to say goodbye once they are ended.
_GOODBYE_SECONDS = 8.0

ObserveCall = Callable[[HostedCall, HostedAgent, AgentVersion], Sequence[Handler]]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who opens a session: `identity` for limits, and what a token allows.

    `identity` is the subject of a token or a network; `agent_id` and `variables` are
    None if no token binds them.
    """

    identity: str
    agent_id: str | None = None
    variables: Mapping[str, str] | None = None
    max_duration: float | None = None


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What a host applies to all calls."""

    duration: float | None = None  # seconds
    idle: float | None = None  # seconds
    show_tools: bool = False
    recording: RecordingOptions | None = None


@dataclass(slots=True)
class CallHost:
    """The calls of one process; its methods run on the event loop.

    `observe` returns handlers of the events of a new call; `log` receives a line and
    the call that it is about.
    """

    agents: HostedAgents
    admission: Admission
    options: HostOptions
    log: Callable[[str, HostedCall | None], None]
    observe: ObserveCall = lambda call, agent, version: ()
    on_over: Callable[[HostedCall], None] = lambda call: None
    is_leaving: bool = False
    calls: dict[str, HostedCall] = field(default_factory=dict)
    loop_lag: float = 0.0  # seconds; the largest of the last ten seconds
    _callers: dict[str, Caller] = field(default_factory=dict)
    _seats: dict[str, Seat] = field(default_factory=dict)
    _empty: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def live(self) -> list[HostedCall]:
        """The calls that have a seat."""
        return [self.calls[each] for each in self._seats if each in self.calls]

    def open(self, caller: Caller) -> HostedCall:
        """Returns a new session without a call; it waits for its first message."""
        epoch = time.time() - asyncio.get_running_loop().time()
        session = HostedSession(new_id, epoch=epoch, show_tools=self.options.show_tools)
        call = HostedCall(self, session, caller.identity)
        self.calls[session.session_id] = call
        self._callers[session.session_id] = caller
        self._empty.clear()
        return call

    def find_live(self, session_id: str) -> HostedCall | None:
        """Returns a session that a client can resume."""
        call = self.calls.get(session_id)
        if call is None or call.session.phase is not Phase.LIVE:
            return None
        return call

    def caller_of_token(self, token: str) -> Caller | None:
        """Returns the caller whose session has this resume token."""
        found = None
        for session_id, call in self.calls.items():
            if secrets.compare_digest(
                call.session.resume_token.encode(), token.encode("utf-8", "replace")
            ):
                found = self._callers.get(session_id)
        return found

    def refusal(self, caller: Caller) -> Refusal | None:
        """Returns why a new call of this caller would be refused, or None."""
        if self.is_leaving:
            text = "The server is shutting down; try again soon"
            return Refusal(503, "leaving", text, 5.0)
        return self.admission.refusal(caller.identity, time.time())

    async def measure_lag(self) -> None:
        """Measures how late the event loop runs, until it is cancelled."""
        loop = asyncio.get_running_loop()
        samples = [0.0] * _LAG_SAMPLES
        number = 0
        while True:
            due = loop.time() + _LAG_SECONDS
            await asyncio.sleep(_LAG_SECONDS)
            samples[number % _LAG_SAMPLES] = max(0.0, loop.time() - due)
            number += 1
            self.loop_lag = max(samples)

    async def leave(self, wait_seconds: float) -> None:
        """Refuses new calls and waits for the live ones, then ends those left."""
        self.is_leaving = True
        if not self.calls:
            return
        try:
            async with asyncio.timeout(wait_seconds):
                await self._empty.wait()
        except TimeoutError:
            await self.end_all()

    async def end_all(self) -> None:
        """Ends every call with a goodbye to client and service."""
        self.is_leaving = True
        calls = list(self.calls.values())
        for call in calls:
            call.post(ShutDown())
        waiting = [asyncio.create_task(call.closed()) for call in calls]
        if waiting:
            _, pending = await asyncio.wait(waiting, timeout=_GOODBYE_SECONDS)
            for task in pending:
                task.cancel()
        self._empty.set()

    # ------------------------------------------------------ what a call asks its owner

    async def admit(
        self, call: HostedCall, agent_id: str | None, variables: Mapping[str, str]
    ) -> tuple[HostedAgent, AgentVersion, CallLimits]:
        """Returns the agent of a call that may begin; raises CallNotAdmitted."""
        caller = self._callers[call.info.call_id]
        if caller.agent_id is not None:
            if agent_id not in (None, caller.agent_id):
                text = f"the token is for the agent '{caller.agent_id}'"
                raise CallNotAdmitted("unauthorized", text)
            agent_id = caller.agent_id
        if caller.variables is not None:
            variables = {**variables, **caller.variables}
        hosted = self.agents.find(agent_id)
        if hosted is None:
            raise CallNotAdmitted("agent_not_found", "Agent not found")
        try:
            hosted.check(variables)
        except VariablesRefused as refusal:
            raise CallNotAdmitted("invalid_value", str(refusal)) from None
        if self.is_leaving:
            raise CallNotAdmitted("at_capacity", "The server is shutting down")
        seat = self.admission.admit(caller.identity, time.time())
        if isinstance(seat, Refusal):
            raise CallNotAdmitted(_wire_code(seat), seat.message)
        self._seats[call.info.call_id] = seat
        version = await hosted.acquire(variables)
        limits = [self.options.duration, caller.max_duration]
        duration = min((each for each in limits if each is not None), default=None)
        return hosted, version, CallLimits(duration, self.options.idle)

    def observers(
        self, call: HostedCall, agent: HostedAgent, version: AgentVersion
    ) -> list[Handler]:
        """Returns the handlers of the call's events."""
        self.log(f"call of '{agent.name}' began", call)
        return list(self.observe(call, agent, version))

    def recording(self) -> RecordingOptions | None:
        """Returns the options of the recording of a call."""
        return self.options.recording

    def notice(self, call: HostedCall, text: str) -> None:
        """Logs a notice of a call."""
        self.log(text, call)

    def over(self, call: HostedCall) -> None:
        """Frees what a closed session used."""
        call_id = call.info.call_id
        if call.session.phase is not Phase.CLOSED or call_id not in self.calls:
            return
        del self.calls[call_id]
        self._callers.pop(call_id, None)
        seat = self._seats.pop(call_id, None)
        if seat is not None:
            seat.release(time.time())
            self.log("call ended", call)
            self.on_over(call)
        if not self.calls:
            self._empty.set()


def new_id(kind: str) -> str:
    """Returns a new identifier with this prefix, which cannot be guessed."""
    return f"{kind}_{secrets.token_hex(16)}"


def _wire_code(refusal: Refusal) -> str:
    """Returns the error code of the wire for a refused call."""
    return "concurrency_exceeded" if refusal.status == 429 else "at_capacity"
