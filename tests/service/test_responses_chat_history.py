"""What the mind is told of a session."""

from __future__ import annotations

from runner.protocol.messages import (
    ConversationMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)
from runner.service.responses import ChatHistory
from runner.speech.interfaces import (
    AssistantMessage,
    SystemMessage,
    ToolMessage,
    UserMessage,
)


def test_each_message_becomes_a_turn() -> None:
    memory = ChatHistory()
    memory.note(TranscriptUser("Hello?"))
    memory.note(TranscriptAgent("Which city?"), asked_for="location")
    memory.note(ConversationMessage("user", "By mail: Kim."))
    memory.note(ConversationMessage("system", "Be quick."))

    assert memory.turns == (
        UserMessage("Hello?"),
        AssistantMessage("Which city?", "location"),
        UserMessage("By mail: Kim."),
        SystemMessage("Be quick."),
    )


def test_the_agents_words_that_a_client_carries_over_are_its_own_again() -> None:
    memory = ChatHistory()
    memory.note(ConversationMessage("system", 'You said: "He said "hm"."'))

    assert memory.turns == (AssistantMessage('He said "hm".'),)


def test_a_result_moves_its_call_to_the_end() -> None:
    memory = ChatHistory()
    memory.note(ToolCall("call_1", "look", {"at": "it"}))
    memory.note(TranscriptAgent("Let me check that."))
    assert memory.turns[0] == ToolMessage("call_1", "look", {"at": "it"})

    memory.note(ToolResult("call_1", '{"ok":true}', is_error=True))

    assert memory.turns == (
        AssistantMessage("Let me check that."),
        ToolMessage("call_1", "look", {"at": "it"}, '{"ok":true}', True),
    )


def test_a_forgotten_call_never_was() -> None:
    memory = ChatHistory()
    memory.note(ToolCall("call_1", "look"))
    memory.note(ToolCall("call_2", "look"))
    memory.forget("call_1")

    assert memory.turns == (ToolMessage("call_2", "look", {}),)


def test_a_long_call_does_not_grow_without_end() -> None:
    memory = ChatHistory()
    for number in range(500):
        memory.note(TranscriptUser(str(number)))

    assert len(memory.turns) < 100
    assert memory.turns[-1] == UserMessage("499")
