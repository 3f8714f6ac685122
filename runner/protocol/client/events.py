"""Events: the input of a client session, fed by the engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import ClientMessage, JsonObject, ServerMessage


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection is open; nothing has been sent on it."""


@dataclass(frozen=True, slots=True)
class Received:
    """The service sent a message."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class MalformedMessage:
    """The service sent something that is not a message; it is reported and ignored."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is closed, or could not be opened.

    `code` is the WebSocket close code if there was one (RFC 6455, 7.4), `status` the
    HTTP status with which a connection was refused. `unsent` are messages that never
    left this machine.
    """

    reason: str
    code: int | None = None
    status: int | None = None
    unsent: Sequence[ClientMessage] = ()


@dataclass(frozen=True, slots=True)
class MicFrame:
    """Audio of the microphone, in the session's input encoding."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool call has finished; `text` is JSON text."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class SpeechSynthesized:
    """The announcement of a tool call was synthesized; empty if that failed."""

    call_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class PlaybackDrained:
    """The playback buffer has been played to its end."""


@dataclass(frozen=True, slots=True)
class PlaybackCut:
    """Audio of a reply was discarded before it was played.

    `played_ms` of the reply went to the device, the fade-out included, and `dropped_ms`
    did not. `reply_id` is "" if the service sends none.
    """

    reply_id: str
    played_ms: float
    dropped_ms: float


@dataclass(frozen=True, slots=True)
class Say:
    """Text that the caller typed."""

    text: str


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """The configuration changed; `session` is the whole new session object.

    The policies of its `tools` are used once the service has applied the change: see
    `ConfigApplied`.
    """

    session: JsonObject
    tools: Mapping[str, ToolPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HangUp:
    """Ends the session, at once or after playback."""

    reason: str
    after_playback: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed: required when `deadline` is reached, harmless at other times."""


Event: TypeAlias = (
    Connected
    | Received
    | MalformedMessage
    | Disconnected
    | MicFrame
    | ToolFinished
    | SpeechSynthesized
    | PlaybackDrained
    | PlaybackCut
    | Say
    | Reconfigure
    | HangUp
    | Tick
)
