"""What a client session wants done: the only output of the core."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from runner.protocol.messages import ClientMessage, ToolCall


@dataclass(frozen=True, slots=True)
class Connect:
    """Open a connection, dropping any earlier one.

    `token` authorises a resume instead of the key; None means the key.
    """

    token: str | None = None


@dataclass(frozen=True, slots=True)
class Send:
    """Put a message on the wire."""

    message: ClientMessage


@dataclass(frozen=True, slots=True)
class Play:
    """Append sound to the speaker's buffer."""

    pcm: bytes


@dataclass(frozen=True, slots=True)
class StopPlayback:
    """Empty the speaker's buffer now."""


@dataclass(frozen=True, slots=True)
class Drain:
    """Report `PlaybackDrained` once the speaker has played what it holds."""


@dataclass(frozen=True, slots=True)
class RunTool:
    """Start a tool; its end comes back as `ToolFinished`."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class CancelTool:
    """Stop a tool; its result is no longer wanted."""

    call_id: str


@dataclass(frozen=True, slots=True)
class Synthesize:
    """Synthesize an announcement with the local voice; `SpeechSynthesized` follows."""

    call_id: str
    text: str


@dataclass(frozen=True, slots=True)
class Announce:
    """The agent's words that follow as `Play`, of which the service knows nothing."""

    text: str


@dataclass(frozen=True, slots=True)
class ConfigApplied:
    """The service follows a changed configuration: use its tools from here on."""


@dataclass(frozen=True, slots=True)
class Notify:
    """A sentence for the person: what the session noticed or decided."""

    text: str


class Outcome(Enum):
    """How a session ended, as far as the command line cares."""

    CLEAN = "clean"  # somebody ended it: the caller, the agent, the service, a limit
    FAILED = "failed"  # it could not be set up, or could not go on
    REJECTED = "rejected"  # the service does not accept the key


@dataclass(frozen=True, slots=True)
class Close:
    """The session is over; the last action ever.

    `drain` asks to let the speaker finish what it already holds.
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
