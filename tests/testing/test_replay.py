"""Recorded calls through the engine of today: what loops did to timers, cut-off calls,
tools that are run again.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from runner.protocol.client.actions import Action, Connect, RunTool, Send
from runner.protocol.client.config import ClientConfig, IdlePolicy
from runner.protocol.client.events import (
    Connected,
    Event,
    HangUp,
    MicFrame,
    Received,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import (
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionReady,
    SessionResume,
    ToolCall,
    ToolResult,
)
from runner.recording.format import AudioCounter, AudioSummary, Entry
from runner.recording.reader import Recording, read_recording
from runner.testing.replay import replay
from runner.testing.replay_result import find_difference
from runner.tools.tool import ToolOutcome
from tests.testing.recorded_calls import CALLS, RECORDINGS

CUTS = ("interrupted", "fresh", "results-held", "spoken-on")


def recording_of(
    events: list[tuple[float, Event]], config: ClientConfig | None = None
) -> Recording:
    """Return what a session that was fed exactly so would have left."""
    header = read_recording(RECORDINGS / "silent").header
    header = replace(header, config=config or ClientConfig())
    session = ClientSession(header.config, jitter=lambda: 0.0)
    count = AudioCounter()
    lines: list[tuple[float, Entry]] = []

    def cut() -> list[tuple[float, Entry]]:
        count.cut()
        finished, count.finished = count.finished, []
        return [*lines, *finished]

    def note(at: float, what: Event | Action) -> None:
        nonlocal lines
        if not count.note(at, what):
            lines = [*cut(), (at, what)]

    for action in session.start(0.0):
        note(0.0, action)
    for at, event in events:
        note(at, event)
        for action in session.feed(event, at):
            note(at, action)
    return Recording(RECORDINGS, header, cut(), is_complete=True)


def opened(*events: tuple[float, Event]) -> list[tuple[float, Event]]:
    begin: list[tuple[float, Event]] = [
        (0.0, Connected()),
        (0.1, Received(SessionReady("sess_1", resume_token="t"))),
    ]
    end: list[tuple[float, Event]] = [
        (12.0, HangUp("enough")),
        (12.1, Received(SessionEnded(1.0))),
    ]
    return [*begin, *events, *end]


def is_equal(recording: Recording) -> bool:
    return find_difference(recording.entries, replay(recording)) is None


def test_late_audio_moves_no_timer() -> None:
    config = ClientConfig(idle=IdlePolicy(nudge_after=5.0))
    recording = recording_of(
        opened(
            (3.9, Received(ReplyStarted("r"))),
            (4.0, Received(ReplyAudio(bytes(2400), "r"))),
            (4.8, Received(ReplyAudio(bytes(96_000), "r"))),
            (4.8, Received(ReplyDone("r", "completed"))),
            # Played until 6.8 s; as one piece of 4.0 s it would be 6.05 s.
            (11.5, MicFrame(bytes(2400))),
            (11.8, Tick()),
        ),
        config,
    )

    assert any(is_nudge(each) for _, each in recording.entries)
    assert is_equal(recording)


def is_nudge(entry: Entry) -> bool:
    return isinstance(entry, Send) and isinstance(entry.message, ReplyCreate)


@pytest.mark.parametrize("late", [0.0, 0.001, 0.1, 0.24])
def test_timers_may_have_rung_late(late: float) -> None:
    config = ClientConfig(idle=IdlePolicy(nudge_after=5.0))

    assert is_equal(recording_of(opened((5.1 + late, Tick())), config))


def test_timers_may_have_rung_early_and_again() -> None:
    config = ClientConfig(idle=IdlePolicy(nudge_after=5.0))
    ticks = [(5.1 - early, Tick()) for early in (0.015, 0.01, 0.0)]
    silence = (5.095, Received(ReplyAudio(bytes(2400), "nobody's")))

    assert is_equal(recording_of(opened(*ticks[:2], silence, ticks[2]), config))


def test_a_timer_that_is_much_shorter_than_then_is_found() -> None:
    config = ClientConfig(idle=IdlePolicy(nudge_after=5.0))
    recording = recording_of(opened((5.1, Tick())), config)
    shorter = ClientConfig(idle=IdlePolicy(nudge_after=4.0))

    # The nudge then comes before what was recorded at 4.9 s.
    between = (4.9, AudioSummary(4.9, mic=2400, sent=2400))
    entries = sorted([*recording.entries, between], key=lambda line: line[0])
    recording = replace(recording, entries=entries)
    assert is_equal(recording)

    header = replace(recording.header, config=shorter)
    now = replay(replace(recording, header=header))
    assert find_difference(entries, now) is not None


@pytest.mark.parametrize("name", CUTS)
def test_a_call_that_was_cut_off_anywhere_is_equal_as_far_as_it_goes(name: str) -> None:
    whole = read_recording(RECORDINGS / name)
    step = max(1, len(whole.entries) // 25)

    for length in range(0, len(whole.entries), step):
        cut = replace(whole, entries=whole.entries[:length], is_complete=False)
        now = replay(cut)
        difference = find_difference(cut.entries, now, is_complete=False)
        assert difference is None, (length, difference)


def test_a_call_that_was_cut_off_is_compared_up_to_there() -> None:
    whole = read_recording(RECORDINGS / "results-held")
    results = [
        number
        for number, (_, each) in enumerate(whole.entries)
        if isinstance(each, Send) and isinstance(each.message, ToolResult)
    ]
    entries = [*whole.entries[: results[0]], *whole.entries[results[0] + 1 :]]
    cut = replace(whole, entries=entries[: results[0] + 5], is_complete=False)

    assert find_difference(cut.entries, replay(cut), is_complete=False) is not None


def test_the_result_of_a_call_that_is_not_run_does_not_come() -> None:
    whole = read_recording(RECORDINGS / "results-held")
    entries = [
        (at, each)
        for at, each in whole.entries
        if not (isinstance(each, Received) and isinstance(each.message, ToolCall))
    ]

    now = [each for _, each in replay(replace(whole, entries=entries))]

    assert not any(isinstance(each, RunTool | ToolFinished) for each in now)


def test_a_bug_of_the_engine_is_not_swallowed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = ClientSession.feed

    def fail(self: ClientSession, event: Event, now: float) -> list[Action]:
        if isinstance(event, Received) and isinstance(event.message, SessionEnded):
            raise ZeroDivisionError("a bug")
        return whole(self, event, now)

    monkeypatch.setattr(ClientSession, "feed", fail)

    with pytest.raises(ExceptionGroup) as raised:
        replay(read_recording(RECORDINGS / "silent"))
    assert raised.group_contains(ZeroDivisionError, match="a bug")


def test_tools_that_are_run_again_come_to_what_they_come_to_now() -> None:
    async def run_tool(call: ToolCall) -> ToolOutcome:
        return ToolOutcome(f'"{call.name} again"')

    recording = read_recording(RECORDINGS / "results-held")

    now = [each for _, each in replay(recording, run_tool)]

    results = [each.text for each in now if isinstance(each, ToolFinished)]
    assert results[:2] == ['"change_order again"', '"lookup_order again"']


def test_resumes_are_dialled_again() -> None:
    now = [each for _, each in replay(read_recording(RECORDINGS / "resumed"))]

    assert [each.token is not None for each in now if isinstance(each, Connect)][
        :2
    ] == [
        False,
        True,
    ]
    assert any(each == Send(SessionResume("sess_0001")) for each in now)


def test_replays_are_the_same_each_time() -> None:
    for name in CALLS:
        recording = read_recording(RECORDINGS / name)
        assert replay(recording) == replay(recording), name
