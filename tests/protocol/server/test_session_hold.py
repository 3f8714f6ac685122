"""Tools that run in silence (`execution_mode: hold`)."""

from __future__ import annotations

from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyStarted,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
)
from runner.protocol.server.events import (
    AudioChunk,
    ClauseStarted,
    Disconnected,
    PartialTranscript,
    ReplyFailed,
    ReplyFinished,
    Resumed,
    SpeechStarted,
    StartReply,
    Tick,
    ToolCallRequested,
    TurnCommitted,
)
from tests.protocol.server.test_session import TOOL, Pair, error_of, kinds, sent

HOLD = {"type": "function", "name": "wait", "execution_mode": "hold"}


def holding() -> tuple[Pair, str]:
    """Returns a session in which a silent call is open, and the ID of the call."""
    pair = Pair(tools=[TOOL, HOLD])
    pair.say("Please wait.")
    call_id = pair.call("wait")
    pair.feed(ReplyFinished(pair.reply_id))
    return pair, call_id


def test_a_silent_call_is_all_that_is_sent_until_its_result() -> None:
    pair, call_id = holding()

    assert [type(message) for message in sent(pair.actions)][2:] == [
        InputSpeechStarted,
        InputSpeechStopped,
        TranscriptUser,
        ToolCall,
    ]
    assert kinds(pair.receive(ToolResult(call_id, "1")))[-1] is StartReply


def test_the_answer_after_a_hold_is_announced_before_its_words() -> None:
    pair, call_id = holding()
    pair.receive(ToolResult(call_id, "1"))
    reply = pair.reply_id
    actions = pair.feed(
        ClauseStarted(reply, "Done.", 10),
        AudioChunk(reply, bytes(480)),
        ReplyFinished(reply),
    )

    assert [type(message) for message in sent(actions)] == [
        ReplyStarted,
        TranscriptAgentDelta,
        ReplyAudio,
        TranscriptAgent,
        ReplyDone,
    ]


def test_transcripts_are_withheld_until_the_result_and_start_no_reply() -> None:
    pair, call_id = holding()
    actions = pair.feed(
        SpeechStarted(), PartialTranscript("Still"), TurnCommitted("Still there?")
    )
    assert [type(each) for each in sent(actions)] == [
        InputSpeechStarted,
        InputSpeechStopped,
    ]

    actions = pair.receive(ToolResult(call_id, "1"))
    [said] = sent(actions)
    assert said.text == "Still there?"
    assert kinds(actions)[-1] is StartReply


def test_a_result_during_speech_is_answered_with_the_turn() -> None:
    pair, call_id = holding()
    pair.say("One.")
    pair.feed(SpeechStarted())
    actions = pair.receive(ToolResult(call_id, "1"))
    assert [each.text for each in sent(actions)] == ["One."]

    actions = pair.feed(TurnCommitted("Two."))
    assert [each.text for each in sent(actions)[1:]] == ["Two."]
    assert kinds(actions)[-1] is StartReply


def test_speech_before_the_model_has_finished_does_not_cancel_a_silent_call() -> None:
    pair = Pair(tools=[HOLD])
    pair.say("Please wait.")
    call_id = pair.call("wait")
    actions = pair.say("Thanks.")

    assert ReplyDone not in kinds(actions)
    assert [each.text for each in sent(pair.receive(ToolResult(call_id, "1")))] == [
        "Thanks."
    ]


def test_a_requested_reply_speaks_during_a_hold() -> None:
    pair, call_id = holding()

    assert kinds(pair.receive(ReplyCreate("Say that it takes long."))) == [
        ReplyStarted,
        StartReply,
    ]
    pair.feed(ReplyFinished(pair.reply_id))
    assert kinds(pair.receive(ToolResult(call_id, "1")))[-1] is StartReply


def test_an_interactive_call_is_announced_next_to_a_silent_tool() -> None:
    pair = Pair(tools=[TOOL, HOLD])
    pair.say("Look!")

    assert [
        type(each) for each in sent(pair.feed(ToolCallRequested(pair.reply_id, "look")))
    ] == [ReplyStarted, ToolCall]


def test_an_empty_or_failed_reply_is_announced() -> None:
    for event in (ReplyFinished, lambda reply: ReplyFailed(reply, "x", "y")):
        pair = Pair(tools=[HOLD])
        pair.say("Hello")
        actions = pair.feed(event(pair.reply_id))

        assert kinds(actions)[0] is ReplyStarted
        assert kinds(actions)[-1] is ReplyDone


def test_a_silent_call_that_times_out_is_answered() -> None:
    pair, _ = holding()
    pair.say("Hm.")
    pair.now += 120
    actions = pair.feed(Tick())

    assert [each.text for each in sent(actions)] == ["Hm."]
    assert kinds(actions)[-1] is StartReply


def test_a_silent_call_outlives_a_lost_connection() -> None:
    pair, call_id = holding()
    pair.feed(Disconnected())
    actions = pair.feed(Resumed())

    assert [each.call_id for each in sent(actions) if isinstance(each, ToolCall)] == [
        call_id
    ]
    assert kinds(pair.receive(ToolResult(call_id, "1")))[-1] is StartReply


def test_an_unknown_execution_mode_is_refused() -> None:
    code, _, param = error_of(Pair(tools=[HOLD | {"execution_mode": "x"}]).actions)

    assert (code, param) == ("invalid_value", "tools[0].execution_mode")
