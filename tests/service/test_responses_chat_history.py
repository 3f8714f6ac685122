"""The history that the language model reads."""

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


def test_each_message_is_added() -> None:
    memory = ChatHistory()
    memory.append(TranscriptUser("Hello?"))
    memory.append(TranscriptAgent("Which city?"), asked_for="location")
    memory.append(ConversationMessage("user", "By mail: Kim."))
    memory.append(ConversationMessage("system", "Be quick."))

    assert memory.messages == (
        UserMessage("Hello?"),
        AssistantMessage("Which city?", "location"),
        UserMessage("By mail: Kim."),
        SystemMessage("Be quick."),
    )


def test_a_client_can_restore_what_the_agent_said() -> None:
    memory = ChatHistory()
    memory.append(ConversationMessage("system", 'You said: "He said "hm"."'))

    assert memory.messages == (AssistantMessage('He said "hm".'),)


def test_a_result_moves_its_tool_call_to_the_end() -> None:
    memory = ChatHistory()
    memory.append(ToolCall("call_1", "look", {"at": "it"}))
    memory.append(TranscriptAgent("Let me check that."))
    assert memory.messages[0] == ToolMessage("call_1", "look", {"at": "it"})

    memory.append(ToolResult("call_1", '{"ok":true}', is_error=True))

    assert memory.messages == (
        AssistantMessage("Let me check that."),
        ToolMessage("call_1", "look", {"at": "it"}, '{"ok":true}', True),
    )


def test_a_removed_tool_call_is_not_in_the_history() -> None:
    memory = ChatHistory()
    memory.append(ToolCall("call_1", "look"))
    memory.append(ToolCall("call_2", "look"))
    memory.remove_call("call_1")

    assert memory.messages == (ToolMessage("call_2", "look", {}),)


def test_the_history_of_a_long_call_is_limited() -> None:
    memory = ChatHistory()
    for number in range(500):
        memory.append(TranscriptUser(str(number)))

    assert len(memory.messages) < 100
    assert memory.messages[-1] == UserMessage("499")


def test_the_history_is_bounded_in_characters_and_keeps_the_last_message() -> None:
    history = ChatHistory()
    for _ in range(20):
        history.append(ConversationMessage("user", "x" * 100_000))
    assert history.size <= 2**20

    history.append(ConversationMessage("user", "y" * 2_000_000))
    assert [len(message.text) for message in history.messages] == [2_000_000]  # type: ignore[union-attr]
