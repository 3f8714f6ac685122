"""Timelines of one recorded call in detail, and of generated recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.observers.timeline import Ending, TimeLine, trace
from runner.protocol.client.actions import (
    CancelTool,
    Close,
    Connect,
    Notify,
    Outcome,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    HangUp,
    MalformedMessage,
    Received,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.messages import (
    ConversationMessage,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionError,
    SessionReady,
    SessionResume,
    SessionUpdate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
    Unknown,
)
from runner.recording.audio_tracks import STEP, Envelope, Voices, read_voices
from runner.recording.format import AudioSummary, Entry
from runner.recording.reader import read_recording
from tests.recording import strategies
from tests.recording.samples import write_order_call

TEXT = st.sampled_from(["", "yes", "where is it", "  ", "</script>", "a\x1b[2Jb"])
ID = st.sampled_from(["", "a", "b"])
TIME = st.none() | st.integers(-500, 5000)
SIZE = st.integers(0, 9600)
RECEIVED: list[st.SearchStrategy[Any]] = [
    st.builds(InputSpeechStarted),
    st.builds(InputSpeechStopped),
    st.builds(TranscriptUser, TEXT, ID),
    st.builds(TranscriptUserDelta, TEXT, ID),
    st.builds(ReplyStarted, ID),
    st.builds(TranscriptAgent, TEXT, ID, interrupted=st.booleans()),
    st.builds(TranscriptAgentDelta, TEXT, ID, start_ms=TIME, end_ms=TIME),
    st.builds(ReplyDone, ID, st.sampled_from(["completed", "interrupted", "odd"])),
    st.builds(ReplyError, ID, TEXT, TEXT),
    st.builds(ToolCall, ID, TEXT, st.just({"x": [1, "<b>"]})),
    st.builds(SessionReady, ID),
    st.builds(SessionEnded),
    st.builds(SessionError, TEXT, TEXT),
    st.builds(Unknown, st.just("odd.one"), st.just({"x": 1})),
]
SENT: list[st.SearchStrategy[Any]] = [
    st.builds(SessionUpdate),
    st.builds(SessionResume, ID),
    st.builds(SessionEnd),
    st.builds(ToolResult, ID, TEXT, st.booleans()),
    st.builds(ConversationMessage, st.just("user"), TEXT),
]
OTHERS: list[st.SearchStrategy[Any]] = [
    st.builds(Connected),
    st.builds(Disconnected, TEXT, st.none(), st.none(), st.just([SessionEnd()])),
    st.builds(MalformedMessage, TEXT),
    st.builds(ToolFinished, ID, TEXT, st.booleans()),
    st.builds(Say, TEXT),
    st.builds(HangUp, TEXT),
    st.builds(Tick),
    st.builds(Connect),
    st.builds(StopPlayback),
    st.builds(RunTool, st.builds(ToolCall, ID, TEXT)),
    st.builds(CancelTool, ID),
    st.builds(Notify, TEXT),
    st.builds(Close, st.sampled_from(list(Outcome)), TEXT),
    st.builds(AudioSummary, st.just(0.0), SIZE, SIZE, SIZE, SIZE, SIZE, ID),
]
# Ids that match, and any other entry.
ENTRY = st.one_of(
    st.one_of(RECEIVED).map(Received),
    st.one_of(SENT).map(Send),
    *OTHERS,
    strategies.ENTRY,
)


@st.composite
def calls(draw: st.DrawFn) -> list[tuple[float, Entry]]:
    """Draw entries in order, each with the time it has."""
    entries: list[tuple[float, Entry]] = []
    now = 0.0
    for what in draw(st.lists(ENTRY, max_size=40)):
        now += draw(st.sampled_from([0.0, 0.01, 0.1, 0.5, 3.0, -1.0]))
        if isinstance(what, AudioSummary):
            what.until = now + 0.05
        entries.append((now, what))
    return entries


@st.composite
def voices(draw: st.DrawFn) -> Voices | None:
    """Draw two voices that speak now and then, or none."""
    if draw(st.booleans()):
        return None
    return Voices(*(_voice(draw(st.lists(st.booleans(), max_size=60))) for _ in "ab"))


def _voice(pattern: list[bool]) -> Envelope:
    loud = np.repeat(np.array(pattern, np.bool_), 12)
    return Envelope((loud / 2).astype(np.float32), loud)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_order_call(tmp_path_factory.mktemp("calls") / "order")


@pytest.fixture(scope="module")
def line(folder: Path) -> TimeLine:
    return trace(read_recording(folder).entries, read_voices(folder))


@settings(deadline=None)  # machines are slow at times
@given(calls(), voices())
def test_any_list_of_entries_has_an_ordered_timeline(
    entries: list[tuple[float, Entry]], voices: Voices | None
) -> None:
    line = trace(entries, voices)

    assert [t.start for t in line.turns] == sorted(t.start for t in line.turns)
    assert [d.at for d in line.drops] == sorted(d.at for d in line.drops)
    for turn in line.turns:
        assert 0 <= turn.start <= turn.end <= line.seconds
        assert [w.start for w in turn.words] == sorted(w.start for w in turn.words)
        assert all(word.start <= word.end for word in turn.words)
    for latency in line.latencies:
        assert latency.seconds >= 0
        assert line.turns[latency.turn].speaker == "agent"
        assert line.turns[latency.turn].start <= line.seconds
    assert all(each.seconds >= 0 and each.cut >= 0 for each in line.interruptions)
    assert all(drop.until is None or drop.until >= drop.at for drop in line.drops)
    assert all(run.seconds is None or run.seconds >= 0 for run in line.tools)
    assert all(line.talked(each) >= 0 for each in ("caller", "agent"))


def test_speech_starts_and_ends_where_it_is_audible(line: TimeLine) -> None:
    heard = [
        (each.speaker, round(each.start, 1), round(each.end, 1)) for each in line.turns
    ]
    assert heard[:4] == [
        ("agent", 0.6, 3.0),
        ("caller", 3.1, 5.5),
        ("agent", 6.4, 7.9),
        ("agent", 8.8, 10.0),
    ]


def test_without_audio_speech_times_come_from_messages(folder: Path) -> None:
    line = trace(read_recording(folder).entries)

    asked, answered = line.turns[1], line.turns[2]
    assert (round(asked.start, 2), round(asked.end, 2)) == (3.5, 6.1)
    assert round(answered.start, 2) == 6.36
    assert not line.is_heard


def test_a_latency_is_from_the_last_audio_to_the_first_of_the_answer(
    line: TimeLine,
) -> None:
    waits = [(each.turn, round(each.seconds, 2)) for each in line.latencies]
    # The decision took 0.6 s, the service 0.2 s, and a speaker begins 60 ms late.
    assert waits == [(2, 0.86), (5, 1.04), (7, 0.84), (10, 0.84)]
    assert round(line.latencies[0].decided, 2) == 6.1


def test_an_interruption_has_the_seconds_until_silence(line: TimeLine) -> None:
    (cut,) = line.interruptions
    assert (round(cut.at, 2), cut.by) == (9.95, "voice")
    assert 0 < cut.seconds <= 2 * STEP  # a fade of 15 ms
    assert cut.cut > 0
    assert [turn.text for turn in line.turns if turn.interrupted] == [
        "Your order has been"
    ]


def test_words_have_their_times_and_unheard_ones_are_left_out(line: TimeLine) -> None:
    (turn,) = (each for each in line.turns if each.interrupted)
    assert [word.text for word in turn.words] == [
        "Your",
        "order",
        "has",
        "been",
        "shipped",
    ]
    assert turn.words[-1].end <= turn.end + STEP


def test_tool_calls_have_their_outcome(line: TimeLine) -> None:
    assert [(run.name, run.state) for run in line.tools] == [
        ("lookup_order", "done"),
        ("get_weather", "cancelled"),
        ("track_parcel", "failed"),
    ]
    assert line.tools[0].result == {"status": "shipped", "carrier": "<b>DHL</b>"}
    assert line.tools[0].answered is not None
    assert line.tools[1].answered is None


def test_a_tool_call_that_was_requested_and_not_run_is_refused() -> None:
    call = ToolCall("c1", "look_up", {})
    assert [run.state for run in trace([(1.0, Received(call))]).tools] == ["refused"]
    ran: list[tuple[float, Entry]] = [(1.0, Received(call)), (1.0, RunTool(call))]
    assert [run.state for run in trace(ran).tools] == ["running"]


def test_a_drop_shows_if_the_session_was_resumed(line: TimeLine) -> None:
    (drop,) = line.drops
    assert (round(drop.at, 2), drop.resumed) == (12.15, True)
    assert drop.until is not None
    assert round(drop.until - drop.at, 2) == 2.0


def test_a_connection_that_closes_after_the_end_is_not_a_drop() -> None:
    entries: list[tuple[float, Entry]] = [
        (1.0, Received(SessionEnded())),
        (1.1, Disconnected("closed", 1000)),
    ]
    assert trace(entries).drops == ()


def test_losses_are_counted_in_seconds_of_audio(line: TimeLine) -> None:
    assert round(line.losses.microphone_unsent, 2) == 2.0  # while there was no line
    assert round(line.losses.agent_ignored, 2) == 0.05  # of the dead reply
    assert line.losses.agent_cleared > 0


def test_the_end_has_outcome_and_reason(line: TimeLine) -> None:
    assert line.ending is not None
    assert (line.ending.outcome, line.ending.reason) == ("clean", "you hung up")
    assert trace([]).ending is None
    assert trace([]).seconds == 0.0
    failed: list[tuple[float, Entry]] = [(2.0, Close(Outcome.FAILED, "no line"))]
    assert trace(failed).ending == Ending(2.0, "failed", "no line")


def test_typed_text_is_a_caller_turn_and_is_answered() -> None:
    entries: list[tuple[float, Entry]] = [
        (1.0, Say("Hello")),
        (1.2, Received(TranscriptUser("Hello"))),
        (1.5, Received(ReplyStarted("r"))),
        (1.6, AudioSummary(1.7, received=9600, played=9600, reply_id="r")),
        (2.0, Received(TranscriptAgent("Hi.", "r"))),
    ]
    line = trace(entries)

    assert [(turn.text, turn.typed) for turn in line.turns] == [
        ("Hello", True),
        ("Hi.", False),
    ]
    assert [round(each.seconds, 2) for each in line.latencies] == [0.66]


def test_text_without_audio_is_silent(
    folder: Path,
) -> None:
    entries = read_recording(folder).entries
    quiet = Envelope(np.zeros(1250, np.float32), np.zeros(1250, np.bool_))
    line = trace(entries, Voices(quiet, quiet))

    caller = [turn for turn in line.turns if turn.speaker == "caller"]
    assert all(turn.silent for turn in caller)
    assert round(caller[0].end - caller[0].start, 2) == 2.6
    assert not any(turn.silent for turn in trace(entries).turns)


def test_a_reply_cut_before_playback_has_no_words() -> None:
    entries: list[tuple[float, Entry]] = [
        (1.0, Received(ReplyStarted("r"))),
        (1.1, Received(TranscriptAgentDelta("Hi", "r", start_ms=0, end_ms=300))),
        (1.2, AudioSummary(1.2, received=960, played=960, reply_id="r")),
        (1.21, Received(InputSpeechStarted())),
        (1.21, StopPlayback()),
    ]
    line = trace(entries)

    (turn,) = (each for each in line.turns if each.speaker == "agent")
    assert turn.words == ()
    assert turn.start == turn.end
    assert round(line.losses.agent_cleared, 3) == 0.02
