"""The session of one client of a hosted agent, as a pure state machine.

The client speaks the wire of AssemblyAI; an engine behind it holds the call with the
service. This core translates between them: `feed` takes what the client and its
connection do, `observe` what the engine does, and both return the actions to perform.

| phase    | leaves on                                                     | to       |
|----------|---------------------------------------------------------------|----------|
| OPENING  | a valid first session.update                                  | STARTING |
|          | an invalid one, session.resume, session.end, a lost connection | CLOSED   |
| STARTING | session.ready of the service                                  | LIVE     |
|          | session.end, a lost connection, a call that fails             | CLOSED   |
| LIVE     | session.end, the end of the call, 30 s without a connection   | CLOSED   |

A live session whose connection is lost keeps its messages for the next connection. The
client sets which agent it calls, and variables that the agent file declares with
`source: call`; tool calls, prompts and the messages of the service about itself never
reach it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any, TypeAlias

from runner.protocol.client import actions as engine_actions
from runner.protocol.client import events as engine_events
from runner.protocol.client.actions import Announce, CancelTool, Outcome, Play, RunTool
from runner.protocol.client.events import ToolFinished
from runner.protocol.client.session import SILENCE_REASON, TIME_LIMIT_REASON
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    JsonObject,
    ReplyAudio,
    ReplyCancel,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    SessionUpdated,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
    Unknown,
)
from runner.protocol.server.config import default_settings
from runner.protocol.server.events import (
    Close,
    Disconnected,
    FeedAudio,
    Malformed,
    Received,
    Resumed,
    Send,
    ShutDown,
    Tick,
)
from runner.protocol.server.session import AudioRateLimiter, SessionExpiry, error_text
from runner.protocol.server.turn_taking import MakeId

# Time for the service to become ready, and for the first message of a client.
START_SECONDS = 90.0
OPENING_SECONDS = 30.0
MAX_TEXT_CHARACTERS = 4_000  # of one typed message
# Audio that is kept for a client without a connection; the service sends faster than
# real time, so more than the grace period can arrive.
_MAX_KEPT_BYTES = 60 * 48_000
_CLIENT_ENCODING = "audio/pcm"


@dataclass(frozen=True, slots=True)
class PlaybackReport:
    """The client has played this much of a reply."""

    reply_id: str
    played_ms: float


@dataclass(frozen=True, slots=True)
class CallRefused:
    """The call that the client asked for is not started."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class CallOver:
    """The engine has ended the call."""

    close: engine_actions.Close


@dataclass(frozen=True, slots=True)
class StartCall:
    """Starts the call; `agent_id` None: the only agent."""

    agent_id: str | None
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class SayText:
    """Passes typed text of the caller to the call."""

    text: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """Ends the call; its `CallOver` may follow."""

    reason: str


HostedEvent: TypeAlias = (
    Received
    | Malformed
    | PlaybackReport
    | Disconnected
    | Resumed
    | Tick
    | ShutDown
    | CallRefused
    | CallOver
)
HostedAction: TypeAlias = (
    Send | Close | FeedAudio | StartCall | SayText | EndCall | PlaybackReport
)
Actions: TypeAlias = Iterator[HostedAction]

# Messages of the service that the client receives as they are.
_FORWARDED = (
    InputSpeechStarted,
    InputSpeechStopped,
    TranscriptUserDelta,
    TranscriptUser,
    ReplyStarted,
    TranscriptAgentDelta,
    TranscriptAgent,
    ReplyDone,
)


class Phase(Enum):
    """Phases of a session."""

    OPENING = auto()
    STARTING = auto()
    LIVE = auto()
    CLOSED = auto()


class HostedSession:
    """One session of a client; its driver feeds it and performs its actions in order.

    `make_id` returns a new identifier with the prefix that it is called with. `epoch`
    plus `now` is seconds since 1970. With `show_tools`, the client learns which tools
    run. The driver must feed `Tick` once `now` reaches `deadline`.
    """

    def __init__(
        self, make_id: MakeId, *, epoch: float = 0.0, show_tools: bool = False
    ) -> None:
        self.session_id = make_id("sess")
        self.resume_token = make_id("resume")
        self.phase = Phase.OPENING
        self.is_connected = True
        self.show_tools = show_tools
        self._make_id = make_id
        self._epoch = epoch
        self._expiry = SessionExpiry()
        self._rate_limiter = AudioRateLimiter()
        self._starts_before: float | None = None
        self._config: JsonObject = {}
        self._kept: deque[ServerMessage] = deque()  # for the next connection
        self._kept_bytes = 0
        self._typed: list[str] = []
        self._reply_id = ""  # of the audio that is played next
        self._announcement: str | None = None  # its text is sent, its audio is not
        self._announcements = 0
        self._tools: dict[str, str] = {}  # names by call id

    @property
    def deadline(self) -> float | None:
        """When to feed `Tick`, on the driver's clock."""
        if self.phase is Phase.LIVE:
            return self._expiry.ends
        return None if self.phase is Phase.CLOSED else self._starts_before

    def begin(self, now: float) -> None:
        """Starts the time limit of the first message."""
        self._starts_before = now + OPENING_SECONDS

    def configure(self, *, greeting: str | None, voice: str | None) -> None:
        """Sets what the client learns about the agent, before the call is ready."""
        config: dict[str, Any] = default_settings().echo(self.session_id)
        config["greeting"] = greeting
        config["output"] = {**config["output"], "voice": voice}
        self._config = config

    def feed(self, event: HostedEvent, now: float) -> list[HostedAction]:
        """Handles what the client, its connection or the call did; does not raise."""
        if self.phase is Phase.CLOSED:
            return []
        return self._stamped(self._react(event, now), now)

    def observe(
        self, what: engine_events.Event | engine_actions.Action, now: float
    ) -> list[HostedAction]:
        """Handles an event or an action of the engine."""
        if self.phase not in (Phase.STARTING, Phase.LIVE):
            return []
        # First, because it is frequent.
        if isinstance(what, Play):
            return self._stamped(self._play(what.pcm), now)
        return self._stamped(self._follow(what, now), now)

    # -------------------------------------------------------------------- connection

    def _react(self, event: HostedEvent, now: float) -> Actions:
        match event:
            case Received(message=message):
                yield from self._receive(message, now)
            case PlaybackReport():
                if self.phase is Phase.LIVE:
                    yield event
            case Malformed(error=error):
                yield Send(SessionError(error.code, error_text(error)))
            case Disconnected():
                yield from self._drop(now)
            case Resumed():
                yield from self._resume(now)
            case Tick():
                yield from self._tick(now)
            case ShutDown():
                yield EndCall("the server was stopped")
                yield from self._end(now, Close(1000))
            case CallRefused() | CallOver():
                yield from self._end_with_call(event, now)

    def _drop(self, now: float) -> Actions:
        self.is_connected = False
        if self.phase is Phase.LIVE:
            self._expiry.drop(now)
            return
        if self.phase is Phase.STARTING:
            # The client has no session id yet, so it cannot resume.
            yield EndCall("the caller left before the call began")
        yield from self._close(Close(1000))

    def _resume(self, now: float) -> Actions:
        if self.phase is not Phase.LIVE:
            return
        self.is_connected = True
        self._expiry.resume()
        self._rate_limiter = AudioRateLimiter()
        self.resume_token = self._make_id("resume")
        yield Send(self._ready())
        while self._kept:
            yield Send(self._kept.popleft())
        self._kept_bytes = 0

    def _tick(self, now: float) -> Actions:
        if self.phase is not Phase.LIVE:
            if self._starts_before is not None and now >= self._starts_before:
                what = "No session was opened in time"
                if self.phase is Phase.STARTING:
                    yield EndCall("the service did not become ready in time")
                    what = "The agent is not available"
                yield Send(SessionError("session_expired", what))
                yield from self._close(Close(1008))
        elif self._expiry.is_over(now):
            reason = "the caller did not come back" if not self.is_connected else ""
            yield EndCall(reason or "the session reached its time limit")
            if self.is_connected:
                yield Send(SessionError("session_expired", "Session expired"))
            yield from self._end(now, Close(1008))

    def _end_with_call(self, event: CallRefused | CallOver, now: float) -> Actions:
        if isinstance(event, CallRefused):
            yield Send(SessionError(event.code, event.message))
            yield from self._close(Close(1008))
            return
        close = event.close
        if close.outcome is not Outcome.CLEAN:
            # The reason may describe the service behind, which is not the client's.
            yield Send(SessionError("internal_error", "The agent is not available"))
            yield from self._end(now, Close(1011))
            return
        if close.reason == TIME_LIMIT_REASON:
            text = "The call reached its time limit"
            yield Send(SessionError("session_expired", text))
        elif close.reason.startswith(SILENCE_REASON):
            text = "The call ended because the caller was silent"
            yield Send(SessionError("session_expired", text))
        yield from self._end(now, Close(1000))

    def _end(self, now: float, close: Close) -> Actions:
        yield Send(SessionEnded(round(self._expiry.age(now), 3), None))
        yield from self._close(close)

    def _close(self, close: Close) -> Actions:
        self.phase = Phase.CLOSED
        self._expiry.end()
        self._kept.clear()
        yield close

    # ---------------------------------------------------------------------- messages

    def _receive(self, message: ClientMessage, now: float) -> Actions:
        match message:
            case InputAudio(pcm=pcm):
                if self.phase is Phase.LIVE:  # earlier audio is discarded
                    yield from self._take_audio(pcm, now)
            case SessionEnd():
                if self.phase is not Phase.OPENING:
                    yield EndCall("the caller hung up")
                yield from self._end(now, Close(1000))
            case SessionUpdate(session=update):
                yield from self._update(update, now)
            case SessionResume() if self.phase is Phase.OPENING:
                # The driver feeds this message only if it has no such session.
                yield Send(SessionError("session_not_found", "Session not found"))
                yield from self._close(Close(1008))
            case _ if self.phase is Phase.OPENING:
                text = f"Send session.update before '{message.TYPE}'"
                yield Send(SessionError("invalid_format", text))
            case _:
                yield from self._converse(message)

    def _take_audio(self, pcm: bytes, now: float) -> Actions:
        error = self._rate_limiter.check(pcm, _CLIENT_ENCODING, now)
        if error is not None:
            yield Send(SessionError(*error))
        elif not self._rate_limiter.refusing and pcm:
            yield FeedAudio(pcm[: len(pcm) & ~1])

    def _converse(self, message: ClientMessage) -> Actions:
        match message:
            case ConversationMessage("user", content):
                if len(content) > MAX_TEXT_CHARACTERS:
                    text = f"A message has at most {MAX_TEXT_CHARACTERS} characters"
                    yield Send(SessionError("invalid_value", text, "content"))
                elif content.strip():
                    self._typed = [*self._typed[-9:], content.strip()]
            case ReplyCreate(None):
                if self._typed and self.phase is Phase.LIVE:
                    text, self._typed = "\n".join(self._typed), []
                    yield SayText(text)
            case ReplyCreate():
                yield Send(_refused("instructions"))
            case ConversationMessage():
                yield Send(_refused("role"))
            case ToolResult():
                # The tools of a hosted agent run on its server.
                yield Send(_refused("tool.result"))
            case ReplyCancel():
                yield Send(_refused("reply.cancel"))
            case _:
                text = f"Invalid message format for type '{message.TYPE}'"
                yield Send(SessionError("invalid_format", text))

    def _update(self, update: JsonObject, now: float) -> Actions:
        is_first = self.phase is Phase.OPENING
        error = _check_update(update, is_first=is_first)
        if error is not None:
            yield Send(error)
            if is_first:
                yield from self._close(Close(1008))
            return
        if not is_first:
            yield Send(SessionUpdated(self._config))
            return
        self.phase = Phase.STARTING
        self._starts_before = now + START_SECONDS
        yield StartCall(update.get("agent_id"), update.get("variables") or {})

    # ------------------------------------------------------------------------ engine

    def _follow(
        self, what: engine_events.Event | engine_actions.Action, now: float
    ) -> Actions:
        match what:
            case engine_events.Received(message=message):
                yield from self._forward(message, now)
            case Announce(text):
                self._announcements += 1
                self._announcement = f"announcement_{self._announcements}"
                yield from self._send(ReplyStarted(self._announcement))
                yield from self._send(TranscriptAgent(text, self._announcement))
            case RunTool(call):
                self._tools[call.call_id] = call.name
                yield from self._show_tool(call.call_id, "started")
            case ToolFinished(call_id, _, is_error):
                yield from self._show_tool(call_id, "failed" if is_error else "done")
            case CancelTool(call_id):
                yield from self._show_tool(call_id, "failed")
            case _:
                pass

    def _forward(self, message: ServerMessage, now: float) -> Actions:
        if isinstance(message, _FORWARDED):
            if isinstance(message, ReplyStarted):
                self._reply_id = message.reply_id
            yield from self._send(message)
        elif isinstance(message, ReplyError):
            # Its text and its provider's codes describe the service behind.
            text = "The agent could not answer"
            yield from self._send(ReplyError(message.reply_id, "reply_failed", text))
        elif isinstance(message, SessionReady) and self.phase is Phase.STARTING:
            self.phase = Phase.LIVE
            self._expiry.begin(now)
            yield from self._send(SessionUpdated(self._config))
            yield from self._send(self._ready())

    def _play(self, pcm: bytes) -> Actions:
        announcement, self._announcement = self._announcement, None
        yield from self._send(ReplyAudio(pcm, announcement or self._reply_id))
        if announcement is not None:
            yield from self._send(ReplyDone(announcement))

    def _show_tool(self, call_id: str, status: str) -> Actions:
        name = self._tools.get(call_id)
        if status != "started":
            self._tools.pop(call_id, None)
        if name is not None and self.show_tools:
            fields = {"call_id": call_id, "name": name, "status": status}
            yield from self._send(Unknown("vagent.tool", fields))

    # ------------------------------------------------------------------------ output

    def _send(self, message: ServerMessage) -> Actions:
        """Sends a message, or keeps it for the next connection."""
        if self.is_connected:
            yield Send(message)
            return
        if isinstance(message, ReplyAudio):
            if self._kept_bytes + len(message.pcm) > _MAX_KEPT_BYTES:
                return
            self._kept_bytes += len(message.pcm)
        self._kept.append(message)

    def _ready(self) -> SessionReady:
        ends = self._expiry.ends
        expires_at = None if ends is None else int(self._epoch + ends)
        return SessionReady(
            self.session_id, self._config, expires_at, self.resume_token
        )

    def _stamped(self, actions: Actions, now: float) -> list[HostedAction]:
        """Returns the actions; their messages have the time and the session's id."""
        stamped: list[HostedAction] = []
        for action in actions:
            if isinstance(action, Send) and not isinstance(action.message, Unknown):
                message = replace(action.message, timestamp=self._epoch + now)
                if isinstance(message, SessionError):
                    message = replace(message, session_id=self.session_id)
                action = Send(message)
            stamped.append(action)
        return stamped


def _refused(param: str) -> SessionError:
    text = f"'{param}' cannot be set by a client of a hosted agent"
    return SessionError("invalid_value", text, param)


def _check_update(update: JsonObject, *, is_first: bool) -> SessionError | None:
    """Returns the error of a session.update: clients choose agent and variables."""
    for key in update:
        if key not in ("agent_id", "variables"):
            return _refused(key)
    if not is_first:
        if "agent_id" in update:
            text = "agent_id can only be set on the first session.update"
            return SessionError("agent_id_not_first", text, "agent_id")
        if update.get("variables"):
            text = "variables can only be set on the first session.update"
            return SessionError("immutable_field", text, "variables")
        return None
    if not isinstance(update.get("agent_id"), str | None):
        return SessionError("invalid_value", "agent_id is not a string", "agent_id")
    variables = update.get("variables") or {}
    if not isinstance(variables, dict):
        text = "variables is not an object"
        return SessionError("invalid_value", text, "variables")
    for name, value in variables.items():
        if not isinstance(value, str):
            text = f"the variable '{name[:80]}' is not a string"
            return SessionError("invalid_value", text, "variables")
    return None
