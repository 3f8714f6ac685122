"""Who has the word, and how far the last words have come."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto


class Floor(Enum):
    """Who holds the floor."""

    USER = auto()
    AGENT = auto()
    IDLE = auto()


class HangUpState(Enum):
    """How far the agent's own wish to hang up has come."""

    NONE = auto()
    OWED = auto()  # it asked to hang up without a word; its next reply is the goodbye
    SAID = auto()  # the goodbye is said; hang up when it has been heard


@dataclass(slots=True)
class Reply:
    """A reply under way, also when it is interrupted and not yet done."""

    reply_id: str  # "" where the service gives none
    is_announcement: bool = False  # it was asked for to say that a tool runs
    spoke: bool = False  # whether it had words
    heard_at: float | None = None  # when it last gave sound
    failed: bool = False  # whether the service could not make it, but might if asked

    @property
    def awaits_sound(self) -> bool:
        """Whether it has given no sound yet."""
        return self.heard_at is None

    def note_words(self, text: str, reply_id: str) -> None:
        """Take note of words that the service sent, if they are this reply's."""
        if text.strip() and reply_id in ("", self.reply_id):
            self.spoke = True
