"""The table of tool calls."""

from __future__ import annotations

from runner.protocol.client.tool_calls import CallState, ToolCallTable, ToolPolicy
from runner.protocol.messages import ToolCall, ToolResult

RULES = ToolPolicy()


def test_results_come_in_the_order_of_the_calls_and_once() -> None:
    table = ToolCallTable()
    for call_id in ("a", "b", "c"):
        table.begin(ToolCall(call_id, "look"), "r", RULES)
    table.finish("c", "3", False)
    table.finish("a", "1", False)

    assert table.take_results() == [ToolResult("a", "1"), ToolResult("c", "3")]
    assert table.take_results() == []
    assert table.any_open


def test_forgetting_a_reply_returns_its_running_calls_only() -> None:
    table = ToolCallTable()
    table.begin(ToolCall("a", "look"), "r1", RULES)
    table.begin(ToolCall("b", "look"), "r2", RULES)
    table.begin(ToolCall("c", "look"), "r1", RULES)
    table.finish("c", "3", False)

    assert [call.message.call_id for call in table.forget("r1")] == ["a"]
    assert table.finish("a", "1", False) is None
    assert table.take_results() == []
    assert table.any_open


def test_an_unknown_call_cannot_finish() -> None:
    assert ToolCallTable().finish("x", "1", False) is None


def test_a_refused_call_never_runs_and_is_remembered() -> None:
    table = ToolCallTable()
    table.refuse(ToolCall("a", "look"), "r")

    assert not table.any_open
    assert table.begin(ToolCall("a", "look"), "r", RULES) is None


def test_a_terminal_call_waits() -> None:
    call = ToolCallTable().begin(
        ToolCall("a", "end_call"), "r", ToolPolicy(terminal=True)
    )

    assert call is not None
    assert call.state is CallState.WAITING


def test_old_calls_are_dropped_but_never_an_open_one() -> None:
    table = ToolCallTable()
    table.begin(ToolCall("open", "look"), "r", RULES)
    for number in range(3000):
        table.begin(ToolCall(str(number), "look"), "r", RULES)
        table.finish(str(number), "1", False)
        table.take_results()

    assert len(table) < 2100
    assert table.finish("open", "1", False) is not None


def test_an_answered_id_with_other_arguments_is_a_new_call() -> None:
    table = ToolCallTable()
    table.begin(ToolCall("a", "look", {"day": 1}), "r", RULES)
    assert table.begin(ToolCall("a", "look", {"day": 2}), "r", RULES) is None
    table.finish("a", "1", False)
    table.take_results()

    assert table.begin(ToolCall("a", "look", {"day": 1}), "r", RULES) is None
    assert table.begin(ToolCall("a", "look", {"day": 2}), "r", RULES) is not None
    table.finish("a", "2", False)
    assert table.take_results() == [ToolResult("a", "2")]


def test_a_repeated_call_after_a_drop_is_answered_again() -> None:
    table, call = ToolCallTable(), ToolCall("a", "look")
    table.begin(call, "r", RULES)
    table.finish("a", "1", False)
    table.take_results()
    table.mark_unconfirmed()

    assert table.begin(call, "r", RULES) is None
    assert table.take_results() == [ToolResult("a", "1")]


def test_thousands_of_open_calls_are_answered_one_by_one() -> None:
    table = ToolCallTable()
    for number in range(50_000):
        table.begin(ToolCall(str(number), "look"), "r", RULES)
    for number in range(50_000):
        table.finish(str(number), "1", False)
        assert len(table.take_results()) == 1
    assert not table.any_open
