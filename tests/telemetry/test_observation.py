"""Which moments of a call are told, and with which times."""

from __future__ import annotations

from runner.protocol.client.actions import CancelTool, Close, Outcome, Play, RunTool
from runner.protocol.client.events import Disconnected, Received, Say, ToolFinished
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyStarted,
    SessionReady,
)
from runner.telemetry.moments import (
    AnswerHeard,
    CallBegan,
    CallEnded,
    Interrupted,
    LineLost,
    Moment,
    SessionStood,
    ToolBegan,
    ToolEnded,
    TurnBegan,
    TurnEnded,
    WordsSaid,
)
from tests.telemetry.calls import (
    CALL,
    END,
    GREETING,
    OUTAGE,
    QUESTION,
    QUIET,
    VOICE,
    watch,
)


def of_kind(told: list[tuple[float, Moment]], *kinds: type) -> list[object]:
    return [moment for _, moment in told if isinstance(moment, kinds)]


def test_a_call_is_told_from_its_beginning_to_its_end() -> None:
    told = watch([*GREETING, *QUESTION, *OUTAGE, *END])

    assert told == [
        (0.0, CallBegan()),
        (0.5, SessionStood("sess_1")),
        (1.0, TurnBegan(1, "agent")),
        (1.5, WordsSaid("agent", "Hello.")),
        (1.5, TurnEnded(1, "agent")),
        (2.0, TurnBegan(2, "caller")),
        (3.25, WordsSaid("caller", "Where is my order?")),
        (3.5, ToolBegan(CALL)),
        (4.0, ToolEnded("call_1", "lookup", "ok", 0.5, '{"at":"home"}')),
        # From 2.5, the last sound of a voice, and from 3.25, when that was decided.
        (4.5, AnswerHeard(1.25, 2.0)),
        (5.0, WordsSaid("agent", "It is at", is_interrupted=True)),
        (5.0, Interrupted("r2")),
        (6.0, LineLost("the line was lost")),
        (8.0, SessionStood("sess_1", is_resumed=True, gone=2.0)),
        (5.0, TurnEnded(2, "caller")),
        (9.0, CallEnded(Close(Outcome.CLEAN, "the agent hung up"))),
    ]


def test_a_caller_who_goes_on_speaking_begins_no_second_turn() -> None:
    told = watch(
        [
            *GREETING,
            (2.0, Received(InputSpeechStarted())),
            (2.5, Received(InputSpeechStopped())),
            (2.6, Received(InputSpeechStarted())),
            (3.0, Received(InputSpeechStopped())),
        ]
    )

    assert of_kind(told, TurnBegan) == [TurnBegan(1, "agent"), TurnBegan(2, "caller")]


def test_a_typed_turn_waits_from_when_it_was_typed() -> None:
    told = watch(
        [
            *GREETING,
            (2.0, Say("Hi.")),
            (2.5, Received(ReplyStarted("r2"))),
            (2.5, Play(QUIET)),
            (3.0, Play(VOICE)),
            (3.1, Play(VOICE)),
        ]
    )

    assert of_kind(told, AnswerHeard) == [AnswerHeard(1.0, None)]


def test_a_cancelled_tool_ends_once() -> None:
    told = watch(
        [
            *GREETING,
            (2.0, RunTool(CALL)),
            (2.5, CancelTool("call_1")),
            (3.0, ToolFinished("call_1", "{}")),
        ]
    )

    assert of_kind(told, ToolEnded) == [ToolEnded("call_1", "lookup", "cancelled", 0.5)]


def test_a_tool_that_runs_when_the_call_ends_is_cancelled_before_it() -> None:
    told = watch([*GREETING, (2.0, RunTool(CALL)), *END])

    assert [type(each) for _, each in told[-3:]] == [ToolEnded, TurnEnded, CallEnded]


def test_another_session_after_a_loss_is_a_fresh_one() -> None:
    told = watch(
        [
            *GREETING,
            (2.0, Disconnected("gone")),
            (5.0, Received(SessionReady("sess_2"))),
        ]
    )

    assert told[-1] == (5.0, SessionStood("sess_2", is_resumed=False, gone=3.0))


def test_a_service_that_was_never_reached_lost_no_line() -> None:
    told = watch([GREETING[0], (0.5, Disconnected("refused")), GREETING[0], *END])

    assert [type(each) for _, each in told] == [CallBegan, CallEnded]
