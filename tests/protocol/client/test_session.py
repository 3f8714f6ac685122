"""The client session: events in, actions out."""

from __future__ import annotations

import pytest

from runner.protocol.client.actions import (
    CancelTool,
    Close,
    Connect,
    Drain,
    Notify,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.config import ClientConfig, Timeouts
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    HangUp,
    MalformedMessage,
    MicFrame,
    PlaybackDrained,
    Reconfigure,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import (
    CONNECT_SECONDS,
    DRAIN_SECONDS,
    ENDED_SECONDS,
    ClientSession,
)
from runner.protocol.client.state import RESUME_WINDOW_SECONDS, Phase
from runner.protocol.client.turn_taking import FLOOR_SECONDS, GOODBYE_SECONDS
from runner.protocol.messages import (
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCreate,
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
    Unknown,
)
from tests.protocol.client.driving import (
    LOOK,
    READY,
    RESULT,
    closing,
    fed,
    hears,
    live,
    sent,
)

# ------------------------------------------------------------------ the start


def phase_of(session: ClientSession) -> Phase:
    """Returns the phase; mypy would narrow the attribute for the rest of the test."""
    return session.phase


def test_a_session_connects_then_sends_its_configuration_first() -> None:
    session = ClientSession(ClientConfig(session={"system_prompt": "Be brief."}))

    assert session.start(0.0) == [Connect()]
    assert fed(session, Connected()) == [
        Send(SessionUpdate({"system_prompt": "Be brief."}))
    ]


def test_no_audio_is_sent_before_the_session_is_ready() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)

    assert fed(session, MicFrame(b"\0\0")) == []
    assert fed(session, Connected(), MicFrame(b"\0\0")) == []
    hears(session, READY)
    assert fed(session, MicFrame(b"\0\0")) == [Send(InputAudio(b"\0\0"))]


def test_a_service_that_is_not_there_ends_the_session_at_once() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)

    close = closing(fed(session, Disconnected("cannot reach ws://nowhere")))

    assert close.outcome is Outcome.FAILED
    assert close.reason == "cannot reach ws://nowhere"


def test_a_service_that_never_answers_is_given_up() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)

    assert session.deadline == CONNECT_SECONDS
    assert closing(fed(session, Tick(), now=CONNECT_SECONDS)).outcome is Outcome.FAILED


def test_a_session_that_never_becomes_ready_is_given_up() -> None:
    session = ClientSession(ClientConfig(patience=Timeouts(ready=3.0)))
    session.start(0.0)
    fed(session, Connected(), now=1.0)

    assert session.deadline == 4.0
    assert closing(fed(session, Tick(), now=4.0)).outcome is Outcome.FAILED


@pytest.mark.parametrize("code", ["unauthorized", "UNAUTHORIZED", "FORBIDDEN"])
def test_a_rejected_key_ends_the_session_whatever_the_case_of_its_code(
    code: str,
) -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)
    fed(session, Connected())

    close = closing(hears(session, SessionError(code, "Authentication failed")))

    assert close.outcome is Outcome.REJECTED
    assert close.hint is not None


def test_a_refused_configuration_is_reported_with_the_text_of_the_service() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)
    fed(session, Connected())

    close = closing(hears(session, SessionError("invalid_value", "Invalid voice 'x'")))

    assert close.outcome is Outcome.FAILED
    assert "Invalid voice 'x'" in close.reason


def test_a_close_1008_before_ready_is_a_refusal_and_not_retried() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)
    fed(session, Connected())

    assert closing(fed(session, Disconnected("policy", 1008))).outcome is Outcome.FAILED


def test_a_service_that_floods_is_not_called_again() -> None:
    session = live()

    assert closing(fed(session, Disconnected("too large", 1009))).outcome is (
        Outcome.FAILED
    )


def test_a_full_service_is_tried_again_with_growing_pauses_and_then_given_up() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)
    pauses: list[float] = []
    now = 0.0
    while session.phase is not Phase.CLOSED:
        fed(session, Connected(), now=now)
        actions = hears(session, SessionError("at_capacity", "full"), now=now)
        if session.phase is Phase.WAITING:
            assert session.deadline is not None
            pauses.append(session.deadline - now)
            now = session.deadline
            assert fed(session, Tick(), now=now) == [Connect()]

    assert closing(actions).outcome is Outcome.FAILED
    assert pauses == sorted(pauses)
    assert len(pauses) == 3


# ----------------------------------------------------------------- the floor


def test_audio_is_played_only_between_reply_started_and_reply_done() -> None:
    session = live()
    audio = ReplyAudio(b"\1\0", "r1")

    assert hears(session, audio) == []
    hears(session, ReplyStarted("r1"))
    assert hears(session, audio) == [Play(b"\1\0")]
    hears(session, ReplyDone("r1"))
    assert hears(session, audio) == []


def test_audio_of_another_reply_is_not_played() -> None:
    session = live()
    hears(session, ReplyStarted("r2"))

    assert hears(session, ReplyAudio(b"\1\0", "r1")) == []


def test_barge_in_stops_playback_and_kills_the_reply() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0", "r1"))

    assert hears(session, InputSpeechStarted()) == [StopPlayback()]
    assert hears(session, ReplyAudio(b"\1\0", "r1")) == []


def test_an_interrupted_reply_without_speech_started_stops_playback_too() -> None:
    session = live()
    hears(session, ReplyStarted("r1"))

    assert hears(session, ReplyDone("r1", "interrupted")) == [StopPlayback()]


def test_speech_after_a_completed_reply_still_stops_playback() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ReplyDone("r1"))

    assert hears(session, InputSpeechStarted()) == [StopPlayback()]


def test_a_reply_without_ids_is_played_as_the_tutorial_has_it() -> None:
    session = live()
    hears(session, ReplyStarted())

    assert hears(session, ReplyAudio(b"\1\0")) == [Play(b"\1\0")]
    hears(session, ReplyDone())
    assert hears(session, ReplyAudio(b"\1\0")) == []


# --------------------------------------------------------------------- tools


def test_a_tool_runs_at_once_and_its_result_waits_for_reply_done() -> None:
    session = live()

    assert hears(session, ReplyStarted("r1"), LOOK) == [RunTool(LOOK)]
    assert fed(session, ToolFinished("call_1", '"seen"')) == []
    assert hears(session, ReplyDone("r1")) == [Send(RESULT)]


def test_a_tool_that_ends_after_reply_done_is_answered_at_once() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))

    assert fed(session, ToolFinished("call_1", '"seen"')) == [Send(RESULT)]


def test_a_tool_that_ends_while_the_caller_speaks_waits_for_the_next_reply() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"), InputSpeechStarted())

    assert fed(session, ToolFinished("call_1", '"seen"')) == []
    hears(session, InputSpeechStopped(), ReplyStarted("r2"))
    assert hears(session, ReplyDone("r2")) == [Send(RESULT)]


def test_immediate_results_do_not_wait() -> None:
    session = live(immediate_results=True)
    hears(session, ReplyStarted("r1"), LOOK)

    assert fed(session, ToolFinished("call_1", '"seen"')) == [Send(RESULT)]


def test_results_are_sent_in_the_order_of_their_calls() -> None:
    session = live()
    second = ToolCall("call_2", "look")
    hears(session, ReplyStarted("r1"), LOOK, second)
    fed(session, ToolFinished("call_2", "2"), ToolFinished("call_1", "1"))

    assert sent(hears(session, ReplyDone("r1"))) == [
        ToolResult("call_1", "1"),
        ToolResult("call_2", "2"),
    ]


def test_the_calls_of_an_interrupted_reply_are_cancelled_and_forgotten() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, InputSpeechStarted())

    assert hears(session, ReplyDone("r1", "interrupted")) == [CancelTool("call_1")]
    assert fed(session, ToolFinished("call_1", '"seen"')) == []
    hears(session, ReplyStarted("r2"))
    assert hears(session, ReplyDone("r2")) == []


def test_a_call_that_must_finish_runs_on_when_interrupted_but_is_not_answered() -> None:
    session = live()
    booking = ToolCall("call_9", "book")
    hears(session, ReplyStarted("r1"), booking, InputSpeechStarted())

    assert hears(session, ReplyDone("r1", "interrupted")) == []
    assert fed(session, ToolFinished("call_9", "1")) == []


def test_an_interrupted_reply_keeps_the_calls_of_an_earlier_one() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    hears(session, ReplyStarted("r2"), InputSpeechStarted())
    hears(session, ReplyDone("r2", "interrupted"))

    assert fed(session, ToolFinished("call_1", '"seen"')) == []
    hears(session, InputSpeechStopped(), ReplyStarted("r3"))
    assert hears(session, ReplyDone("r3")) == [Send(RESULT)]


def test_a_call_of_a_reply_that_is_already_interrupted_never_runs() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), InputSpeechStarted())

    assert hears(session, LOOK) == []
    assert hears(session, ReplyDone("r1", "interrupted")) == []


def test_an_interrupted_reply_whose_done_never_came_cancels_its_calls() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, InputSpeechStarted())

    assert hears(session, ReplyStarted("r2")) == [CancelTool("call_1")]


def test_the_same_call_id_runs_once() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)

    assert hears(session, LOOK) == []
    fed(session, ToolFinished("call_1", '"seen"'))
    assert hears(session, ReplyDone("r1")) == [Send(RESULT)]
    assert hears(session, ReplyStarted("r2"), LOOK) == []


def test_a_call_without_a_reply_is_run_and_answered() -> None:
    session = live()

    assert hears(session, LOOK) == [RunTool(LOOK)]
    assert fed(session, ToolFinished("call_1", '"seen"')) == [Send(RESULT)]


def test_a_call_outside_a_reply_is_answered_at_once_after_the_caller_s_turn() -> None:
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped(), TranscriptUser("Look."))
    assert hears(session, LOOK) == [RunTool(LOOK)]

    actions = fed(session, ToolFinished("call_1", '"seen"', False))

    assert sent(actions) == [RESULT]


def test_the_floor_becomes_free_when_no_reply_follows_a_cough() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    hears(session, InputSpeechStarted(), now=2.0)
    fed(session, ToolFinished("call_1", '"seen"'), now=2.5)
    hears(session, InputSpeechStopped(), now=3.0)

    assert session.deadline == 3.0 + FLOOR_SECONDS
    assert fed(session, Tick(), now=3.0 + FLOOR_SECONDS) == [Send(RESULT)]


# ---------------------------------------------------------------- hanging up


def test_the_agent_hangs_up_only_after_its_goodbye_was_said_and_heard() -> None:
    session = live()
    bye = ToolCall("call_1", "end_call")

    assert hears(session, ReplyStarted("r1"), bye) == []
    hears(session, TranscriptAgentDelta("Goodbye! ", "r1"))
    assert hears(session, ReplyDone("r1")) == [RunTool(bye)]
    assert fed(session, ToolFinished("call_1", "{}")) == [Drain()]
    assert sent(fed(session, PlaybackDrained())) == [SessionEnd()]
    close = closing(hears(session, SessionEnded(3.0)))
    assert (close.outcome, close.reason) == (Outcome.CLEAN, "the agent hung up")


def test_an_interrupted_goodbye_does_not_hang_up() -> None:
    session = live()
    bye = ToolCall("call_1", "end_call")
    hears(session, ReplyStarted("r1"), bye, InputSpeechStarted())

    assert hears(session, ReplyDone("r1", "interrupted")) == []
    assert session.phase is Phase.LIVE


def test_a_caller_who_speaks_while_the_goodbye_plays_is_not_hung_up_on() -> None:
    session = live()
    bye = ToolCall("call_1", "end_call")
    hears(session, ReplyStarted("r1"), TranscriptAgentDelta("Bye", "r1"), bye)
    hears(session, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", "{}"))
    assert phase_of(session) is Phase.DRAINING

    actions = hears(session, InputSpeechStarted())

    assert actions[0] == StopPlayback()
    assert session.phase is Phase.LIVE
    assert fed(session, PlaybackDrained()) == []
    hears(session, InputSpeechStopped(), ReplyStarted("r2"))
    (result,) = sent(hears(session, ReplyDone("r2")))
    assert isinstance(result, ToolResult)
    assert result.is_error


def test_a_hang_up_without_words_is_answered_and_waits_for_the_goodbye() -> None:
    session = live()
    bye = ToolCall("call_1", "end_call")
    hears(session, ReplyStarted("r1"), bye, ReplyDone("r1"))

    assert sent(fed(session, ToolFinished("call_1", "{}"))) == [
        ToolResult("call_1", "{}")
    ]
    hears(session, ReplyStarted("r2"), TranscriptAgent("Goodbye!", "r2"))
    assert hears(session, ReplyDone("r2")) == [Drain()]


def test_a_goodbye_that_never_comes_does_not_keep_the_connection_open() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ToolCall("call_1", "end_call"), ReplyDone("r1"))
    fed(session, ToolFinished("call_1", "{}"), now=5.0)

    assert fed(session, Tick(), now=5.0 + GOODBYE_SECONDS) == [Drain()]


def test_a_failed_end_call_is_an_ordinary_failed_call() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ToolCall("call_1", "end_call"))
    hears(session, TranscriptAgentDelta("Bye", "r1"), ReplyDone("r1"))

    assert sent(fed(session, ToolFinished("call_1", "{}", is_error=True))) == [
        ToolResult("call_1", "{}", is_error=True)
    ]
    assert session.phase is Phase.LIVE


def test_hanging_up_ends_the_session_and_waits_for_its_end() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)

    actions = fed(session, HangUp("enough"), now=2.0)

    assert actions == [StopPlayback(), CancelTool("call_1"), Send(SessionEnd())]
    assert session.deadline == 2.0 + ENDED_SECONDS
    close = closing(hears(session, SessionEnded(2.0)))
    assert (close.outcome, close.reason) == (Outcome.CLEAN, "enough")


def test_a_service_that_never_says_ended_does_not_hold_the_end_up() -> None:
    session = live()
    fed(session, HangUp("enough"), now=2.0)

    close = closing(fed(session, Tick(), now=2.0 + ENDED_SECONDS))

    assert close.outcome is Outcome.CLEAN


def test_a_speaker_that_never_drains_does_not_hold_the_end_up() -> None:
    session = live()
    assert fed(session, HangUp("done", after_playback=True), now=2.0) == [Drain()]

    assert sent(fed(session, Tick(), now=2.0 + DRAIN_SECONDS)) == [SessionEnd()]


def test_the_time_limit_ends_the_session() -> None:
    session = live(max_duration=60.0)

    assert sent(fed(session, Tick(), now=61.0)) == [SessionEnd()]
    close = closing(hears(session, SessionEnded(60.0)))
    assert close.reason == "the call reached its time limit"


def test_when_the_service_ends_the_last_words_are_still_heard() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0"), ReplyDone("r1"))

    assert hears(session, SessionEnded(9.0)) == [
        Close(Outcome.CLEAN, "the service ended the session", drain=True)
    ]


def test_nothing_happens_after_the_end() -> None:
    session = live()
    hears(session, SessionEnded(9.0))

    assert fed(session, Connected(), HangUp("x"), MicFrame(b""), Tick()) == []
    assert session.deadline is None


# ------------------------------------------------------------ a dropped line


def test_a_dropped_connection_is_resumed_with_the_token_and_the_id() -> None:
    session = live()
    dropped = fed(session, Disconnected("the line was lost"), now=5.0)
    assert dropped[0] == StopPlayback()
    assert session.deadline is not None

    assert fed(session, Tick(), now=session.deadline) == [Connect("token_1")]
    assert fed(session, Connected()) == [Send(SessionResume("sess_1"))]
    hears(session, SessionReady("sess_1", resume_token="token_2"))
    assert session.phase is Phase.LIVE
    assert session.connection.resume_token == "token_2"


def test_a_call_that_was_open_over_the_drop_is_answered_after_it_once() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, Disconnected("lost"), now=5.0)
    assert fed(session, ToolFinished("call_1", '"seen"'), now=5.1) == []
    assert session.deadline is not None
    fed(session, Tick(), now=session.deadline)
    fed(session, Connected())

    assert sent(hears(session, SessionReady("sess_1"))) == [RESULT]
    assert hears(session, ReplyStarted("r2"), ReplyDone("r2")) == []


def test_a_session_that_cannot_be_resumed_starts_fresh_without_its_calls() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)
    fed(session, Disconnected("lost"), now=5.0)
    assert session.deadline is not None
    fed(session, Tick(), now=session.deadline)
    fed(session, Connected())

    actions = hears(session, SessionError("session_not_found", "gone"))

    assert actions[-2:] == [CancelTool("call_1"), Connect()]
    assert session.phase is Phase.CONNECTING


def test_after_the_window_no_resume_is_tried() -> None:
    session = live()
    fed(session, Disconnected("lost"), now=5.0)

    late = 5.0 + RESUME_WINDOW_SECONDS + 0.1
    assert fed(session, Tick(), now=late)[-1] == Connect()


# -------------------------------------------------------------- other events


def test_an_unknown_message_changes_nothing() -> None:
    session = live()

    assert hears(session, Unknown("reply.sparkles", {"n": 1})) == []


def test_something_unreadable_is_reported_and_ignored() -> None:
    session = live()

    (notice,) = fed(session, MalformedMessage("Invalid JSON format."))

    assert isinstance(notice, Notify)
    assert session.phase is Phase.LIVE


def test_an_unknown_error_code_is_reported_and_ignored() -> None:
    session = live()

    assert hears(session, SessionError("brand_new", "hm")) == [
        Notify("the service says brand_new: hm")
    ]


def test_a_failed_reply_is_reported() -> None:
    session = live()

    assert hears(session, ReplyError("r1", "llm_provider_error", "overloaded")) == [
        Notify("the agent could not reply: overloaded")
    ]


def test_typed_text_is_a_message_and_a_request_for_a_reply() -> None:
    session = live()

    assert fed(session, Say("hello")) == [
        Send(ConversationMessage("user", "hello")),
        Send(ReplyCreate()),
    ]
    assert not session.is_settled


def test_typed_text_interrupts_the_agent() -> None:
    session = live()
    hears(session, ReplyStarted("r1"))

    assert fed(session, Say("stop"))[0] == StopPlayback()
    assert hears(session, ReplyAudio(b"\1\0", "r1")) == []


def test_a_live_change_leaves_out_what_is_fixed_but_for_the_volume() -> None:
    session = live()
    changed = {
        "system_prompt": "New.",
        "greeting": "Hi.",
        "output": {"voice": "x", "volume": 50},
    }

    assert fed(session, Reconfigure(changed)) == [
        Notify(
            "the greeting and the voice cannot change in a running session; call again"
        ),
        Send(SessionUpdate({"system_prompt": "New.", "output": {"volume": 50}})),
    ]


# ------------------------------------------------------------------- settled


def test_a_session_with_a_greeting_is_settled_after_it() -> None:
    session = live(session={"greeting": "Hi."})

    assert not session.is_settled
    hears(session, ReplyStarted("r1"))
    assert not session.is_settled
    hears(session, ReplyDone("r1"))
    assert session.is_settled


def test_a_session_is_not_settled_until_the_answer_to_a_result_is_over() -> None:
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped(), ReplyStarted("r1"))
    hears(session, LOOK, ReplyDone("r1"))
    assert not session.is_settled
    fed(session, ToolFinished("call_1", "1"))
    assert not session.is_settled
    hears(session, ReplyStarted("r2"), ReplyDone("r2"))
    assert session.is_settled
