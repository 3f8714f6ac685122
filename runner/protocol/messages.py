"""The wire's vocabulary: one frozen class a message, the same for both ends.

A class is its wire type in CamelCase (`tool.call` is `ToolCall`) with the type stated
once as `TYPE`. Fields carry the wire's names; audio is decoded (`pcm` holds the bytes
in the session's encoding, base64 exists only in the codec). A field with a default may
be missing on the wire. `timestamp` is epoch seconds; only the server's messages have
it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

Json: TypeAlias = Any  # one value of JSON's data model; typing cannot say it usefully
JsonObject: TypeAlias = Mapping[str, Json]

# --------------------------------------------------------------- client to server


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """Configure the session; the first message of a new one, re-sendable later."""

    TYPE: ClassVar[str] = "session.update"
    session: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionResume:
    """Take up a dropped session; the first message on the new connection."""

    TYPE: ClassVar[str] = "session.resume"
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """End the session cleanly; it cannot be resumed."""

    TYPE: ClassVar[str] = "session.end"


@dataclass(frozen=True, slots=True)
class InputAudio:
    """Sound from the caller, in the session's input encoding; after session.ready."""

    TYPE: ClassVar[str] = "input.audio"
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer to a tool.call; `result` is JSON text."""

    TYPE: ClassVar[str] = "tool.result"
    call_id: str
    result: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ReplyCreate:
    """Let the agent speak now, following these instructions once."""

    TYPE: ClassVar[str] = "reply.create"
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyCancel:
    """Stop a reply that is under way."""

    TYPE: ClassVar[str] = "reply.cancel"
    reply_id: str


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """Put words into the conversation without a reply; role is user or system."""

    TYPE: ClassVar[str] = "conversation.message"
    role: str
    content: str


# --------------------------------------------------------------- server to client


@dataclass(frozen=True, slots=True)
class SessionUpdated:
    """A session.update was applied, the first one included."""

    TYPE: ClassVar[str] = "session.updated"
    config: JsonObject = field(default_factory=dict)
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SessionReady:
    """The session stands; audio may be sent. `expires_at` is epoch seconds."""

    TYPE: ClassVar[str] = "session.ready"
    session_id: str
    config: JsonObject = field(default_factory=dict)
    expires_at: int | None = None
    resume_token: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SessionError:
    """Something failed; the code decides whether the session survives it."""

    TYPE: ClassVar[str] = "session.error"
    code: str
    message: str = ""
    param: str | None = None
    session_id: str | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last message of every clean teardown."""

    TYPE: ClassVar[str] = "session.ended"
    session_duration_seconds: float | None = None
    audio_duration_seconds: float | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class InputSpeechStarted:
    """The caller began to speak or, while the agent speaks, interrupts it."""

    TYPE: ClassVar[str] = "input.speech.started"
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class InputSpeechStopped:
    """The caller's turn is over (the decision, not the end of the sound)."""

    TYPE: ClassVar[str] = "input.speech.stopped"
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptUserDelta:
    """What the caller has said so far, whole: replace, never append."""

    TYPE: ClassVar[str] = "transcript.user.delta"
    text: str
    item_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptUser:
    """What the caller said in this turn, final."""

    TYPE: ClassVar[str] = "transcript.user"
    text: str
    item_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyStarted:
    """The agent begins a reply."""

    TYPE: ClassVar[str] = "reply.started"
    reply_id: str = ""
    item_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyAudio:
    """Sound of a reply, in the session's output encoding."""

    TYPE: ClassVar[str] = "reply.audio"
    pcm: bytes
    reply_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptAgentDelta:
    """One more word of a reply; times are relative to the reply's sound."""

    TYPE: ClassVar[str] = "transcript.agent.delta"
    delta: str
    reply_id: str = ""
    item_id: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptAgent:
    """The words of a reply, trimmed to what was spoken when it was interrupted."""

    TYPE: ClassVar[str] = "transcript.agent"
    text: str
    reply_id: str = ""
    item_id: str = ""
    interrupted: bool = False
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """A reply is over: completed or interrupted (missing means completed)."""

    TYPE: ClassVar[str] = "reply.done"
    reply_id: str = ""
    status: str = "completed"
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyError:
    """The language model failed for one reply; reply.done follows."""

    TYPE: ClassVar[str] = "reply.error"
    reply_id: str = ""
    code: str = ""
    message: str = ""
    retryable: bool = False
    status_code: int | None = None
    provider_code: str | None = None
    provider_param: str | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ToolCall:
    """The agent asks for a tool to be run."""

    TYPE: ClassVar[str] = "tool.call"
    call_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict)
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """A type this version does not know: shown, never obeyed, never an error."""

    TYPE: ClassVar[str] = ""
    type: str
    fields: JsonObject = field(default_factory=dict)


ClientMessage: TypeAlias = (
    SessionUpdate
    | SessionResume
    | SessionEnd
    | InputAudio
    | ToolResult
    | ReplyCreate
    | ReplyCancel
    | ConversationMessage
)
ServerMessage: TypeAlias = (
    SessionUpdated
    | SessionReady
    | SessionError
    | SessionEnded
    | InputSpeechStarted
    | InputSpeechStopped
    | TranscriptUserDelta
    | TranscriptUser
    | ReplyStarted
    | ReplyAudio
    | TranscriptAgentDelta
    | TranscriptAgent
    | ReplyDone
    | ReplyError
    | ToolCall
    | Unknown
)
Message: TypeAlias = ClientMessage | ServerMessage


# Words that are dictated to the agent: a form of `reply.create` that both ends know.
#
#     Say exactly these words and nothing else, and call no tool: "One moment, please."
#
# A model follows such instructions more or less. A server that knows the form needs no
# model for it: `Say exactly`, anything without a colon or a quote, a colon, and the
# words in double quotes, which end the instructions.


_FORM = re.compile(r'Say exactly[^:"]*:?\s*"(.+)"', re.DOTALL)


def say_verbatim(text: str) -> str:
    """Return the instructions to say a text as it stands, and to do nothing else."""
    return f'Say exactly these words and nothing else, and call no tool: "{text}"'


def parse_verbatim(instructions: str | None) -> str | None:
    """Return the words that are dictated by instructions, None when none are."""
    found = _FORM.fullmatch((instructions or "").strip())
    return found[1] if found else None
