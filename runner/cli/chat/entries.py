"""What stands in a conversation: words of both sides, calls of tools, notices."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from typing import TypeAlias


@dataclass(slots=True)
class UserMessageEntry:
    """What the caller says; until it `is_final` the text is replaced as it grows."""

    text: str
    is_final: bool = False


@dataclass(frozen=True, slots=True)
class Word:
    """A word of the agent; `start_ms` is counted from the first sound of its reply."""

    text: str
    start_ms: int | None = None


@dataclass(slots=True)
class AgentMessageEntry:
    """A reply of the agent; times are seconds of the engine's clock.

    `text` is the service's transcript, which comes when all sound was sent. Sound is
    heard from `began` to `ends`; `heard_ms` of it when it was cut off.
    """

    reply_id: str
    words: list[Word] = field(default_factory=list)
    text: str | None = None
    began: float | None = None
    ends: float = 0.0
    heard_ms: float | None = None
    is_interrupted: bool = False
    is_over: bool = False

    def is_done(self, now: float) -> bool:
        """Whether nothing of it can change any more."""
        return self.is_over and now >= self.ends

    def shown(self, now: float) -> tuple[str, str]:
        """Return the words that are heard by now, and those that never will be."""
        if self.is_interrupted:
            return self._cut()
        if self.is_done(now) or not self._has_times:
            return (self.text if self.text is not None else join(self.words)), ""
        if self.began is None:
            return "", ""
        so_far = (now - self.began) * 1000
        return join([w for w in self.words if (w.start_ms or 0) <= so_far]), ""

    @property
    def _has_times(self) -> bool:
        return any(word.start_ms is not None for word in self.words)

    def _cut(self) -> tuple[str, str]:
        if self.heard_ms is not None and self._has_times:
            heard = [w for w in self.words if (w.start_ms or 0) < self.heard_ms]
            return join(heard), join(self.words[len(heard) :])
        everything = join(self.words)
        if self.text is None:
            return everything, ""
        # The service trims its transcript to what it thinks was spoken.
        if everything.startswith(self.text):
            return self.text, everything[len(self.text) :].strip()
        return self.text, ""


@dataclass(slots=True)
class ToolCallEntry:
    """A call of a tool; `ended` is None while it runs."""

    call_id: str
    name: str
    arguments: str
    began: float
    ended: float | None = None
    result: str = ""
    is_error: bool = False
    is_cancelled: bool = False


@dataclass(frozen=True, slots=True)
class NoticeEntry:
    """A sentence of vagent's own, or a line of a log."""

    text: str


Entry: TypeAlias = UserMessageEntry | AgentMessageEntry | ToolCallEntry | NoticeEntry


def join(words: list[Word]) -> str:
    """Join words, which some services send with spaces between them and some without.

    No space is put between characters of scripts that write without them.
    """
    text = ""
    for word in words:
        if text and word.text and _is_apart(text[-1], word.text[0]):
            text += " "
        text += word.text
    return text.strip()


def _is_apart(before: str, after: str) -> bool:
    if before.isspace() or after.isspace() or not after.isalnum():
        return False
    wide = ("W", "F")
    return unicodedata.east_asian_width(before) not in wide or (
        unicodedata.east_asian_width(after) not in wide
    )
