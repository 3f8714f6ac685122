"""The server side of a session as a pure state machine: events in, actions out.

| phase   | leaves on                                       | to      |
|---------|-------------------------------------------------|---------|
| OPENING | a valid session.update                          | LIVE    |
|         | an invalid one, session.resume, session.end,    |         |
|         | Disconnected, ShutDown                          | CLOSED  |
| LIVE    | Disconnected                                    | DROPPED |
|         | session.end, ShutDown, Tick (lifetime over)     | CLOSED  |
| DROPPED | Resumed                                         | LIVE    |
|         | Tick (grace over), ShutDown                     | CLOSED  |
| CLOSED  |                                                 |         |

Other events leave the phase unchanged. Messages of the client are handled only in LIVE
(the first one in OPENING); `turn_taking` decides who may speak.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto

from runner.errors import RemoteProtocolError
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    InputAudio,
    JsonObject,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    SessionUpdated,
    Unknown,
)
from runner.protocol.server.config import (
    InvalidConfig,
    Settings,
    apply_update,
    bytes_per_ms,
    default_settings,
)
from runner.protocol.server.events import (
    Close,
    Configure,
    Disconnected,
    Failed,
    FeedAudio,
    Malformed,
    Received,
    Resumed,
    Send,
    ServerAction,
    ServerEvent,
    ShutDown,
    Tick,
)
from runner.protocol.server.turn_taking import Actions, Floor, MakeId, Turn


class Phase(Enum):
    """Phases of a session."""

    OPENING = auto()
    LIVE = auto()
    DROPPED = auto()
    CLOSED = auto()


class ServerSession:
    """One session of the server; a driver feeds it and performs its actions in order.

    `make_id` is called with `sess`, `resp`, `msg`, `call` or `resume` and returns a new
    identifier with this prefix. `epoch` plus `now` is seconds since 1970. `find_agent`
    returns the `session` object of a stored agent. The driver must feed `Tick` once
    `now` reaches `deadline`.
    """

    def __init__(
        self,
        make_id: MakeId,
        *,
        epoch: float = 0.0,
        voices: Sequence[str] = (),
        find_agent: Callable[[str], JsonObject | None] = lambda agent_id: None,
    ) -> None:
        self._find_agent = find_agent
        self.session_id = make_id("sess")
        self.resume_token = make_id("resume")
        self.phase = Phase.OPENING
        self._make_id = make_id
        self._epoch = epoch
        self._voices = tuple(voices)
        self._floor = Floor(default_settings(), make_id)
        self._rate_limiter = AudioRateLimiter()
        self._expiry = SessionExpiry()

    @property
    def settings(self) -> Settings:
        """The current settings."""
        return self._floor.settings

    @property
    def turn(self) -> Turn:
        """The holder of the floor."""
        return self._floor.turn

    @property
    def is_interruptible(self) -> bool:
        """True if the caller may speak now; otherwise STT should ignore the audio."""
        return self._floor.is_interruptible

    @property
    def deadline(self) -> float | None:
        """When to feed `Tick`, on the driver's clock."""
        ends = self._expiry.ends
        call_deadline = self._floor.deadline
        if ends is None or call_deadline is None or self.phase is Phase.DROPPED:
            return ends
        return min(ends, call_deadline)

    def feed(self, event: ServerEvent, now: float) -> list[ServerAction]:
        """Handles an event and returns the actions to perform, in order.

        Does not raise, whatever a client sends.
        """
        if self.phase is Phase.CLOSED:
            return []
        return [self._stamp(action, now) for action in self._react(event, now)]

    # ----------------------------------------------------------------------- phases

    def _react(self, event: ServerEvent, now: float) -> Actions:
        match event:
            case Received(message=message):
                yield from self._receive(message, now)
            case Tick():
                yield from self._tick(now)
            case Disconnected():
                yield from self._drop(now)
            case Resumed():
                yield from self._resume(now)
            case ShutDown():
                yield from self._end(now, Close(1000))
            case Malformed() | Failed():
                if self.phase is not Phase.DROPPED:
                    yield Send(self._error(*_code_and_text(event)))
            case _:
                if self.phase is Phase.LIVE:
                    yield from self._floor.feed(event, now)

    def _drop(self, now: float) -> Actions:
        if self.phase is Phase.OPENING:
            yield from self._close(Close(1000))
        elif self.phase is Phase.LIVE:
            # The connection is lost: only actions other than Send matter.
            yield from _unsent(self._floor.stop_speaking())
            self.phase = Phase.DROPPED
            self._expiry.drop(now)

    def _resume(self, now: float) -> Actions:
        if self.phase is Phase.LIVE:
            # The client reconnected before the server noticed the drop.
            yield from self._drop(now)
        if self.phase is Phase.DROPPED:
            self.phase = Phase.LIVE
            self._expiry.resume()
            self._rate_limiter = AudioRateLimiter()
            self.resume_token = self._make_id("resume")
            yield Send(self._ready())
            yield from self._floor.resume(now)

    def _tick(self, now: float) -> Actions:
        if self._expiry.is_over(now):
            if self.phase is Phase.LIVE:
                yield Send(self._error("session_expired", "Session expired"))
            yield from self._end(now, Close(1008))
        elif self.phase is Phase.LIVE:
            yield from self._floor.time_out_calls(now)

    def _end(self, now: float, close: Close) -> Actions:
        if self.phase is Phase.LIVE:
            yield from self._floor.stop_speaking()
        if self.phase is not Phase.DROPPED:
            # The service never sends the duration of the audio.
            yield Send(SessionEnded(round(self._expiry.age(now), 3), None))
        yield from self._close(close)

    def _close(self, close: Close) -> Actions:
        self.phase = Phase.CLOSED
        self._expiry.end()
        yield close

    # --------------------------------------------------------------------- messages

    def _receive(self, message: ClientMessage, now: float) -> Actions:
        if self.phase is Phase.LIVE:
            yield from self._handle(message, now)
        elif self.phase is Phase.OPENING:
            yield from self._open(message, now)

    def _open(self, message: ClientMessage, now: float) -> Actions:
        match message:
            case SessionUpdate(session=update):
                yield from self._configure_first(update, now)
            case SessionResume():
                # The driver feeds this message only if it has no such session.
                yield Send(self._error("session_not_found", "Session not found"))
                yield from self._close(Close(1008))
            case SessionEnd():
                yield from self._end(now, Close(1000))
            case InputAudio():
                pass  # audio before session.ready is discarded
            case _:
                text = f"Send session.update before '{message.TYPE}'"
                yield Send(self._error("invalid_format", text))

    def _configure_first(self, update: JsonObject, now: float) -> Actions:
        outcome = self._apply(update, first=True)
        if isinstance(outcome, InvalidConfig):
            yield Send(self._refused(outcome))
            if outcome.code != "invalid_format":
                yield from self._close(Close(1008))
            return
        yield from self._adopt(outcome)
        self.phase = Phase.LIVE
        self._expiry.begin(now)
        yield Send(self._ready())
        if self.settings.greeting:
            yield from self._floor.greet(self.settings.greeting)

    def _handle(self, message: ClientMessage, now: float) -> Actions:
        match message:
            case InputAudio(pcm=pcm):
                yield from self._take_audio(pcm, now)
            case SessionUpdate(session=update):
                outcome = self._apply(update, first=False)
                if isinstance(outcome, InvalidConfig):
                    yield Send(
                        self._error(outcome.code, outcome.message, outcome.param)
                    )
                else:
                    yield from self._adopt(outcome)
            case SessionEnd():
                yield from self._end(now, Close(1000))
            case SessionResume():
                yield Send(self._malformed(message))
            case ConversationMessage(role=role) if role not in ("user", "system"):
                yield Send(self._malformed(message))
            case _:
                yield from self._floor.handle(message)

    def _take_audio(self, pcm: bytes, now: float) -> Actions:
        error = self._rate_limiter.check(pcm, self.settings.input_encoding, now)
        if error is not None:
            yield Send(self._error(*error))
        elif not self._rate_limiter.refusing and pcm:
            yield FeedAudio(pcm)

    def _apply(self, update: JsonObject, *, first: bool) -> Settings | InvalidConfig:
        if first and update.keys() == {"agent_id"}:
            agent_id = update["agent_id"]
            stored = self._find_agent(agent_id) if isinstance(agent_id, str) else None
            update = update if stored is None else stored
        return apply_update(self.settings, update, first=first, voices=self._voices)

    def _adopt(self, settings: Settings) -> Actions:
        self._floor.settings = settings
        yield Configure(settings)
        yield Send(SessionUpdated(settings.echo(self.session_id)))

    def _ready(self) -> SessionReady:
        ends = self._expiry.ends
        expires_at = None if ends is None else int(self._epoch + ends)
        config = self.settings.echo(self.session_id)
        return SessionReady(self.session_id, config, expires_at, self.resume_token)

    def _malformed(self, message: ClientMessage) -> SessionError:
        text = f"Invalid message format for type '{message.TYPE}'"
        return self._error("invalid_format", text)

    def _refused(self, refusal: InvalidConfig) -> SessionError:
        return self._error(refusal.code, refusal.message, refusal.param)

    def _error(self, code: str, text: str, param: str | None = None) -> SessionError:
        return SessionError(code, text, param)

    def _stamp(self, action: ServerAction, now: float) -> ServerAction:
        if isinstance(action, Send) and not isinstance(action.message, Unknown):
            message = action.message
            if isinstance(message, SessionError):
                message = replace(message, session_id=self.session_id)
            return Send(replace(message, timestamp=self._epoch + now))
        return action


def _code_and_text(event: Malformed | Failed) -> tuple[str, str]:
    if isinstance(event, Failed):
        return "internal_error", event.message
    return event.error.code, error_text(event.error)


def error_text(error: RemoteProtocolError) -> str:
    """Returns the text of the error for a message that cannot be read.

    It has the wording of the real service.
    """
    own = error.message.startswith(("Unknown message type", "Invalid "))
    if own or error.message_type is None:
        return error.message
    return f"Invalid message format for type '{error.message_type}'"


def _unsent(actions: Iterable[ServerAction]) -> Actions:
    return (action for action in actions if not isinstance(action, Send))


# The expiry of a session: a limit while live, a grace period while disconnected.


# The time for which a dropped session can be resumed.
GRACE_SECONDS = 30.0
# The documented lifetime of a session.
LIFETIME_SECONDS = 10_800.0


class SessionExpiry:
    """Deadline of one session."""

    def __init__(self) -> None:
        self.ends: float | None = None  # None before the start and after the end
        self._began: float | None = None

    def begin(self, now: float) -> None:
        """Starts the lifetime of the session."""
        self._began = now
        self.ends = now + LIFETIME_SECONDS

    def drop(self, now: float) -> None:
        """Starts the grace period: the connection dropped."""
        self.ends = now + GRACE_SECONDS

    def resume(self) -> None:
        """Restores the lifetime limit, which includes the outage."""
        if self._began is not None:
            self.ends = self._began + LIFETIME_SECONDS

    def end(self) -> None:
        """Removes the deadline: the session is over."""
        self.ends = None

    def is_over(self, now: float) -> bool:
        """True if the lifetime or the grace period is over."""
        return self.ends is not None and now >= self.ends

    def age(self, now: float) -> float:
        """Returns the age of the session in seconds; 0 before its start."""
        return 0.0 if self._began is None else now - self._began


# The rate limit of incoming audio.


# Audio ahead of real time that is accepted. The service documents about one second, and
# in practice accepts a burst of 7 s at triple speed.
AUDIO_AHEAD_SECONDS = 10.0


class AudioRateLimiter:
    """Measures how far the incoming audio of a session is ahead of real time."""

    def __init__(self) -> None:
        self.refusing = False  # the excess of a burst is dropped, and reported once
        self._ahead = 0.0  # seconds
        self._at = 0.0  # irrelevant until some audio is ahead

    def check(self, pcm: bytes, encoding: str, now: float) -> tuple[str, str] | None:
        """Returns code and text of an error, or None; sets `refusing`."""
        if pcm[:4] == b"RIFF" and pcm[8:12] == b"WAVE":
            # The service accepts raw samples only, not WAV files.
            return "invalid_audio", "Invalid audio data"
        seconds = len(pcm) / bytes_per_ms(encoding) / 1000
        self._ahead = max(0.0, self._ahead - (now - self._at))
        self._at = now
        was_refusing = self.refusing
        self.refusing = self._ahead + seconds > AUDIO_AHEAD_SECONDS
        if not self.refusing:
            self._ahead += seconds
        elif not was_refusing:
            text = "Audio arrives faster than real time; the excess is dropped"
            return "audio_rate_violation", text
        return None
