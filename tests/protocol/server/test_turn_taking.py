"""Turn-taking, in addition to the tests of the whole session."""

from __future__ import annotations

import itertools

from runner.protocol.messages import (
    ReplyCreate,
    ReplyDone,
    ToolCall,
    ToolResult,
    TranscriptUserDelta,
    say_verbatim,
)
from runner.protocol.server.config import default_settings
from runner.protocol.server.events import (
    PartialTranscript,
    ReplyFinished,
    Send,
    ServerAction,
    SpeechStarted,
    StartReply,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.turn_taking import Floor, Turn


def floor() -> Floor:
    numbers = itertools.count(1)
    return Floor(default_settings(), lambda kind: f"{kind}_{next(numbers)}")


def test_partial_transcripts_outside_a_turn_are_not_sent() -> None:
    assert list(floor().feed(PartialTranscript("Hello"), 0.0)) == []


def test_a_turn_that_never_started_is_not_answered() -> None:
    assert list(floor().feed(TurnCommitted("Hello"), 0.0)) == []


def test_the_floor_passes_from_the_caller_to_the_agent_and_becomes_free() -> None:
    one = floor()
    turns = [one.turn]
    list(one.feed(SpeechStarted(), 0.0))
    turns.append(one.turn)
    actions = list(one.feed(TurnCommitted("Hello?"), 0.0))
    turns.append(one.turn)
    [reply_id] = [a.reply_id for a in actions if isinstance(a, StartReply)]
    list(one.feed(ReplyFinished(reply_id), 0.0))
    turns.append(one.turn)

    assert turns == [Turn.IDLE, Turn.USER, Turn.AGENT, Turn.IDLE]


def test_each_turn_of_the_caller_is_its_own_item() -> None:
    one, items = floor(), []
    for _ in range(2):
        list(one.feed(SpeechStarted(), 0.0))
        for action in one.feed(PartialTranscript("He"), 0.0):
            assert isinstance(action, Send)
            assert isinstance(action.message, TranscriptUserDelta)
            items.append(action.message.item_id)
        list(one.feed(TurnCommitted(""), 0.0))

    assert len(set(items)) == 2


def test_a_verbatim_text_does_not_answer_the_caller() -> None:
    one = floor()
    list(one.feed(SpeechStarted(), 0.0))
    list(one.handle(ReplyCreate(say_verbatim("One moment."))))

    actions = list(one.feed(TurnCommitted("Hello?"), 0.0))

    [start] = [a for a in actions if isinstance(a, StartReply)]
    assert start == StartReply(start.reply_id)
    assert list(one.feed(ReplyFinished(start.reply_id), 0.0)) == [
        Send(ReplyDone(start.reply_id, "completed"))
    ]


def test_a_verbatim_text_does_not_answer_a_tool_result() -> None:
    one = floor()
    calls = [
        action.message
        for action in called(one)
        if isinstance(action, Send) and isinstance(action.message, ToolCall)
    ]
    list(one.feed(SpeechStarted(), 0.0))
    list(one.handle(ReplyCreate(say_verbatim("One moment."))))
    list(one.handle(ToolResult(calls[0].call_id, "1")))

    actions = list(one.feed(TurnCommitted(""), 0.0))

    [start] = [a for a in actions if isinstance(a, StartReply)]
    assert start == StartReply(start.reply_id, after_tools=True)


def test_a_verbatim_text_is_said_after_a_turn_without_speech() -> None:
    one = floor()
    list(one.feed(SpeechStarted(), 0.0))
    list(one.handle(ReplyCreate(say_verbatim("One moment."))))

    actions = list(one.feed(TurnCommitted(""), 0.0))

    [start] = [a for a in actions if isinstance(a, StartReply)]
    assert start.instructions == say_verbatim("One moment.")


def called(one: Floor) -> list[ServerAction]:
    """Let the agent call a tool in a reply that ends."""
    list(one.feed(SpeechStarted(), 0.0))
    actions = list(one.feed(TurnCommitted("Look."), 0.0))
    [reply_id] = [a.reply_id for a in actions if isinstance(a, StartReply)]
    actions = list(one.feed(ToolCallRequested(reply_id, "look", {}), 0.0))
    list(one.feed(ReplyFinished(reply_id), 0.0))
    return actions


def test_two_requests_for_a_reply_are_one_reply() -> None:
    one = floor()
    list(one.feed(SpeechStarted(), 0.0))
    list(one.handle(ReplyCreate("First.")))
    list(one.handle(ReplyCreate("Second.")))

    actions = list(one.feed(TurnCommitted("Hello?"), 0.0))
    [start] = [a for a in actions if isinstance(a, StartReply)]

    assert start.instructions == "Second."
    after = list(one.feed(ReplyFinished(start.reply_id), 0.0))
    assert after == [Send(ReplyDone(start.reply_id, "completed"))]
