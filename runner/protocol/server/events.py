"""What happens to the server's side of a session, and what it wants done: the words
between `ServerSession` and the driver that gives it a socket, ears, a mind and a voice.
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
    """The client sent what the codec could not read."""

    error: RemoteProtocolError


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The line is gone without a goodbye."""


@dataclass(frozen=True, slots=True)
class Resumed:
    """A new line has asked for this session, and has the right to it."""


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class ShutDown:
    """The server leaves; the session ends cleanly."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A part of the server failed outside any reply; the session goes on."""

    message: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The caller speaks (decided: no cough, and long enough to interrupt)."""


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What the caller has said so far, whole."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnCommitted:
    """The caller's turn is over; empty text means that nobody really spoke."""

    text: str


@dataclass(frozen=True, slots=True)
class ClauseStarted:
    """The next words of a reply begin to sound; `duration_ms` of sound follows."""

    reply_id: str
    text: str
    duration_ms: float


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Sound of a reply that is due now, in the session's output encoding."""

    reply_id: str
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolCallRequested:
    """The mind wants a tool to be run."""

    reply_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReplyFinished:
    """Everything of the reply has been handed over."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ReplyFailed:
    """The mind or the voice failed in the middle of a reply."""

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
    """Put the message on the wire."""

    message: ServerMessage


@dataclass(frozen=True, slots=True)
class FeedAudio:
    """Give the caller's sound, in the session's input encoding, to the ears."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class Configure:
    """From now on these settings hold; sent before anything that depends on them."""

    settings: Settings


@dataclass(frozen=True, slots=True)
class AppendHistory:
    """This has been said, asked or answered: the mind knows it from now on."""

    message: Memorable


@dataclass(frozen=True, slots=True)
class RemoveFromHistory:
    """The call will not be answered any more; the mind should not wait for it."""

    call_id: str


@dataclass(frozen=True, slots=True)
class StartReply:
    """Make a reply; `say` is spoken verbatim, else the mind is asked.

    `instructions` hold for this reply only. `after_tools` is set when it answers tool
    results; `unasked` when the client asked for a reply with nothing to answer.
    """

    reply_id: str
    say: str | None = None
    instructions: str | None = None
    after_tools: bool = False
    unasked: bool = False


@dataclass(frozen=True, slots=True)
class StopReply:
    """Stop thinking, synthesising and sending this reply at once."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class Close:
    """Close the socket with this code; in DROPPED there is none to close."""

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
