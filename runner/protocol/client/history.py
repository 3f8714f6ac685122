"""What has been said and done in a call, for a fresh session that must take it over."""

from __future__ import annotations

from collections import deque

from runner.protocol.messages import (
    ConversationMessage,
    ServerMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)

# What a service is told of a lost conversation: more costs time and says little.
MOST_TURNS = 40
MOST_CHARACTERS = 8_000
_LONGEST_RESULT = 500
_OWN = "You said: "

PREFACE = (
    "The line dropped and the call goes on now. This is the conversation so far; take "
    "it up where it stopped, without greeting again."
)


class History:
    """The last turns of a call; kept by its conversation."""

    def __init__(self) -> None:
        self._turns: deque[ConversationMessage] = deque(maxlen=MOST_TURNS)

    def note(self, message: ServerMessage) -> None:
        """Keep the words of a message, if it has any."""
        match message:
            case TranscriptUser(text=text) if text.strip():
                self.say(text)
            case TranscriptAgent(text=text) if text.strip():
                # The wire has no role for the agent's own words.
                self._turns.append(ConversationMessage("system", f'{_OWN}"{text}"'))
            case _:
                pass

    def say(self, text: str) -> None:
        """Keep words of the caller."""
        self._turns.append(ConversationMessage("user", text))

    def answer(self, call: ToolCall, result: ToolResult) -> None:
        """Keep what a tool told the agent."""
        text = result.result
        if len(text) > _LONGEST_RESULT:
            text = text[:_LONGEST_RESULT] + "…"
        self._turns.append(
            ConversationMessage("system", f"Your tool {call.name} returned: {text}")
        )

    @property
    def awaits_answer(self) -> bool:
        """Whether the last word is the caller's or a tool's."""
        return bool(self._turns) and not self._turns[-1].content.startswith(_OWN)

    def tell(self) -> list[ConversationMessage]:
        """Return the messages that tell a fresh session of it; none if all is new."""
        kept: deque[ConversationMessage] = deque()
        room = MOST_CHARACTERS
        for turn in reversed(self._turns):
            room -= len(turn.content)
            if room < 0:
                break
            kept.appendleft(turn)
        return [ConversationMessage("system", PREFACE), *kept] if kept else []
