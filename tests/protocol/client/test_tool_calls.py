"""The table of tool calls."""

from __future__ import annotations

from runner.protocol.client.tool_calls import CallState, ToolCallTable, ToolPolicy
from runner.protocol.messages import ToolCall, ToolResult

RULES = ToolPolicy()


def test_results_come_in_the_order_of_the_calls_and_once() -> None:
    book = ToolCallTable()
    for call_id in ("a", "b", "c"):
        book.begin(ToolCall(call_id, "look"), "r", RULES)
    book.finish("c", "3", False)
    book.finish("a", "1", False)

    assert book.take_results() == [ToolResult("a", "1"), ToolResult("c", "3")]
    assert book.take_results() == []
    assert book.any_open


def test_forgetting_a_reply_returns_its_running_calls_only() -> None:
    book = ToolCallTable()
    book.begin(ToolCall("a", "look"), "r1", RULES)
    book.begin(ToolCall("b", "look"), "r2", RULES)
    book.begin(ToolCall("c", "look"), "r1", RULES)
    book.finish("c", "3", False)

    assert [call.message.call_id for call in book.forget("r1")] == ["a"]
    assert book.finish("a", "1", False) is None
    assert book.take_results() == []
    assert book.any_open


def test_an_unknown_call_cannot_finish() -> None:
    assert ToolCallTable().finish("x", "1", False) is None


def test_a_refused_call_never_runs_and_is_remembered() -> None:
    book = ToolCallTable()
    book.refuse(ToolCall("a", "look"), "r")

    assert not book.any_open
    assert book.begin(ToolCall("a", "look"), "r", RULES) is None


def test_a_terminal_call_waits() -> None:
    call = ToolCallTable().begin(
        ToolCall("a", "end_call"), "r", ToolPolicy(terminal=True)
    )

    assert call is not None
    assert call.state is CallState.WAITING


def test_old_calls_are_dropped_but_never_an_open_one() -> None:
    book = ToolCallTable()
    book.begin(ToolCall("open", "look"), "r", RULES)
    for number in range(3000):
        book.begin(ToolCall(str(number), "look"), "r", RULES)
        book.finish(str(number), "1", False)
        book.take_results()

    assert len(list(book)) < 1100
    assert book.finish("open", "1", False) is not None
