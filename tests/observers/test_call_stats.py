"""The statistics of a call."""

from __future__ import annotations

import numpy as np

from runner.observers.call_stats import CallStats
from runner.observers.events import FinalTranscript
from runner.protocol.client.actions import Play, RunTool
from runner.protocol.client.events import MicFrame, Received, Say, ToolFinished
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyDone,
    ToolCall,
    TranscriptAgent,
    TranscriptUser,
)

VOICE = (np.sin(np.arange(1200) / 5) * 8000).astype("<i2").tobytes()
SILENCE = bytes(2400)


def test_a_latency_is_from_the_last_voice_to_the_first_audible_audio() -> None:
    record = CallStats()
    record.events.observe(1.0, MicFrame(VOICE))
    record.events.observe(1.5, MicFrame(SILENCE))
    record.events.observe(2.0, Received(InputSpeechStopped()))
    record.events.observe(2.2, Play(SILENCE))
    record.events.observe(2.5, Play(VOICE))
    record.events.observe(2.6, Play(VOICE))

    assert record.waits == [1.5]


def test_a_latency_without_voice_is_measured_from_the_end_of_the_turn() -> None:
    record = CallStats()
    record.events.observe(2.0, Received(InputSpeechStopped()))
    record.events.observe(2.5, Play(VOICE))

    assert record.waits == [0.5]


def test_a_turn_that_the_caller_continues_has_no_latency() -> None:
    record = CallStats()
    record.events.observe(2.0, Received(InputSpeechStopped()))
    record.events.observe(2.1, Received(InputSpeechStarted()))
    record.events.observe(2.5, Play(VOICE))

    assert record.waits == []


def test_the_greeting_is_not_an_answer() -> None:
    record = CallStats()
    record.events.observe(0.5, Play(VOICE))

    assert record.waits == []
    assert record.answers == 0


def test_answers_to_typed_text_are_counted_and_have_no_latency() -> None:
    record = CallStats()
    for at in (1.0, 2.0):
        record.events.observe(at, Say("Hello"))
        record.events.observe(at + 0.5, Play(VOICE))

    assert record.answers == 2
    assert record.waits == []


def test_texts_tool_calls_and_interruptions_have_their_times() -> None:
    record = CallStats()
    record.events.observe(1.0, Received(TranscriptUser("Where is it?")))
    record.events.observe(1.1, RunTool(ToolCall("c", "look")))
    record.events.observe(1.6, ToolFinished("c", "{}", is_error=True))
    record.events.observe(2.0, Received(TranscriptAgent("It is", interrupted=True)))
    record.events.observe(2.1, Received(ReplyDone("r", "interrupted")))

    assert record.words == [
        FinalTranscript(1.0, "caller", "Where is it?"),
        FinalTranscript(2.0, "agent", "It is", is_interrupted=True),
    ]
    call = record.calls["c"]
    assert (call.name, call.began, call.ended, call.is_error) == (
        "look",
        1.1,
        1.6,
        True,
    )
    assert record.interruptions == 1
