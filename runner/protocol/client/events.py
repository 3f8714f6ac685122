"""What can happen to a client session: the only input of the core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import ClientMessage, JsonObject, ServerMessage


@dataclass(frozen=True, slots=True)
class Connected:
    """The connection stands; nothing was said on it yet."""


@dataclass(frozen=True, slots=True)
class Received:
    """The service sent a message."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class MalformedMessage:
    """The service sent something that is no message; it is reported and survived."""

    reason: str


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is gone, or could not be made.

    `code` is the WebSocket close code where there was one (RFC 6455, 7.4), `status` the
    HTTP status with which a connection was refused. `unsent` never left this machine.
    """

    reason: str
    code: int | None = None
    status: int | None = None
    unsent: Sequence[ClientMessage] = ()


@dataclass(frozen=True, slots=True)
class MicFrame:
    """The microphone gave sound, already in the session's input encoding."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolFinished:
    """A tool came to an end; `text` is JSON text."""

    call_id: str
    text: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class SpeechSynthesized:
    """The local voice has said the announcement of a call; no sound: there is none."""

    call_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class PlaybackDrained:
    """Everything handed to the speaker has been heard."""


@dataclass(frozen=True, slots=True)
class PlaybackCut:
    """Sound of a reply was thrown away before it was heard.

    `played_ms` of the reply were given to the device, its fade included, and
    `dropped_ms` were not; by samples. `reply_id` is "" where the service gives none.
    """

    reply_id: str
    played_ms: float
    dropped_ms: float


@dataclass(frozen=True, slots=True)
class Say:
    """The caller's words as text, instead of sound."""

    text: str


@dataclass(frozen=True, slots=True)
class Reconfigure:
    """The configuration changed; `session` is the whole new session object.

    `tools` are the rules of its tools, which are used once the service follows: see
    `ConfigApplied`.
    """

    session: JsonObject
    tools: Mapping[str, ToolPolicy] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class HangUp:
    """This side wants the session to end; at once, or after what is being played."""

    reason: str
    after_playback: bool = False


@dataclass(frozen=True, slots=True)
class Tick:
    """Time has passed; due when `deadline` is reached, harmless at any other time."""


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
