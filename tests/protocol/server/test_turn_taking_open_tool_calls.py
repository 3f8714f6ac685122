"""The open tool calls of a session."""

from __future__ import annotations

from runner.protocol.messages import ToolCall
from runner.protocol.server.turn_taking import OpenToolCalls


def test_a_call_is_closed_once_and_remembered_as_closed() -> None:
    calls = OpenToolCalls()
    calls.open(ToolCall("call_1", "look"), "resp_1", 5.0)

    assert not calls.was_closed("call_1")
    assert calls.close("call_1") == "resp_1"
    assert calls.close("call_1") is None
    assert calls.was_closed("call_1")
    assert not calls.was_closed("call_2")


def test_a_reply_awaits_its_own_calls_only() -> None:
    calls = OpenToolCalls()
    calls.open(ToolCall("call_1", "look"), "resp_1", 5.0)
    calls.open(ToolCall("call_2", "look"), "resp_2", 6.0)

    assert calls.of("resp_1") == ["call_1"]
    calls.close("call_1")
    assert not calls.awaits("resp_1")
    assert calls.awaits("resp_2")


def test_the_earliest_deadline_counts_and_late_calls_are_found() -> None:
    calls = OpenToolCalls()
    assert calls.deadline is None
    calls.open(ToolCall("call_1", "look"), "resp_1", 6.0)
    calls.open(ToolCall("call_2", "look"), "resp_1", 5.0)

    assert calls.deadline == 5.0
    assert calls.late(4.9) == []
    assert calls.late(5.0) == ["call_2"]
    assert calls.late(9.0) == ["call_1", "call_2"]


def test_postponed_calls_keep_a_later_deadline_of_their_own() -> None:
    calls = OpenToolCalls()
    calls.open(ToolCall("call_1", "look"), "resp_1", 5.0)
    calls.open(ToolCall("call_2", "look"), "resp_1", 50.0)
    calls.postpone(20.0)

    assert calls.late(19.0) == []
    assert calls.late(20.0) == ["call_1"]
    assert calls.close("call_1") == "resp_1"
    assert calls.deadline == 50.0
