"""Events and actions of a server session.

Its driver connects `ServerSession` with a socket, STT, an LLM and TTS.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

from runner.errors import RemoteProtocolError
from runner.protocol.messages import (
    ClientMessage,
    ConversationMessage,
    JsonObject,
    ServerMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)
from runner.protocol.server.config import Settings

# ------------------------------------------------------------------------- events


@dataclass(frozen=True, slots=True)
class Received:
    """The client sent a message."""

    message: ClientMessage


@dataclass(frozen=True, slots=True)
class Malformed:
    """The client sent something that the codec could not decode."""

    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The connection is lost without session.end."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A new connection resumes this session; its authorization was checked."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The server shuts down; the session ends normally."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A part of the server failed outside any reply; the session continues."""

    message: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks, long enough to interrupt."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """The whole transcript of the caller's turn so far."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The caller's turn is over; an empty text means that there was no speech."""

    text: str


@dataclass(frozen=True, slots=True)
class ClauseStarted:
    """The next clause of a reply starts; `duration_ms` of audio follows."""

    reply_id: str
    text: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Audio of a reply that is due now, in the session's output encoding."""

    reply_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolCallRequested:
    """The LLM requests a tool call."""

    reply_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """All clauses and audio of the reply have been fed."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The LLM or TTS failed during a reply."""

    reply_id: str
    code: str
    message: str
    retryable: bool = False


ServerEvent: TypeAlias = (
    Received
    | Malformed
    | Disconnected
    | Resumed
    | Tick
    | ShutDown
    | Failed
    | SpeechStarted
    | PartialTranscript
    | TurnCommitted
    | ClauseStarted
    | AudioChunk
    | ToolCallRequested
    | ReplyFinished
    | ReplyFailed
)

# ------------------------------------------------------------------------ actions

Memorable: TypeAlias = (
    TranscriptUser | TranscriptAgent | ToolCall | ToolResult | ConversationMessage
)


@dataclass(frozen=True, slots=True)
class Send:
    """Sends a message."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class FeedAudio:
    """Feeds the caller's audio, in the session's input encoding, to STT."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Configure:
    """Applies settings; emitted before any action that depends on them."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class AppendHistory:
    """Appends a message to the history of the LLM."""

    message: Memorable


@dataclass(frozen=True, slots=True)
class RemoveFromHistory:
    """Removes a tool call that will not be answered from the history."""

    call_id: str


@dataclass(frozen=True, slots=True)
class StartReply:
    """Starts a reply: `say` is spoken verbatim, otherwise the LLM generates it.

    `instructions` apply to this reply only. `after_tools` is set if it answers tool
    results, `unasked` if the client requested it by reply.create.
    """

    reply_id: str
    say: str | None = None
    instructions: str | None = None
    after_tools: bool = False
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class StopReply:
    """Stops generation, synthesis and sending of this reply at once."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """Closes the socket, if it is open, with this code."""

    code: int


ServerAction: TypeAlias = (
    Send
    | FeedAudio
    | Configure
    | AppendHistory
    | RemoveFromHistory
    | StartReply
    | StopReply
    | Close
)
