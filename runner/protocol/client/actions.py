"""Actions: the output of a client session, performed by the engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from runner.protocol.messages import ClientMessage, ToolCall


@dataclass(frozen=True, slots=True)
class Connect:
    """Opens a connection and drops any earlier one.

    `token` authorizes a resume; None means that the API key is used.
    """

    token: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Sends a message."""

    message: ClientMessage


@dataclass(frozen=True, slots=True)
class Play:
    """Appends audio to the playback buffer."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Clears the playback buffer now."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Requests a `PlaybackDrained` event once the playback buffer is empty."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Starts a tool call; `ToolFinished` follows."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class CancelTool:
    """Cancels a tool call; its result is ignored."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Synthesize:
    """Synthesizes an announcement locally; `SpeechSynthesized` follows."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Announce:
    """The text of the local announcement that follows as `Play`, for the observers."""

    text: str


@dataclass(frozen=True, slots=True)
class ConfigApplied:
    """The service has applied a changed configuration: its tools are used now."""


@dataclass(frozen=True, slots=True)
class Notify:
    """A notice for the user about an event or a decision of the session."""

    text: str


class Outcome(Enum):
    """Result of a session; determines the exit code."""

    CLEAN = "clean"  # ended by the caller, the agent, the service or a limit
    FAILED = "failed"  # could not be set up or could not continue
    REJECTED = "rejected"  # the service does not accept the key


@dataclass(frozen=True, slots=True)
class Close:
    """The session is over; the last action.

    With `drain`, the playback buffer is played to its end.
    """

    outcome: Outcome
    reason: str
    hint: str | None = None
    drain: bool = False


Action: TypeAlias = (
    Connect
    | Send
    | Play
    | StopPlayback
    | Drain
    | RunTool
    | CancelTool
    | Synthesize
    | Announce
    | ConfigApplied
    | Notify
    | Close
)
