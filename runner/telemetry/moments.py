"""What happens in a call, as those who watch it from outside count and time it.

All times are seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from runner.protocol.client.actions import Close
from runner.protocol.messages import ToolCall

Side: TypeAlias = Literal["caller", "agent"]
ToolEnd: TypeAlias = Literal["ok", "error", "cancelled"]


@dataclass(frozen=True, slots=True)
class CallBegan:
    """The service is being called for the first time."""


@dataclass(frozen=True, slots=True)
class SessionStood:
    """A session is ready: the first, a resumed one, or a fresh one after a loss.

    `gone` is for how long the line had been lost, None for the first.
    """

    session_id: str
    is_resumed: bool = False
    gone: float | None = None


@dataclass(frozen=True, slots=True)
class LineLost:
    """The connection of a session that stood is gone."""

    reason: str


@dataclass(frozen=True, slots=True)
class TurnBegan:
    """The caller begins to speak or types, or the agent speaks of its own accord.

    A turn holds what one side began and all that it led to: tools, replies.
    """

    number: int
    by: Side


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """Nothing more came of a turn; the time is when the last did."""

    number: int
    by: Side


@dataclass(frozen=True, slots=True)
class WordsSaid:
    """The final words of one side."""

    side: Side
    text: str
    is_interrupted: bool = False


@dataclass(frozen=True, slots=True)
class AnswerHeard:
    """The first audible sound of an answer is handed to the speaker.

    `since_decision` counts from when the caller's turn was held to be over,
    `since_voice` from the last sound of his voice; None when he typed.
    """

    since_decision: float
    since_voice: float | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """A reply was cut off."""

    reply_id: str


@dataclass(frozen=True, slots=True)
class ToolBegan:
    """A tool is to be run."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class ToolEnded:
    """A tool came to an end after `seconds`; `text` is its result, JSON text."""

    call_id: str
    name: str
    outcome: ToolEnd
    seconds: float
    text: str = ""


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over."""

    close: Close


Moment: TypeAlias = (
    CallBegan
    | SessionStood
    | LineLost
    | TurnBegan
    | TurnEnded
    | WordsSaid
    | AnswerHeard
    | Interrupted
    | ToolBegan
    | ToolEnded
    | CallEnded
)
# Is told each moment with its time, on the loop's thread; must not block or raise.
Witness: TypeAlias = Callable[[float, Moment], None]
