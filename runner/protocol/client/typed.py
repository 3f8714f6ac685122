"""Words of the caller that go in as text: when they are sent, and when sent again.

What is typed without a line waits for one. What was sent just before a line dropped
perhaps never arrived: if the session that is back does not answer by itself, it is sent
again.
"""

from __future__ import annotations

from collections import deque

from runner.protocol.client.actions import Action, Send
from runner.protocol.client.expectation import PendingReply
from runner.protocol.messages import ConversationMessage, ReplyCreate

# More than this, typed without a line, is not a conversation.
MOST_LINES = 10


class TextInputQueue:
    """The typed lines of one call; owned by its conversation."""

    def __init__(self, expectation: PendingReply) -> None:
        self._expectation = expectation
        self._held: deque[str] = deque(maxlen=MOST_LINES)
        self._sent: deque[str] = deque(maxlen=MOST_LINES)  # and no reply began since
        self.is_doubtful = False  # whether the line dropped after they were sent

    @property
    def is_waiting(self) -> bool:
        """Whether lines wait for a line to be sent on."""
        return bool(self._held)

    def hold(self, text: str) -> None:
        """Keep a line until there is somebody to hear it."""
        self._held.append(text)

    def take_held(self) -> list[str]:
        """Return the lines that are to be said now."""
        held = list(self._held)
        self._held.clear()
        return held

    def say(self, text: str, now: float) -> list[Action]:
        """Send a line and ask for a reply to it."""
        self._sent.append(text)
        return self._send(text, now)

    def repeat(self, now: float) -> list[Action]:
        """Send again what perhaps never arrived."""
        self.is_doubtful = False
        return [action for text in self._sent for action in self._send(text, now)]

    def lose(self) -> None:
        """The line dropped."""
        self.is_doubtful = bool(self._sent)

    def hear(self) -> None:
        """A reply began, or somebody else told of them: they have arrived."""
        self._sent.clear()
        self.is_doubtful = False

    def _send(self, text: str, now: float) -> list[Action]:
        self._expectation.expect(now, owed=True)
        return [Send(ConversationMessage("user", text)), Send(ReplyCreate())]
