"""What the agent said in a recorded call, and what its tools came to."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from runner.protocol.messages import (
    ReplyDone,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
)


@dataclass(slots=True)
class Reply:
    """One reply of the agent's: what it said and asked for, and what cut it off.

    `is_thought` is false where the words were given: the greeting, an announcement.
    """

    reply_id: str = ""
    is_thought: bool = True
    words: str = ""
    pieces: str = ""
    calls: list[ToolCall] = field(default_factory=list)
    sounded_at: float | None = None
    sounds_until: float = 0.0
    is_over: bool = False

    @property
    def says(self) -> str:
        """All that it was going to say, as far as that is known."""
        return max(self.words, self.pieces, key=len).strip()

    def note(self, message: object) -> None:
        """Take note of what belongs to it."""
        match message:
            case TranscriptAgentDelta(delta):
                self.pieces += delta
            case TranscriptAgent(text):
                self.words = text
            case ToolCall():
                self.calls.append(message)
            case ReplyDone():
                self.is_over = True
            case _:
                pass


@dataclass(slots=True)
class Run:
    """One run of a tool; `text` is None where it came to nothing."""

    call: ToolCall
    began: float
    seconds: float = 0.0
    text: str | None = None
    is_error: bool = False


def told(text: str | None) -> Any:
    """Return a tool's result as a value; text that is no JSON as it is."""
    try:
        return json.loads(text or "null")
    except (ValueError, RecursionError):
        return text


def calls_of(reply: Reply) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tools that a reply asked for, with their arguments."""
    for call in reply.calls:
        yield call.name, dict(call.arguments)
