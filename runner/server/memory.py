"""What has been said in a session, as the mind is told it."""

from __future__ import annotations

import re
from dataclasses import replace

from runner.protocol.messages import (
    ConversationMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)
from runner.protocol.server.events import Memorable
from runner.speech.interfaces import (
    AssistantMessage,
    HistoryMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)

# The small minds here read some thousand tokens at most, and need a few turns only.
_MOST_TURNS = 60
_OWN_WORDS = re.compile(r'You said: "(.*)"', re.DOTALL)


class ChatHistory:
    """One session's history, written by the session's own actions."""

    def __init__(self) -> None:
        self._turns: list[HistoryMessage] = []

    @property
    def turns(self) -> tuple[HistoryMessage, ...]:
        """Everything that still counts, oldest first."""
        return tuple(self._turns)

    def note(self, message: Memorable, *, asked_for: str | None = None) -> None:
        """Take in what was said, asked or answered.

        `asked_for` is the tool's value that the agent's words asked for, if any.
        """
        match message:
            case TranscriptUser(text=text):
                self._turns.append(UserMessage(text))
            case TranscriptAgent(text=text):
                self._turns.append(AssistantMessage(text, asked_for))
            case ConversationMessage(role="user", content=text):
                self._turns.append(UserMessage(text))
            case ConversationMessage(content=text):
                # A client that carries a conversation over has no other way to say it.
                own = _OWN_WORDS.fullmatch(text)
                self._turns.append(
                    AssistantMessage(own[1]) if own else SystemMessage(text)
                )
            case ToolCall():
                call = ToolMessage(message.call_id, message.name, message.arguments)
                self._turns.append(call)
            case ToolResult():
                self._answer(message)
        del self._turns[:-_MOST_TURNS]

    def forget(self, call_id: str) -> None:
        """Drop a call that nobody will answer."""
        self._turns = [
            turn
            for turn in self._turns
            if not (isinstance(turn, ToolMessage) and turn.call_id == call_id)
        ]

    def _answer(self, result: ToolResult) -> None:
        """Move the call to the end: its result is what the mind answers next."""
        for turn in self._turns:
            if isinstance(turn, ToolMessage) and turn.call_id == result.call_id:
                self._turns.remove(turn)
                answered = replace(turn, result=result.result, is_error=result.is_error)
                self._turns.append(answered)
                return
