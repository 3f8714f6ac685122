"""The history for a fresh session."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.conversation import (
    MAX_CHARACTERS,
    MAX_TURNS,
    PREFACE,
    History,
)
from runner.protocol.messages import (
    ConversationMessage,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)


def test_a_call_in_which_nothing_was_said_has_no_history() -> None:
    history = History()
    history.note(TranscriptUser("  "))
    history.note(TranscriptAgent(""))

    assert history.messages() == []


def test_texts_of_both_sides_and_tool_results_are_in_order() -> None:
    history = History()
    history.note(TranscriptAgent("How can I help?"))
    history.note(TranscriptUser("Where is 1234?"))
    history.add_tool_result(
        ToolCall("c1", "lookup_order"), ToolResult("c1", '{"at":"sea"}')
    )
    history.add_user_text("Hello?")

    assert history.messages() == [
        ConversationMessage("system", PREFACE),
        ConversationMessage("system", 'You said: "How can I help?"'),
        ConversationMessage("user", "Where is 1234?"),
        ConversationMessage("system", 'Your tool lookup_order returned: {"at":"sea"}'),
        ConversationMessage("user", "Hello?"),
    ]


@given(st.lists(st.text(min_size=1, max_size=3000), max_size=60))
def test_history_is_bounded_and_its_end_is_what_is_kept(lines: list[str]) -> None:
    history = History()
    for line in lines:
        history.add_user_text(line)

    told = history.messages()[1:]

    assert len(told) <= MAX_TURNS
    assert sum(len(turn.content) for turn in told) <= MAX_CHARACTERS
    assert [turn.content for turn in told] == lines[len(lines) - len(told) :]


def test_a_huge_result_is_cut() -> None:
    history = History()
    history.add_tool_result(ToolCall("c1", "dump"), ToolResult("c1", "x" * 100_000))

    assert len(history.messages()[1].content) < 1000
