"""The server's end of a session as a pure state machine: events in, actions out.

| phase   | leaves on                                       | to      |
|---------|-------------------------------------------------|---------|
| OPENING | a session.update that holds                     | LIVE    |
|         | one that does not, session.resume, session.end, |         |
|         | Disconnected, ShutDown                          | CLOSED  |
| LIVE    | Disconnected                                    | DROPPED |
|         | session.end, ShutDown, Tick (lifetime over)     | CLOSED  |
| DROPPED | Resumed                                         | LIVE    |
|         | Tick (grace over), ShutDown                     | CLOSED  |
| CLOSED  |                                                 |         |

An event that the phase's row does not list leaves the phase alone. Messages of the
client are obeyed only in LIVE (the first one in OPENING); who may speak is `floor`'s
business.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum, auto

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
    """Where a session is in its life."""

    OPENING = auto()
    LIVE = auto()
    DROPPED = auto()
    CLOSED = auto()


class ServerSession:
    """One session as the server sees it; a driver feeds it and performs its actions.

    `make_id` is called with `sess`, `resp`, `msg`, `call` or `resume` and returns a
    fresh identifier that begins with it. `epoch` is what to add to `now` to get seconds
    since 1970, for the timestamps. The driver must feed `Tick` once `now` reaches
    `deadline`, and must perform the actions in their order.
    """

    def __init__(
        self, make_id: MakeId, *, epoch: float = 0.0, voices: Sequence[str] = ()
    ) -> None:
        self.session_id = make_id("sess")
        self.resume_token = make_id("resume")
        self.phase = Phase.OPENING
        self._make_id = make_id
        self._epoch = epoch
        self._voices = tuple(voices)
        self._floor = Floor(default_settings(), make_id)
        self._intake = AudioRateLimiter()
        self._lifetime = SessionExpiry()

    @property
    def settings(self) -> Settings:
        """What the client has configured so far."""
        return self._floor.settings

    @property
    def turn(self) -> Turn:
        """Who holds the floor."""
        return self._floor.turn

    @property
    def yields(self) -> bool:
        """Whether the caller may speak now; else the ears should not listen."""
        return self._floor.yields

    @property
    def deadline(self) -> float | None:
        """When to feed `Tick`, on the driver's clock."""
        ends = self._lifetime.ends
        called = self._floor.deadline
        if ends is None or called is None or self.phase is Phase.DROPPED:
            return ends
        return min(ends, called)

    def feed(self, event: ServerEvent, now: float) -> list[ServerAction]:
        """Take one event and return what is to be done, in order.

        Never raises for anything that a client can send.
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
                    yield Send(self._error(*_complaint(event)))
            case _:
                if self.phase is Phase.LIVE:
                    yield from self._floor.feed(event, now)

    def _drop(self, now: float) -> Actions:
        if self.phase is Phase.OPENING:
            yield from self._close(Close(1000))
        elif self.phase is Phase.LIVE:
            # Nobody reads what is said from here on: keep what matters, send nothing.
            yield from _unsent(self._floor.quieten())
            self.phase = Phase.DROPPED
            self._lifetime.drop(now)

    def _resume(self, now: float) -> Actions:
        if self.phase is Phase.LIVE:
            # The client came back before its old line was seen to be gone.
            yield from self._drop(now)
        if self.phase is Phase.DROPPED:
            self.phase = Phase.LIVE
            self._lifetime.resume()
            self._intake = AudioRateLimiter()
            self.resume_token = self._make_id("resume")
            yield Send(self._ready())
            yield from self._floor.go_on(now)

    def _tick(self, now: float) -> Actions:
        if self._lifetime.is_over(now):
            if self.phase is Phase.LIVE:
                yield Send(self._error("session_expired", "Session expired"))
            yield from self._end(now, Close(1008))
        elif self.phase is Phase.LIVE:
            yield from self._floor.give_up_calls(now)

    def _end(self, now: float, close: Close) -> Actions:
        if self.phase is Phase.LIVE:
            yield from self._floor.quieten()
        if self.phase is not Phase.DROPPED:
            # The service never fills in how much of it was sound.
            yield Send(SessionEnded(round(self._lifetime.age(now), 3), None))
        yield from self._close(close)

    def _close(self, close: Close) -> Actions:
        self.phase = Phase.CLOSED
        self._lifetime.end()
        yield close

    # --------------------------------------------------------------------- messages

    def _receive(self, message: ClientMessage, now: float) -> Actions:
        if self.phase is Phase.LIVE:
            yield from self._obey(message, now)
        elif self.phase is Phase.OPENING:
            yield from self._open(message, now)

    def _open(self, message: ClientMessage, now: float) -> Actions:
        match message:
            case SessionUpdate(session=update):
                yield from self._configure_first(update, now)
            case SessionResume():
                # The driver looks for the session first; it did not find it.
                yield Send(self._error("session_not_found", "Session not found"))
                yield from self._close(Close(1008))
            case SessionEnd():
                yield from self._end(now, Close(1000))
            case InputAudio():
                pass  # sound before session.ready is thrown away
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
        self._lifetime.begin(now)
        yield Send(self._ready())
        if self.settings.greeting:
            yield from self._floor.greet(self.settings.greeting)

    def _obey(self, message: ClientMessage, now: float) -> Actions:
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
                yield from self._floor.obey(message)

    def _take_audio(self, pcm: bytes, now: float) -> Actions:
        complaint = self._intake.check(pcm, self.settings.input_encoding, now)
        if complaint is not None:
            yield Send(self._error(*complaint))
        elif not self._intake.refusing and pcm:
            yield FeedAudio(pcm)

    def _apply(self, update: JsonObject, *, first: bool) -> Settings | InvalidConfig:
        return apply_update(self.settings, update, first=first, voices=self._voices)

    def _adopt(self, settings: Settings) -> Actions:
        self._floor.settings = settings
        yield Configure(settings)
        yield Send(SessionUpdated(settings.echo(self.session_id)))

    def _ready(self) -> SessionReady:
        ends = self._lifetime.ends
        expires_at = None if ends is None else int(self._epoch + ends)
        config = self.settings.echo(self.session_id)
        return SessionReady(self.session_id, config, expires_at, self.resume_token)

    def _malformed(self, message: ClientMessage) -> SessionError:
        text = f"Invalid message format for type '{message.TYPE}'"
        return self._error("invalid_format", text)

    def _refused(self, refusal: InvalidConfig) -> SessionError:
        return self._error(refusal.code, refusal.message, refusal.param)

    def _error(self, code: str, text: str, param: str | None = None) -> SessionError:
        return SessionError(code, text, param, self.session_id)

    def _stamp(self, action: ServerAction, now: float) -> ServerAction:
        if isinstance(action, Send) and not isinstance(action.message, Unknown):
            stamped = replace(action.message, timestamp=self._epoch + now)
            return Send(stamped)
        return action


def _complaint(event: Malformed | Failed) -> tuple[str, str]:
    """Return code and text, the service's own text for what the codec cannot read."""
    if isinstance(event, Failed):
        return "internal_error", event.message
    error = event.error
    own = error.message.startswith(("Unknown message type", "Invalid "))
    if own or error.message_type is None:
        return error.code, error.message
    return error.code, f"Invalid message format for type '{error.message_type}'"


def _unsent(actions: Iterable[ServerAction]) -> Actions:
    return (action for action in actions if not isinstance(action, Send))


# How long a session lives: a limit while live, a grace while its line is down.


# How long a dropped session can be taken up again.
GRACE_SECONDS = 30.0
# The documented lifetime of a session.
LIFETIME_SECONDS = 10_800.0


class SessionExpiry:
    """One session's clock; it reads none itself."""

    def __init__(self) -> None:
        self.ends: float | None = None  # None before the beginning and after the end
        self._began: float | None = None

    def begin(self, now: float) -> None:
        """The session is live from now on."""
        self._began = now
        self.ends = now + LIFETIME_SECONDS

    def drop(self, now: float) -> None:
        """The line is down: the grace runs."""
        self.ends = now + GRACE_SECONDS

    def resume(self) -> None:
        """The line is up again: the first limit holds, the outage counts."""
        if self._began is not None:
            self.ends = self._began + LIFETIME_SECONDS

    def end(self) -> None:
        """The session is over."""
        self.ends = None

    def is_over(self, now: float) -> bool:
        """Whether the limit or the grace has passed."""
        return self.ends is not None and now >= self.ends

    def age(self, now: float) -> float:
        """Return how long the session has lived, in seconds; 0 before it began."""
        return 0.0 if self._began is None else now - self._began


# The caller's sound at the door: refused when it is no bare sound or too fast.


# Sound beyond real time that is taken before the rest is refused. The service says
# about one second and in practice lets a burst of 7 s at triple speed pass.
AUDIO_AHEAD_SECONDS = 10.0


class AudioRateLimiter:
    """Measures how far a session's incoming sound runs ahead of the clock."""

    def __init__(self) -> None:
        self.refusing = False  # the excess of a burst is dropped, and said once
        self._ahead = 0.0  # seconds
        self._at = 0.0  # nothing is ahead yet, so the first time does not matter

    def check(self, pcm: bytes, encoding: str, now: float) -> tuple[str, str] | None:
        """Return code and text of a complaint, or None; then ask `refusing`."""
        if pcm[:4] == b"RIFF" and pcm[8:12] == b"WAVE":
            # The service takes bare samples only.
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
