"""The call events that follow from what an engine does or a recording holds."""

from __future__ import annotations

from typing import TypeVar

from runner.audio.devices import BYTES_PER_SECOND
from runner.observers.events import (
    AgentReplyEnded,
    AgentReplyStarted,
    AnswerHeard,
    CallEnded,
    CallerSpeechStarted,
    CallerSpeechStopped,
    CallEvent,
    CallInterpreter,
    CallStarted,
    ConnectionLost,
    FinalTranscript,
    PlaybackStarted,
    PlaybackStopped,
    SessionOpened,
    ToolEnded,
    ToolStarted,
    TurnEnded,
    TurnStarted,
)
from runner.protocol.client.actions import (
    Announce,
    CancelTool,
    Close,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Disconnected,
    HangUp,
    MicFrame,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionResume,
    SessionUpdate,
    TranscriptUser,
)
from runner.recording.format import AudioSummary
from tests.observers.calls import (
    CALL,
    END,
    GREETING,
    OUTAGE,
    QUESTION,
    QUIET,
    VOICE,
    watch,
)

_E = TypeVar("_E", bound=CallEvent)


def of_kind(events: list[CallEvent], kind: type[_E]) -> list[_E]:
    return [event for event in events if isinstance(event, kind)]


def test_a_call_is_reported_from_start_to_end() -> None:
    events = watch([*GREETING, *QUESTION, *OUTAGE, *END])

    assert events == [
        CallStarted(0.0),
        SessionOpened(0.5, "sess_1"),
        TurnStarted(1.0, 1, "agent"),
        AgentReplyStarted(1.0, "r1"),
        FinalTranscript(1.5, "agent", "Hello.", "r1"),
        AgentReplyEnded(1.5, "r1"),
        TurnEnded(1.5, 1, "agent"),
        TurnStarted(2.0, 2, "caller"),
        CallerSpeechStarted(2.0),
        CallerSpeechStopped(3.25),
        FinalTranscript(3.25, "caller", "Where is my order?"),
        ToolStarted(3.5, CALL),
        ToolEnded(4.0, CALL, "ok", 0.5, '{"at":"home"}'),
        AgentReplyStarted(4.25, "r2"),
        PlaybackStarted(4.25, "r2"),
        # From 2.5, the last audible voice, and from 3.25, when that was decided.
        AnswerHeard(4.5, 1.25, 2.0),
        FinalTranscript(5.0, "agent", "It is at", "r2", is_interrupted=True),
        AgentReplyEnded(5.0, "r2", is_interrupted=True),
        ConnectionLost(6.0, "the line was lost"),
        SessionOpened(8.0, "sess_1", is_resumed=True, lost_seconds=2.0),
        TurnEnded(5.0, 2, "caller"),
        CallEnded(9.0, Close(Outcome.CLEAN, "the agent hung up"), "agent"),
    ]


def test_a_caller_who_continues_starts_no_second_turn() -> None:
    events = watch(
        [
            *GREETING,
            (2.0, Received(InputSpeechStarted())),
            (2.5, Received(InputSpeechStopped())),
            (2.6, Received(InputSpeechStarted())),
            (3.0, Received(InputSpeechStopped())),
        ]
    )

    assert of_kind(events, TurnStarted) == [
        TurnStarted(1.0, 1, "agent"),
        TurnStarted(2.0, 2, "caller"),
    ]


def test_a_typed_turn_waits_from_when_it_was_typed() -> None:
    events = watch(
        [
            *GREETING,
            (2.0, Say("Hi.")),
            (2.5, Received(ReplyStarted("r2"))),
            (2.5, Play(QUIET)),
            (3.0, Play(VOICE)),
            (3.1, Play(VOICE)),
        ]
    )

    assert of_kind(events, AnswerHeard) == [AnswerHeard(3.0, 1.0, None)]


def test_typed_text_that_comes_back_is_reported_once() -> None:
    events = watch(
        [
            (1.0, Say("Hello")),
            (1.2, Received(TranscriptUser("Hello"))),
            (2.0, Received(InputSpeechStarted())),
            (2.5, Received(InputSpeechStopped())),
            (2.6, Received(TranscriptUser("Hello"))),
        ]
    )

    assert of_kind(events, FinalTranscript) == [
        FinalTranscript(1.0, "caller", "Hello", source="typed"),
        FinalTranscript(2.6, "caller", "Hello"),
    ]


def test_a_cancelled_tool_ends_once() -> None:
    events = watch(
        [
            *GREETING,
            (2.0, RunTool(CALL)),
            (2.5, CancelTool("call_1")),
            (3.0, ToolFinished("call_1", "{}")),
        ]
    )

    assert of_kind(events, ToolEnded) == [ToolEnded(2.5, CALL, "cancelled", 0.5)]


def test_a_tool_that_runs_when_the_call_ends_is_cancelled_before_it() -> None:
    events = watch([*GREETING, (2.0, RunTool(CALL)), *END])

    assert [type(each) for each in events[-3:]] == [ToolEnded, TurnEnded, CallEnded]


def test_a_refused_resume_leads_to_a_fresh_session() -> None:
    events = watch(
        [
            *GREETING,
            (2.0, Disconnected("gone")),
            (3.0, Send(SessionResume("sess_1"))),
            (4.0, Send(SessionUpdate())),
            (5.0, Received(SessionReady("sess_2"))),
        ]
    )

    assert events[-1] == SessionOpened(5.0, "sess_2", is_resumed=False, lost_seconds=3)


def test_a_service_that_was_never_reached_lost_no_connection() -> None:
    events = watch([GREETING[0], (0.5, Disconnected("refused")), GREETING[0], *END])

    assert [type(each) for each in events] == [CallStarted, CallEnded]


def test_a_connection_that_closes_after_the_session_is_not_lost() -> None:
    for end in (Received(SessionEnded()), Send(SessionEnd())):
        events = watch([*GREETING, (2.0, end), (2.1, Disconnected("closed"))])

        assert of_kind(events, ConnectionLost) == []


def test_a_call_is_ended_by_the_side_that_ended_it_first() -> None:
    by_service = [(2.0, Received(SessionEnded()))]
    by_agent = [(2.0, Send(SessionEnd())), (2.1, Received(SessionEnded()))]
    by_caller = [(2.0, HangUp("bye")), *by_agent]

    ended_by = [
        of_kind(watch([*GREETING, *end, *END]), CallEnded)[0].ended_by
        for end in (by_service, by_agent, by_caller)
    ]

    assert ended_by == ["service", "agent", "caller"]


def test_playback_starts_with_each_reply_and_after_each_stop() -> None:
    events = watch(
        [
            (1.0, Received(ReplyStarted("r1"))),
            (1.1, Play(VOICE)),
            (1.2, Play(VOICE)),
            (1.3, Received(InputSpeechStarted())),
            (1.3, StopPlayback()),
            (1.4, Play(VOICE)),
            (2.0, Announce("One moment.")),
            (2.0, Play(VOICE)),
        ]
    )

    assert of_kind(events, PlaybackStarted) == [
        PlaybackStarted(1.1, "r1"),
        PlaybackStarted(1.4, "r1"),
        PlaybackStarted(2.0, "announcement 1"),
    ]
    assert of_kind(events, PlaybackStopped) == [PlaybackStopped(1.3, "voice")]


def test_recorded_audio_starts_playback() -> None:
    events = watch([(1.0, Received(ReplyStarted("r1")))])
    interpreter = CallInterpreter(events.append)
    interpreter.observe(1.0, Received(ReplyStarted("r1")))
    interpreter.observe(1.0, AudioSummary(1.1, mic=4800, sent=4800))
    interpreter.observe(
        1.1, AudioSummary(1.2, received=4800, played=4800, reply_id="r1")
    )

    assert events[-1] == PlaybackStarted(1.1, "r1")


def test_audio_has_no_events() -> None:
    interpreter = CallInterpreter()
    interpreter.feed(0.0, Received(ReplyStarted("r1")))
    interpreter.feed(0.0, Play(VOICE))

    for _ in range(BYTES_PER_SECOND // len(VOICE)):
        assert not interpreter.feed(0.1, MicFrame(VOICE))
        assert not interpreter.feed(0.1, Send(InputAudio(VOICE)))
        assert not interpreter.feed(0.1, Received(ReplyAudio(VOICE, "r1")))
        assert not interpreter.feed(0.1, Play(VOICE))
