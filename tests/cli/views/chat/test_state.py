"""The chat state after any sequence of events."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runner.cli.views.chat.render import AnsiWriter, ChatRenderer, LiveRegion, width_of
from runner.cli.views.chat.state import ChatState
from runner.cli.views.chat.transcript import (
    AgentMessageEntry,
    UserMessageEntry,
    Word,
    join,
)
from runner.cli.views.wire import Detail
from runner.engine.controls import ControlState
from runner.protocol.client.actions import (
    Action,
    CancelTool,
    Close,
    Notify,
    Outcome,
    Play,
    RunTool,
    StopPlayback,
)
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    MalformedMessage,
    MicFrame,
    PlaybackCut,
    Received,
    Say,
    ToolFinished,
)
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    SessionError,
    SessionReady,
    ToolCall,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from tests.cli.views.chat.calls import (
    ANSWER,
    BEGIN,
    QUESTION,
    SCENES,
    feed,
    received,
    spoken,
    tone,
)

_TEXT = st.text(max_size=40) | st.sampled_from(
    ["日本語" * 9, "e\u0301" * 20, "\x1b[2J\r\n", "a" * 200, "👩‍👩‍👧 עברית"]
)
_ID = st.sampled_from(["r1", "r2", ""])
_MESSAGES = st.one_of(
    st.builds(SessionReady, _ID),
    st.builds(SessionError, _TEXT, _TEXT),
    st.just(InputSpeechStarted()),
    st.just(InputSpeechStopped()),
    st.builds(TranscriptUserDelta, _TEXT),
    st.builds(TranscriptUser, _TEXT),
    st.builds(ReplyStarted, _ID),
    st.builds(ReplyAudio, st.just(tone(0.2)), _ID),
    st.builds(
        TranscriptAgentDelta,
        _TEXT,
        _ID,
        start_ms=st.none() | st.integers(-5, 10_000),
    ),
    st.builds(TranscriptAgent, _TEXT, _ID, interrupted=st.booleans()),
    st.builds(ReplyDone, _ID, st.sampled_from(["completed", "interrupted", "odd"])),
    st.builds(ReplyError, _ID, _TEXT, _TEXT),
)
_HAPPENINGS = st.one_of(
    st.builds(Received, _MESSAGES),
    st.builds(MicFrame, st.sampled_from([b"", tone(0.05), bytes(2400)])),
    st.builds(Play, st.sampled_from([b"", tone(0.2), tone(3.0)])),
    st.just(StopPlayback()),
    st.builds(PlaybackCut, _ID, st.floats(0, 1e4), st.floats(0, 1e4)),
    st.builds(RunTool, st.builds(ToolCall, _ID, _TEXT, st.dictionaries(_TEXT, _TEXT))),
    st.builds(ToolFinished, _ID, _TEXT, st.booleans()),
    st.builds(CancelTool, _ID),
    st.builds(Notify, _TEXT),
    st.builds(Say, _TEXT),
    st.builds(MalformedMessage, _TEXT),
    st.just(Connected()),
    st.just(Disconnected("gone")),
    st.builds(Close, st.just(Outcome.CLEAN), _TEXT),
)


@settings(max_examples=150, deadline=None)
@given(
    happenings=st.lists(
        st.tuples(st.floats(0, 2), _HAPPENINGS, st.integers(8, 100)), max_size=25
    ),
    height=st.integers(1, 12),
    detail=st.sampled_from(Detail),
    muted=st.booleans(),
)
def test_any_call_is_drawn_within_the_terminal_width(
    happenings: list[tuple[float, Event | Action, int]],
    height: int,
    detail: Detail,
    muted: bool,
) -> None:
    model, picture, now = (
        ChatState(standing=ControlState(muted)),
        ChatRenderer(detail=detail),
        0.0,
    )
    region = LiveRegion(AnsiWriter())

    for later, what, width in happenings:
        now += later
        feed(model, now, what)
        lines = [
            line
            for entry in model.transcript.take_finished(now)
            for line in picture.entry(entry, now, width)
        ]
        below = picture.region(model, now, width, height, None)

        assert len(below.lines) <= height
        for line in [*lines, *below.lines]:
            assert width_of(line) < width
            assert all(span.text.isprintable() for span in line)
        region.draw(below)
        assert model.next_change(now) > now


def test_words_appear_as_they_are_heard() -> None:
    model = ChatState()
    for at, what in [*BEGIN, *spoken(1.0, "r1", ANSWER)]:
        feed(model, at, what)
    reply = model.transcript.open[0]
    assert isinstance(reply, AgentMessageEntry)

    assert reply.shown(1.0) == ("Your", "")
    assert reply.shown(1.6) == ("Your order left", "")
    assert not reply.is_done(1.6)
    assert reply.shown(9.0) == (ANSWER, "")
    assert reply.is_done(9.0)


def test_a_second_reply_is_heard_after_the_first() -> None:
    model = ChatState()
    for at, what in [*spoken(1.0, "r1", "one two"), *spoken(1.1, "r2", "three")]:
        feed(model, at, what)

    shown = [each.shown(1.4)[0] for each in model.transcript.open[:2]]  # type: ignore[union-attr]  # both are replies

    assert shown == ["one two", ""]


def test_trimmed_text_without_times_shows_the_unheard_part() -> None:
    reply = AgentMessageEntry("r", [Word("It "), Word("is "), Word("late.")])
    reply.text, reply.is_interrupted = "It is", True

    assert reply.shown(0.0) == ("It is", "late.")


def test_words_are_joined_with_spaces_where_the_script_has_them() -> None:
    assert join([Word("Hello"), Word("there"), Word("!")]) == "Hello there!"
    assert join([Word("Hello "), Word("there.")]) == "Hello there."
    assert join([Word("日本"), Word("語")]) == "日本語"


def test_what_the_caller_says_is_replaced_until_it_is_final() -> None:
    model = ChatState()
    messages = TranscriptUserDelta("where"), TranscriptUserDelta("where is")
    for at, what in received(0.0, *messages, TranscriptUser("Where is it?")):
        feed(model, at, what)

    assert model.transcript.open == [UserMessageEntry("Where is it?", True)]


def test_entries_are_taken_once_in_order_and_a_slow_tool_holds_few_of_them() -> None:
    model = ChatState()
    feed(model, 0.0, RunTool(ToolCall("c", "slow")))
    for number in range(20):
        model.transcript.note(f"note {number}")
    taken = model.transcript.take_finished(1.0)

    assert len(taken) == 21
    feed(model, 2.0, ToolFinished("c", '"late"'))
    assert [each.result for each in model.transcript.take_finished(2.0)] == ['"late"']  # type: ignore[union-attr]  # it is a tool


def test_each_state_has_its_name() -> None:
    states = {name: each.model().state(each.at) for name, each in SCENES.items()}

    assert states == {
        "connecting": "connecting",
        "listening": "listening",
        "hearing": "hearing you",
        "thinking": "thinking",
        "speaking": "speaking",
        "answered": "listening",
        "interrupted": "hearing you",
        "tool": "tool lookup_order",
        "tool-done": "thinking",
        "tool-failed": "thinking",
        "tool-stopped": "thinking",
        "reconnecting": "reconnecting",
        "muted": "muted",
        "push-to-talk": "muted",
        "typing": "thinking",
        "scripts": "listening",
        "over": "over",
    }


def test_late_audio_makes_quality_uneven_for_a_minute() -> None:
    model = ChatState()
    sound = tone(0.1)
    for at, what in [*BEGIN, *QUESTION, *received(1.0, ReplyStarted("r"))]:
        feed(model, at, what)
    for at in (1.0, 1.05, 1.5):
        feed(model, at, Received(ReplyAudio(sound, "r")))
        feed(model, at, Play(sound))

    assert model.quality.at(2.0) == "uneven"
    assert model.quality.at(62.0) == "good"
