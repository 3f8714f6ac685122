"""One hosted call: a client's session, the engine behind it, and what both share."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Protocol

from runner.engine.compose import (
    CallParts,
    RecordingOptions,
    build_call,
    describe_call,
    new_session,
    record_call,
)
from runner.engine.engine import Engine
from runner.engine.toolset import LiveToolset, build_client_config, build_toolset
from runner.errors import VagentError
from runner.hosting.agents import AgentVersion, HostedAgent
from runner.hosting.audio import RemoteMicrophone, RemoteSpeaker
from runner.hosting.session import (
    CallOver,
    CallRefused,
    EndCall,
    HostedAction,
    HostedEvent,
    HostedSession,
    PlaybackReport,
    SayText,
    StartCall,
)
from runner.observers.call_stats import Counters
from runner.observers.events import (
    CallEvent,
    CallInterpreter,
    FinalTranscript,
    Handler,
    ToolEnded,
)
from runner.protocol.client import actions as engine_actions
from runner.protocol.client import events as engine_events
from runner.protocol.client.actions import Outcome
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp, Say
from runner.protocol.codec import encode
from runner.protocol.messages import ReplyAudio
from runner.protocol.server.events import (
    Close,
    Disconnected,
    FeedAudio,
    Resumed,
    Send,
    Tick,
)
from runner.recording.redaction import add_resume_token

_MAX_CHAT_LINES = 200  # of the operator's view


class ClientConnection(Protocol):
    """What a call needs of a connection to its client."""

    def send(self, message: str) -> None: ...

    def close(self, code: int) -> None:
        """Closes the connection after the messages that were sent."""
        ...


@dataclass(frozen=True, slots=True)
class ChatLine:
    """One line of a live call for the operator; `at` is epoch seconds."""

    at: float
    by: str  # caller, agent or tool
    text: str
    interrupted: bool = False


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of one call in seconds; None: no limit."""

    duration: float | None = None
    idle: float | None = None


@dataclass(slots=True)
class CallInfo:
    """What is known of a call from outside; `started_at` is epoch seconds."""

    call_id: str
    caller: str
    agent: str = ""
    started_at: float | None = None
    recording: str | None = None
    chat: deque[ChatLine] = field(default_factory=lambda: deque(maxlen=_MAX_CHAT_LINES))


class CallOwner(Protocol):
    """The server behind a call: agents, seats, recordings and observers."""

    async def admit(
        self, call: HostedCall, agent_id: str | None, variables: Mapping[str, str]
    ) -> tuple[HostedAgent, AgentVersion, CallLimits]:
        """Returns the agent of a call that may begin; raises CallNotAdmitted."""
        ...

    def observers(
        self, call: HostedCall, agent: HostedAgent, version: AgentVersion
    ) -> list[Handler]:
        """Returns the handlers of the call's events."""
        ...

    def recording(self) -> RecordingOptions | None: ...

    def notice(self, call: HostedCall, text: str) -> None: ...

    def over(self, call: HostedCall) -> None:
        """Called once when the session is closed and its call has ended."""
        ...


class CallNotAdmitted(Exception):
    """A call is refused; `code` is an error code of the wire."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class HostedCall:
    """A session of a client and the call behind it; its methods run on the loop."""

    def __init__(self, owner: CallOwner, session: HostedSession, caller: str) -> None:
        """`caller` identifies the client for the operator."""
        self.session = session
        self.info = CallInfo(session.session_id, caller)
        self.counters: Callable[[], Counters] | None = None
        self._owner = owner
        self._loop = asyncio.get_running_loop()
        self._connection: ClientConnection | None = None
        self._microphone = RemoteMicrophone()
        self._speaker = RemoteSpeaker(self._loop.time)
        self._engine: Engine | None = None
        self._running: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._end_reason: str | None = None
        session.begin(self._loop.time())
        self._set_timer()

    @property
    def is_connected(self) -> bool:
        """True while a connection uses the session."""
        return self._connection is not None

    def post(self, event: HostedEvent) -> None:
        """Feeds an event to the session and performs its actions."""
        self._perform_all(self.session.feed(event, self._loop.time()))
        self._set_timer()

    def attach(self, connection: ClientConnection) -> None:
        """Uses this connection; an earlier one is closed."""
        earlier, self._connection = self._connection, connection
        if earlier is not None:
            earlier.close(1000)

    def resume(self, connection: ClientConnection) -> None:
        """Continues the session over a new connection."""
        self.attach(connection)
        self._speaker.resume()
        self.post(Resumed())

    def detach(self, connection: ClientConnection) -> None:
        """Reports the end of a connection; ignored if another one has replaced it."""
        if self._connection is connection:
            self._connection = None
            self._speaker.pause()
            self.post(Disconnected())

    async def closed(self) -> None:
        """Returns once the call behind the session has ended."""
        if self._running is not None:
            await asyncio.wait((self._running,))

    def hang_up(self, reason: str) -> None:
        """Ends the call; the client learns it as a normal end."""
        self._end_call(reason)

    # ----------------------------------------------------------------------- actions

    def _perform_all(self, actions: list[HostedAction]) -> None:
        for action in actions:
            self._perform(action)

    def _perform(self, action: HostedAction) -> None:
        match action:
            case Send(message):
                if isinstance(message, ReplyAudio):
                    self._speaker.begin_reply(message.reply_id)
                if self._connection is not None:
                    self._connection.send(encode(message))
            case FeedAudio(pcm):
                self._microphone.feed(pcm)
            case PlaybackReport(reply_id, played_ms):
                self._speaker.report(reply_id, played_ms)
            case Close(code):
                self._close_connection(code)
            case StartCall() | SayText() | EndCall():
                self._control(action)

    def _control(self, action: StartCall | SayText | EndCall) -> None:
        match action:
            case StartCall(agent_id, variables):
                holding = self._hold(agent_id, variables)
                self._running = asyncio.create_task(holding, name="hosted call")
            case SayText(text):
                if self._engine is not None:
                    self._engine.post(Say(text))
            case EndCall(reason):
                self._end_call(reason)

    def _end_call(self, reason: str) -> None:
        self._end_reason = reason
        if self._engine is not None:
            self._engine.post(HangUp(reason))

    def _close_connection(self, code: int) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close(code)
        if self._running is None:
            self._owner.over(self)

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self.session.deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self.post, Tick())

    # ---------------------------------------------------------------------- the call

    async def _hold(self, agent_id: str | None, variables: Mapping[str, str]) -> None:
        """Holds the call from its admission to its end."""
        over: HostedEvent
        try:
            over = await self._hold_admitted(agent_id, variables)
        except CallNotAdmitted as refusal:
            over = CallRefused(refusal.code, refusal.message)
        except VagentError as error:
            self._owner.notice(self, error.with_hint)
            over = CallOver(engine_actions.Close(Outcome.FAILED, error.message))
        # A bug ends this call, and no other.
        except Exception as error:
            self._owner.notice(self, f"internal error: {error!r}")
            over = CallOver(engine_actions.Close(Outcome.FAILED, "internal error"))
        finally:
            self._engine = None
            # The session may be closed already; its seat is free now.
            self._loop.call_soon(self._owner.over, self)
        self.post(over)

    async def _hold_admitted(
        self, agent_id: str | None, variables: Mapping[str, str]
    ) -> CallOver:
        hosted, version, limits = await self._owner.admit(self, agent_id, variables)
        try:
            return CallOver(await self._run(hosted, version, limits))
        finally:
            await version.release()

    async def _run(
        self, hosted: HostedAgent, version: AgentVersion, limits: CallLimits
    ) -> engine_actions.Close:
        agent = version.agent
        self.info.agent, self.info.started_at = agent.name, time.time()
        self.session.configure(greeting=agent.greeting, voice=agent.voice.name)
        notice = partial(self._owner.notice, self)
        tools = build_toolset(version.registry)
        config = _limited(
            build_client_config(agent, tools, hosted.service, limits.duration), limits
        )
        seed = random.randrange(2**32)
        session = new_session(config, seed)
        changes = session.conversation.changes
        toolset = LiveToolset(
            tools, lambda: changes.current.tools, notice, owns_tools=False
        )
        # What this call learns, such as its resume token, is secret in its own files.
        secrets = hosted.redactor.copy()
        events = CallInterpreter(
            self._note, *self._owner.observers(self, hosted, version)
        )
        async with contextlib.AsyncExitStack() as stack:
            stack.push_async_callback(toolset.close)
            describe = partial(
                describe_call, agent, version.text, config, hosted.service.name, seed
            )
            recorder = stack.enter_context(
                record_call(
                    self._owner.recording(), describe, version.text, secrets, notice
                )
            )
            if recorder is not None:
                self.info.recording = str(recorder.folder)
            await stack.enter_async_context(self._microphone)
            parts = CallParts(
                session,
                hosted.dial,
                self._microphone,
                self._speaker,
                toolset.run,
                hung=lambda: toolset.hung,
                voice=hosted.announcements.say,
                observers=(
                    lambda at, what: add_resume_token(secrets, what),
                    *((recorder.observe,) if recorder else ()),
                ),
                events=events,
                late_observers=(self._observe, toolset.observe),
            )
            self._engine, self.counters = build_call(parts)
            if self._end_reason is not None:
                return engine_actions.Close(Outcome.CLEAN, self._end_reason)
            return await self._engine.run()

    def _observe(
        self, at: float, what: engine_events.Event | engine_actions.Action
    ) -> None:
        before = self.session.phase
        self._perform_all(self.session.observe(what, at))
        if self.session.phase is not before:
            self._set_timer()

    def _note(self, event: CallEvent) -> None:
        match event:
            case FinalTranscript(speaker=by, text=text, is_interrupted=cut):
                self.info.chat.append(ChatLine(time.time(), by, text, cut))
            case ToolEnded(_, call, outcome):
                text = f"{call.name}: {outcome}"
                self.info.chat.append(ChatLine(time.time(), "tool", text))
            case _:
                pass


def _limited(config: ClientConfig, limits: CallLimits) -> ClientConfig:
    """Returns the configuration with the server's limit for silent callers."""
    if limits.idle is None:
        return config
    ends = [each for each in (config.idle.end_after, limits.idle) if each is not None]
    return replace(config, idle=replace(config.idle, end_after=min(ends)))
