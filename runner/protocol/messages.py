"""Message classes of the wire protocol, the same for both ends.

The name of a class is its wire type in CamelCase (`tool.call` is `ToolCall`). Fields
have the names of the wire, except that `pcm` holds decoded audio in the session's
encoding. A field with a default may be missing on the wire. `timestamp` is epoch
seconds; only messages of the server have it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, TypeAlias

Json: TypeAlias = Any  # one value of JSON's data model
JsonObject: TypeAlias = Mapping[str, Json]

# --------------------------------------------------------------- client to server


@dataclass(frozen=True, slots=True)
class SessionUpdate:
    """Configures the session: the first message of a new one, and later changes."""

    TYPE: ClassVar[str] = "session.update"
    session: JsonObject = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SessionResume:
    """Resumes a dropped session; the first message on the new connection."""

    TYPE: ClassVar[str] = "session.resume"
    session_id: str


@dataclass(frozen=True, slots=True)
class SessionEnd:
    """Ends the session; it cannot be resumed."""

    TYPE: ClassVar[str] = "session.end"


@dataclass(frozen=True, slots=True)
class InputAudio:
    """Audio of the caller in the session's input encoding; after session.ready."""

    TYPE: ClassVar[str] = "input.audio"
    pcm: bytes


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The result of a tool call; `result` is JSON text."""

    TYPE: ClassVar[str] = "tool.result"
    call_id: str
    result: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ReplyCreate:
    """Requests a reply now; the instructions apply to this reply only."""

    TYPE: ClassVar[str] = "reply.create"
    instructions: str | None = None


@dataclass(frozen=True, slots=True)
class ReplyCancel:
    """Stops a reply that is in progress."""

    TYPE: ClassVar[str] = "reply.cancel"
    reply_id: str


@dataclass(frozen=True, slots=True)
class ConversationMessage:
    """Adds a text to the conversation without a reply; role is user or system."""

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
    """The session is ready for audio. `expires_at` is epoch seconds."""

    TYPE: ClassVar[str] = "session.ready"
    session_id: str
    config: JsonObject = field(default_factory=dict)
    expires_at: int | None = None
    resume_token: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SessionError:
    """An error; its code determines if the session continues."""

    TYPE: ClassVar[str] = "session.error"
    code: str
    message: str = ""
    param: str | None = None
    session_id: str | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last message of a session that ends normally."""

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
    """The service decided that the caller's turn is over."""

    TYPE: ClassVar[str] = "input.speech.stopped"
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptUserDelta:
    """The whole transcript of the caller's turn so far; replaces the previous one."""

    TYPE: ClassVar[str] = "transcript.user.delta"
    text: str
    item_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptUser:
    """The final transcript of the caller's turn."""

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
    """Audio of a reply in the session's output encoding."""

    TYPE: ClassVar[str] = "reply.audio"
    pcm: bytes
    reply_id: str = ""
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptAgentDelta:
    """The next word of a reply; times are relative to the start of its audio."""

    TYPE: ClassVar[str] = "transcript.agent.delta"
    delta: str
    reply_id: str = ""
    item_id: str = ""
    start_ms: int | None = None
    end_ms: int | None = None
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class TranscriptAgent:
    """The transcript of a reply; if interrupted, only the words that were spoken."""

    TYPE: ClassVar[str] = "transcript.agent"
    text: str
    reply_id: str = ""
    item_id: str = ""
    interrupted: bool = False
    timestamp: float | None = None


@dataclass(frozen=True, slots=True)
class ReplyDone:
    """A reply is over: `status` is completed or interrupted."""

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
    """The agent requests a tool call.

    `unreadable` is the JSON text of arguments that are not an object: a language model
    wrote them, and it needs an answer. It takes the place of `arguments` on the wire.
    """

    TYPE: ClassVar[str] = "tool.call"
    call_id: str
    name: str
    arguments: JsonObject = field(default_factory=dict)
    timestamp: float | None = None
    unreadable: str | None = None

    @property
    def raw_arguments(self) -> object:
        """The arguments as the model gave them: an object, or `unreadable`."""
        return self.arguments if self.unreadable is None else self.unreadable


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that this version does not know: shown, otherwise ignored."""

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


# Instructions of reply.create that contain the exact text to say:
#
#     Say exactly these words and nothing else, and call no tool: "One moment, please."
#
# Models follow them imperfectly. A server that recognizes the pattern synthesizes the
# text without the model.


_VERBATIM = re.compile(r'Say exactly[^:"]*:?\s*"(.+)"', re.DOTALL)


def say_verbatim(text: str) -> str:
    """Returns instructions to say exactly this text and to call no tool."""
    return f'Say exactly these words and nothing else, and call no tool: "{text}"'


def parse_verbatim(instructions: str | None) -> str | None:
    """Returns the text that instructions request verbatim, or None."""
    found = _VERBATIM.fullmatch((instructions or "").strip())
    return found[1] if found else None
