"""Announcements of running tools."""

from __future__ import annotations

import pytest

from runner.protocol.client.actions import (
    Action,
    Announce,
    Notify,
    Play,
    RunTool,
    Synthesize,
)
from runner.protocol.client.announcements import ANNOUNCE_SECONDS, is_audible
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    HangUp,
    Received,
    Reconfigure,
    Say,
    SpeechSynthesized,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import ClientSession
from runner.protocol.client.state import Phase
from runner.protocol.client.timers import Timer
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.client.turn_taking import ANNOUNCEMENT_SECONDS, Floor
from runner.protocol.messages import (
    ConversationMessage,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
    ReplyDone,
    ReplyError,
    ReplyStarted,
    ServerMessage,
    SessionError,
    SessionReady,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
    say_verbatim,
)
from tests.protocol.client.driving import READY, fed, hears, live, sent

SLOW = ToolPolicy(announce="One moment.")
OTHER = ToolPolicy(announce="I'm booking it.")
TOOLS = {
    "slow": SLOW,
    "book": OTHER,
    "quiet": ToolPolicy(),
    "end_call": ToolPolicy(terminal=True, announce="Goodbye, I'm hanging up."),
}
SAID = ReplyCreate(say_verbatim("One moment."))
BOOKED = ReplyCreate(say_verbatim("I'm booking it."))
CALL, SECOND = ToolCall("c1", "slow"), ToolCall("c2", "book")
DONE = ToolFinished("c1", "1")
LOUD = b"\0\x10" * 240
SILENCE = b"\x01\x00\xff\xff" * 120
STARTED, ENDED = ReplyStarted("r1"), ReplyDone("r1")
ASKED = 1.0  # when the call came
DUE = ASKED + ANNOUNCE_SECONDS


def phase_of(session: ClientSession) -> Phase:
    """Returns the phase; mypy would narrow the attribute for the rest of the test."""
    return session.phase


def called(
    by: str = "reply", *, call: ToolCall = CALL, ends: bool = True
) -> ClientSession:
    """Return a session that waits for a tool; its reply is over, or open and silent."""
    session = live(tools=TOOLS, announce_by=by)
    hears(session, STARTED, call, now=ASKED)
    if ends:
        hears(session, ENDED, now=ASKED + 0.1)
    return session


def ticked(session: ClientSession, now: float = DUE) -> list[Action]:
    return session.feed(Tick(), now)


def later(session: ClientSession, now: float = 9.0) -> list[Action]:
    """Let something happen that is of no account, and time pass up to it."""
    return [
        *session.feed(Tick(), now),
        *fed(session, SpeechSynthesized("other", LOUD), now=now),
    ]


def test_it_is_requested_after_the_delay_if_there_was_no_speech() -> None:
    session = called()

    assert session.deadline == pytest.approx(DUE)
    assert session.timers.is_set(Timer.ANNOUNCE)
    assert ticked(session, DUE - 0.001) == []
    assert sent(ticked(session)) == [SAID]


def test_it_is_requested_once() -> None:
    session = called()
    ticked(session)
    hears(session, ReplyStarted("r2"), ReplyDone("r2"), now=3.0)

    assert sent(later(session, 30.0)) == []


def test_a_tool_without_words_is_not_announced() -> None:
    session = called(call=ToolCall("c1", "quiet"))

    assert sent(ticked(session)) == []


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(DONE, id="the result is there"),
        pytest.param(Say("Hello?"), id="the caller types"),
        pytest.param(Received(InputSpeechStarted()), id="the caller speaks"),
        pytest.param(Received(ReplyDone("r1", "interrupted")), id="cancelled"),
        pytest.param(Disconnected("lost"), id="the line is lost"),
        pytest.param(HangUp("enough"), id="the call ends"),
        pytest.param(HangUp("enough", after_playback=True), id="it ends politely"),
    ],
)
@pytest.mark.parametrize("by", ["reply", "voice"])
def test_it_is_not_needed_any_more(by: str, event: Event) -> None:
    session = called(by)
    fed(session, SpeechSynthesized("c1", LOUD), event, now=1.3)

    done = [*ticked(session), *later(session, DUE + 0.3)]

    assert not {SAID} & set(map(_message, done))
    assert not [each for each in done if isinstance(each, Announce | Play)]


def _message(action: Action) -> object:
    return next(iter(sent([action])), None)


@pytest.mark.parametrize("reply_id", ["r1", "r2"])
def test_a_reply_that_is_heard_after_the_call_is_announcement_enough(
    reply_id: str,
) -> None:
    session = called(ends=False)
    if reply_id == "r2":
        hears(session, ENDED, ReplyStarted("r2"), now=1.2)
    hears(session, ReplyAudio(LOUD, reply_id), now=1.3)
    hears(session, ReplyDone(reply_id), now=1.4)

    assert sent(ticked(session)) == []
    assert sent(later(session)) == []


def test_it_is_dropped_when_the_caller_speaks() -> None:
    session = called()
    hears(session, InputSpeechStarted(), InputSpeechStopped(), now=1.2)
    hears(session, ReplyStarted("r2"), ReplyDone("r2"), now=1.4)

    assert sent(ticked(session)) == []
    assert sent(later(session)) == []


def test_silent_audio_of_a_reply_does_not_count_as_speech() -> None:
    session = called(ends=False)
    hears(session, *[ReplyAudio(SILENCE, "r1")] * 90, now=1.2)
    hears(session, ENDED, now=1.3)

    assert sent(ticked(session)) == [SAID]


def test_it_does_not_interrupt_an_agent_that_still_speaks() -> None:
    session = live(tools=TOOLS)
    second = ReplyAudio(LOUD * 100, "r1")  # one second, sent at once
    hears(session, STARTED, second, CALL, ENDED, now=ASKED)

    assert sent(ticked(session)) == []
    assert sent(later(session)) == []


def test_it_follows_an_agent_that_falls_silent_in_time() -> None:
    session = live(tools=TOOLS)
    until_due = ReplyAudio(LOUD * 60, "r1")
    hears(session, STARTED, until_due, CALL, ENDED, now=ASKED)

    assert sent(ticked(session, ASKED + 0.6)) == [SAID]


def test_it_does_not_wait_for_audio_that_was_cut_off() -> None:
    session = live(tools=TOOLS)
    hears(session, STARTED, ReplyAudio(LOUD * 1000, "r1"), now=0.5)  # ten seconds
    hears(session, InputSpeechStarted(), ReplyDone("r1", "interrupted"), now=0.8)
    hears(session, InputSpeechStopped(), ReplyStarted("r2"), now=0.9)
    hears(session, CALL, ReplyDone("r2"), now=ASKED)

    assert sent(ticked(session)) == [SAID]


def test_speech_that_ended_long_ago_does_not_prevent_it() -> None:
    session = live(tools=TOOLS)
    hears(session, STARTED, ReplyAudio(LOUD, "r1"), CALL, ENDED, now=ASKED)

    assert sent(ticked(session)) == [SAID]


def test_while_a_silent_reply_is_open_it_waits_for_the_floor() -> None:
    session = called(ends=False)

    assert ticked(session) == []
    assert sent(hears(session, ENDED, now=2.4)) == [SAID]


def test_a_reply_that_is_on_its_way_is_waited_for() -> None:
    session = live(tools=TOOLS)
    hears(session, STARTED, CALL, ToolCall("c9", "quiet"), ENDED, now=ASKED)
    answered = fed(session, ToolFinished("c9", "9"), now=1.2)
    assert sent(answered) == [ToolResult("c9", "9")]

    assert sent(ticked(session)) == []
    hears(session, ReplyStarted("r2"), ReplyAudio(LOUD, "r2"), now=1.8)
    assert sent(hears(session, ReplyDone("r2"), now=2.0)) == []


def test_no_timer_runs_after_speech() -> None:
    session = called(ends=False)
    hears(session, ReplyAudio(LOUD, "r1"), now=1.2)

    assert not session.timers.is_set(Timer.ANNOUNCE)


def test_a_silent_reply_that_ends_after_the_result_is_followed_by_it() -> None:
    session = called(ends=False)
    ticked(session)
    fed(session, DONE, now=2.0)

    assert sent(hears(session, ENDED, now=2.4)) == [ToolResult("c1", "1")]


def test_several_calls_are_announced_once_by_the_first() -> None:
    session = live(tools=TOOLS)
    hears(session, STARTED, CALL, SECOND, ENDED, now=ASKED)

    assert sent(ticked(session)) == [SAID]
    hears(session, ReplyStarted("r2"), ReplyDone("r2"), now=2.0)
    assert sent(later(session)) == []


def test_the_second_speaks_when_the_first_was_quick() -> None:
    session = live(tools=TOOLS, immediate_results=True)
    hears(session, STARTED, CALL, now=ASKED)
    hears(session, SECOND, ENDED, now=1.2)
    fed(session, DONE, now=1.3)
    hears(session, ReplyStarted("r2"), ReplyDone("r2"), now=1.4)

    assert sent(ticked(session)) == []
    assert sent(ticked(session, 1.2 + ANNOUNCE_SECONDS)) == [BOOKED]


def test_a_new_call_is_announced_again() -> None:
    session = called()
    ticked(session)
    hears(session, ReplyStarted("r2"), ReplyAudio(LOUD, "r2"), ReplyDone("r2"), now=2.0)
    hears(session, ReplyStarted("r3"), SECOND, ReplyDone("r3"), now=4.0)

    assert sent(ticked(session, 4.0 + ANNOUNCE_SECONDS)) == [BOOKED]


def test_a_new_call_is_not_announced_into_an_announcement() -> None:
    session = called()
    ticked(session)
    hears(session, SECOND, now=1.7)  # the service is not quick about it
    hears(session, ReplyStarted("r2"), ReplyAudio(LOUD, "r2"), ReplyDone("r2"), now=2.0)

    assert sent(later(session)) == []


def test_a_result_that_comes_meanwhile_waits_for_the_end_of_the_announcement() -> None:
    session = called()
    ticked(session)

    assert fed(session, DONE, now=1.7) == []
    assert sent(hears(session, ReplyStarted("r2"), now=1.8)) == []
    assert sent(hears(session, ReplyDone("r2"), now=2.5)) == [ToolResult("c1", "1")]
    assert not session.is_settled


def test_results_that_need_not_wait_do_not_wait_for_it_either() -> None:
    session = live(tools=TOOLS, immediate_results=True)
    hears(session, STARTED, CALL, ENDED, now=ASKED)
    ticked(session)

    assert sent(fed(session, DONE, now=1.7)) == [ToolResult("c1", "1")]


def test_an_announcement_that_does_not_come_holds_a_result_up_for_seconds_only() -> (
    None
):
    session = called()
    ticked(session)
    fed(session, DONE, now=1.7)

    late = ticked(session, DUE + ANNOUNCEMENT_SECONDS)

    assert sent(late) == [ToolResult("c1", "1")]


def test_what_is_typed_meanwhile_takes_the_result_with_it() -> None:
    session = called()
    ticked(session)
    fed(session, DONE, now=1.7)

    assert sent(fed(session, Say("And?"), now=1.8)) == [
        ConversationMessage("user", "And?"),
        ReplyCreate(),
        ToolResult("c1", "1"),
    ]


def test_a_caller_who_speaks_over_it_leaves_the_call_alone() -> None:
    session = called()
    ticked(session)
    hears(session, ReplyStarted("r2"), InputSpeechStarted(), now=2.0)
    hears(session, ReplyDone("r2", "interrupted"), now=2.0)
    assert sent(fed(session, DONE, now=2.1)) == []

    hears(session, InputSpeechStopped(), ReplyStarted("r3"), now=3.0)
    assert sent(hears(session, ReplyDone("r3"), now=4.0)) == [ToolResult("c1", "1")]


@pytest.mark.parametrize("unheard", [True, False])
def test_after_a_lost_connection_it_is_not_said_again(unheard: bool) -> None:
    session = called()
    if unheard:
        ticked(session)
    fed(session, Disconnected("lost"), now=1.7)
    fed(session, Tick(), Connected(), Received(READY), now=3.0)
    assert session.phase is Phase.LIVE

    again = hears(session, CALL, now=3.1)

    assert sent(again) == []
    assert sent(ticked(session, 5.0)) == []
    assert session.turn_manager.calls.any_open


def test_an_announcement_cut_off_by_a_drop_is_not_repeated_as_an_answer() -> None:
    session = called()
    ticked(session)
    hears(session, ReplyStarted("r2"), now=1.7)
    fed(session, Disconnected("lost"), now=1.8)
    fed(session, Tick(), Connected(), Received(READY), now=3.0)

    assert sent(ticked(session, 8.0)) == []


def test_an_announcement_is_not_part_of_the_history_of_a_fresh_session() -> None:
    session = live(tools=TOOLS, announce_by="reply", carry_over=True)
    hears(session, TranscriptUser("Book it."), STARTED, CALL, ENDED, now=ASKED)
    ticked(session)
    words = TranscriptAgent("One moment.", "r2")
    hears(session, ReplyStarted("r2"), words, ReplyDone("r2"), now=2.0)
    fed(session, Disconnected("lost"), now=2.1)
    fed(session, Tick(), now=40.0)
    told = fed(session, Connected(), Received(SessionReady("sess_2")), now=41.0)

    assert [each for each in sent(told) if "moment" in repr(each)] == []
    assert ReplyCreate() in sent(told)


def test_a_goodbye_is_still_owed_after_a_terminal_tool_was_announced() -> None:
    session = called(call=ToolCall("c1", "end_call"))
    assert sent(ticked(session, 1.1 + ANNOUNCE_SECONDS)) == [
        ReplyCreate(say_verbatim("Goodbye, I'm hanging up."))
    ]
    hears(session, ReplyStarted("r2"), now=2.0)
    fed(session, DONE, now=2.1)
    assert sent(hears(session, ReplyDone("r2"), now=3.0)) == [ToolResult("c1", "1")]

    assert phase_of(session) is Phase.LIVE
    hears(session, ReplyStarted("r3"), ReplyDone("r3"), now=5.0)
    assert session.phase is Phase.DRAINING


def test_a_goodbye_that_is_on_its_way_is_not_announced_into() -> None:
    session = live(tools=TOOLS, announce_by="voice")
    hears(session, STARTED, CALL, ToolCall("c9", "end_call"), ENDED, now=ASKED)
    fed(session, ToolFinished("c9", "9"), SpeechSynthesized("c1", LOUD), now=1.1)
    hears(session, ReplyStarted("r2"), now=1.3)

    assert ticked(session) == []


def test_an_announcement_is_not_requested_twice() -> None:
    session = called()
    ticked(session)
    hears(session, ReplyStarted("r2"), ReplyError("r2", "x", "no", True), now=2.0)

    assert sent(hears(session, ReplyDone("r2"), now=2.1)) == []

    other = called()
    ticked(other)
    hears(other, ReplyStarted("r2"), now=2.0)
    assert sent(ticked(other, 12.0)) == []
    assert other.turn_manager.turn is Floor.IDLE


def test_changed_policies_apply_to_later_calls() -> None:
    session = live(tools=TOOLS)
    fed(session, Reconfigure({}, {"slow": ToolPolicy()}), now=0.5)
    hears(session, STARTED, CALL, ENDED, now=ASKED)

    assert sent(ticked(session)) == []


# ------------------------------------------------------------------ local TTS


def test_local_tts_starts_at_once_and_is_played_when_due() -> None:
    session = live(tools=TOOLS, announce_by="voice")
    assert Synthesize("c1", "One moment.") in hears(session, STARTED, CALL, now=ASKED)
    hears(session, ENDED, now=1.1)

    assert fed(session, SpeechSynthesized("c1", LOUD), now=1.3) == []
    assert ticked(session) == [Announce("One moment."), Play(LOUD)]
    assert later(session) == []


def test_slow_local_tts_is_played_when_it_is_ready() -> None:
    session = called("voice")
    assert ticked(session) == []

    said = fed(session, SpeechSynthesized("c1", LOUD), now=2.0)

    assert said == [Announce("One moment."), Play(LOUD)]
    assert fed(session, SpeechSynthesized("c1", LOUD), now=2.1) == []


def test_synthesized_audio_after_the_result_is_not_played() -> None:
    session = called("voice")
    fed(session, DONE, now=1.8)

    assert fed(session, SpeechSynthesized("c1", LOUD), now=2.0) == []


def test_silent_synthesized_audio_is_played_once() -> None:
    session = called("voice")
    fed(session, SpeechSynthesized("c1", SILENCE), now=1.3)

    assert ticked(session) == [Announce("One moment."), Play(SILENCE)]
    assert later(session) == []


def test_local_tts_does_not_start_between_replies() -> None:
    session = live(tools=TOOLS, announce_by="either")

    assert hears(session, CALL, now=ASKED) == [RunTool(CALL)]


def test_an_announcement_without_synthesized_audio_is_dropped() -> None:
    session = called("voice")
    fed(session, SpeechSynthesized("c1", b""), now=1.3)

    assert ticked(session) == []
    assert later(session) == []


def test_its_audio_counts_as_speech_of_the_agent() -> None:
    session = called("voice")
    fed(session, SpeechSynthesized("c1", LOUD * 100), now=1.3)  # a second of audio
    ticked(session)
    hears(session, SECOND, now=1.7)
    fed(session, SpeechSynthesized("c2", LOUD), now=1.8)

    assert ticked(session, 1.7 + ANNOUNCE_SECONDS) == []


def test_a_result_does_not_wait_for_local_tts() -> None:
    session = called("voice")
    fed(session, SpeechSynthesized("c1", LOUD * 100), now=1.3)
    ticked(session)

    assert sent(fed(session, DONE, now=1.7)) == [ToolResult("c1", "1")]


def test_local_tts_speaks_during_a_silent_reply() -> None:
    session = called("either", ends=False)
    hears(session, ReplyAudio(SILENCE, "r1"), now=1.1)
    fed(session, SpeechSynthesized("c1", LOUD), now=1.3)

    assert ticked(session) == [Announce("One moment."), Play(LOUD)]
    assert sent(hears(session, ENDED, now=2.4)) == []


def test_the_service_says_it_if_the_floor_becomes_free_first() -> None:
    session = called("either", ends=False)
    assert ticked(session) == []

    assert sent(hears(session, ENDED, now=1.7)) == [SAID]
    assert fed(session, SpeechSynthesized("c1", LOUD), now=1.8) == []


# ------------------------------------------------------------------- being refused

REFUSED: list[ServerMessage] = [
    SessionError("invalid_format", "Unknown message type: reply.create"),
    SessionError("INVALID_VALUE", "what is that?"),
    SessionError("unknown_event", "what is that?"),
    ReplyError("", "unsupported", "no"),
]


@pytest.mark.parametrize("refusal", REFUSED)
def test_a_service_that_refuses_it_is_not_asked_again(refusal: ServerMessage) -> None:
    session = called("either")
    ticked(session)

    told = hears(session, refusal, now=1.7)

    assert any(isinstance(each, Notify) and "local" in each.text for each in told)
    assert [each for each in told if isinstance(each, Synthesize)] == []  # asked before
    assert fed(session, SpeechSynthesized("c1", LOUD), now=2.0) == [
        Announce("One moment."),
        Play(LOUD),
    ]
    began = hears(session, ReplyStarted("r2"), SECOND, now=8.0)
    assert Synthesize("c2", "I'm booking it.") in began


def test_a_result_that_waited_goes_out_when_the_announcement_is_refused() -> None:
    session = called("either")
    ticked(session)
    fed(session, DONE, now=1.65)

    assert sent(hears(session, REFUSED[0], now=1.7)) == [ToolResult("c1", "1")]
    assert fed(session, SpeechSynthesized("c1", LOUD), now=2.0) == []


@pytest.mark.parametrize("code", ["invalid_audio", "internal_error"])
def test_other_errors_do_not_refuse_announcements(code: str) -> None:
    session = called("either")
    ticked(session)
    hears(session, SessionError(code, "?"), now=1.7)

    assert session.turn_manager.pending_reply.is_announcement


def test_errors_at_other_times_do_not_refuse_announcements() -> None:
    session = called("either")
    hears(session, REFUSED[0], now=1.2)

    assert sent(ticked(session)) == [SAID]


def test_an_error_of_another_reply_does_not_refuse_announcements() -> None:
    session = called("either", ends=False)
    hears(session, ReplyError("r1", "llm_provider_error", "no"), now=1.2)
    hears(session, ENDED, now=1.3)

    assert sent(ticked(session)) == [SAID]


def test_an_announcement_that_is_heard_is_not_refused() -> None:
    session = called("either")
    ticked(session)
    hears(session, ReplyStarted("r2"), ReplyAudio(LOUD, "r2"), now=1.7)

    told = hears(session, REFUSED[0], ReplyDone("r2"), now=1.8)

    assert [each for each in told if isinstance(each, Notify)] == []
    hears(session, ReplyStarted("r3"), SECOND, ReplyDone("r3"), now=8.0)
    assert sent(ticked(session, 8.0 + ANNOUNCE_SECONDS)) == [BOOKED]


def test_a_refusal_of_an_announcement_that_has_begun_is_one() -> None:
    session = called("either")
    ticked(session)
    hears(session, ReplyStarted("r2"), ReplyError("r2", "unsupported", "no"), now=1.7)

    assert fed(session, SpeechSynthesized("c1", LOUD), now=1.8) == [
        Announce("One moment."),
        Play(LOUD),
    ]
    assert sent(hears(session, ReplyDone("r2"), now=1.9)) == []
    assert later(session) == []


def test_a_service_that_ignores_it_is_not_asked_again() -> None:
    session = called("either")
    ticked(session)
    ticked(session, DUE + ANNOUNCEMENT_SECONDS)

    began = hears(session, ReplyStarted("r2"), SECOND, now=8.0)
    assert Synthesize("c2", "I'm booking it.") in began
    hears(session, ReplyDone("r2"), now=8.1)
    assert sent(ticked(session, 8.0 + ANNOUNCE_SECONDS)) == []


def test_announcements_by_reply_never_use_local_tts() -> None:
    session = called("reply")
    ticked(session)
    hears(session, REFUSED[0], now=1.7)

    assert ticked(session, 2.0) == []
    hears(session, ReplyStarted("r2"), SECOND, ReplyDone("r2"), now=8.0)
    assert sent(ticked(session, 8.0 + ANNOUNCE_SECONDS)) == [BOOKED]


@pytest.mark.parametrize(
    ("pcm", "heard"),
    [
        (b"", False),
        (b"\0\0" * 240, False),
        (b"\xff\x00" * 240, False),  # 255
        (b"\x00\xff" * 240, False),  # -256
        (b"\0\0" * 239 + b"\x00\x01", True),  # 256
        (b"\xff\xfe" + b"\0\0" * 239, True),  # -257
        (b"\xff\xff\x00\x80\x00\x00", True),  # -32768
    ],
)
def test_audio_is_audible_above_minus_42_dbfs(pcm: bytes, heard: bool) -> None:
    assert is_audible(pcm) is heard
