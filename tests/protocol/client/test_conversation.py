"""The conversation over silences, configuration changes and drops."""

from __future__ import annotations

import pytest

from runner.protocol.client.actions import (
    Action,
    CancelTool,
    ConfigApplied,
    Connect,
    Drain,
    Notify,
    Outcome,
    Play,
    RunTool,
    Send,
    StopPlayback,
)
from runner.protocol.client.announcements import prompt_verbatim
from runner.protocol.client.config import ClientConfig, IdlePolicy, Timeouts
from runner.protocol.client.conversation import PREFACE, SAY_AGAIN
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    HangUp,
    MicFrame,
    Received,
    Reconfigure,
    Say,
    Tick,
    ToolFinished,
)
from runner.protocol.client.session import DRAIN_SECONDS, ClientSession
from runner.protocol.client.state import OUTAGE_SECONDS, RESUME_WINDOW_SECONDS, Phase
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.client.turn_taking import RESUMED_REPLY_SECONDS, Floor
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
    SessionError,
    SessionReady,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptUser,
)
from tests.protocol.client.driving import (
    LOOK,
    RESULT,
    closing,
    fed,
    hears,
    live,
    sent,
)

GREETING = {"system_prompt": "Be brief.", "greeting": "Hi."}


def phase_of(session: ClientSession) -> Phase:
    """Returns the phase; mypy would narrow the attribute for the rest of the test."""
    return session.phase


def tick(session: ClientSession) -> list[Action]:
    """Feeds a tick at the next deadline."""
    assert session.deadline is not None
    return session.feed(Tick(), session.deadline)


def drop(session: ClientSession, now: float = 5.0) -> list[Action]:
    return fed(session, Disconnected("the line was lost"), now=now)


def resume(session: ClientSession) -> list[Action]:
    """Resumes the session; returns the actions after session.ready."""
    tick(session)
    assert session.phase is Phase.RESUMING
    fed(session, Connected())
    return hears(session, SessionReady("sess_1", resume_token="token_2"), now=6.3)


def start_afresh(session: ClientSession) -> list[Action]:
    """Fails to resume; returns the actions after session.ready of the fresh session."""
    tick(session)
    fed(session, Connected())
    hears(session, SessionError("session_not_found", "Session not found"))
    assert session.phase is Phase.CONNECTING
    (first,) = sent(fed(session, Connected()))
    assert isinstance(first, SessionUpdate)
    return [Send(first), *hears(session, SessionReady("sess_2"), now=7.0)]


# ------------------------------------------------------------- the line is lost


def test_a_drop_and_the_resume_are_reported_once_each() -> None:
    session = live()

    notices = [a for a in drop(session) if isinstance(a, Notify)]
    tick(session)
    again = fed(session, Disconnected("cannot reach it"), now=5.5)
    tick(session)
    fed(session, Connected())
    back = hears(session, SessionReady("sess_1"), now=6.3)

    assert notices == [Notify("the line was lost, reconnecting…")]
    assert not any(isinstance(action, Notify) for action in again)
    assert back == [Notify("back after 1.3 s")]


def test_a_reply_stops_when_the_connection_is_lost_and_the_floor_is_free_after_it() -> (
    None
):
    session = live()
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0", "r1"))

    assert drop(session)[0] == StopPlayback()
    resume(session)
    assert session.is_settled
    assert hears(session, ReplyAudio(b"\1\0", "r1")) == []


def test_audio_during_an_outage_is_counted_and_never_sent() -> None:
    session = live()
    drop(session)

    assert fed(session, *[MicFrame(b"\0\0")] * 7) == []
    resume(session)
    assert fed(session, MicFrame(b"\2\0")) == [Send(InputAudio(b"\2\0"))]
    assert session.connection.unsent_bytes == 14


def test_a_result_that_never_left_is_sent_after_the_drop() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    assert sent(fed(session, ToolFinished("call_1", '"seen"'))) == [RESULT]

    fed(session, Disconnected("lost", unsent=(RESULT,)), now=5.0)

    assert sent(resume(session)) == [RESULT]


def test_a_result_that_left_is_not_sent_twice() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))
    drop(session)

    assert sent(resume(session)) == []


def test_a_tool_call_that_the_service_repeats_after_a_drop_is_answered_once_more() -> (
    None
):
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))
    drop(session)
    resume(session)

    assert sent(hears(session, LOOK)) == [RESULT]
    assert hears(session, LOOK) == []


def test_a_fresh_session_gets_no_results_of_the_lost_one() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))
    drop(session)
    start_afresh(session)

    assert hears(session, LOOK) == []


def test_an_answer_that_was_acknowledged_is_not_given_again() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))
    hears(session, ReplyStarted("r2"), ReplyDone("r2"))
    drop(session)
    resume(session)

    assert hears(session, LOOK) == []


def test_text_that_is_typed_during_an_outage_is_sent_after_it() -> None:
    session = live()
    drop(session)

    assert fed(session, Say("hello?"), Say("anyone?")) == []
    assert sent(resume(session)) == [
        ConversationMessage("user", "hello?"),
        ReplyCreate(),
        ConversationMessage("user", "anyone?"),
        ReplyCreate(),
    ]


def test_a_reply_that_was_owed_when_the_connection_dropped_is_requested_after_it() -> (
    None
):
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped(), TranscriptUser("Hm?"))
    drop(session)

    assert resume(session) == [Notify("back after 1.3 s")]
    assert session.deadline == 6.3 + RESUMED_REPLY_SECONDS
    assert sent(tick(session)) == [ReplyCreate()]


def test_typed_text_without_an_answer_is_sent_again_after_a_drop() -> None:
    session = live()
    fed(session, Say("hello?"))
    drop(session)

    again = [ConversationMessage("user", "hello?"), ReplyCreate()]
    assert sent(resume(session)) == [], "the far end may have heard, and answer"
    assert sent(tick(session)) == again
    hears(session, ReplyStarted("r1"))
    drop(session, now=9.0)
    tick(session)
    fed(session, Connected())
    assert sent(hears(session, SessionReady("sess_1"), now=10.0)) == []


def test_a_greeting_that_was_not_played_is_requested_after_a_drop() -> None:
    session = live(session=GREETING)
    hears(session, ReplyStarted("r1"))
    drop(session)

    assert sent(resume(session)) == [ReplyCreate(prompt_verbatim("Hi."))]


def test_a_greeting_that_was_played_is_not_repeated() -> None:
    session = live(session=GREETING)
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0", "r1"))
    drop(session)

    assert sent(resume(session)) == []


def test_a_reply_that_was_cut_off_before_it_was_heard_is_requested_again() -> None:
    session = live()
    hears(session, TranscriptUser("Hm?"), ReplyStarted("r1"))
    drop(session)
    resume(session)

    assert sent(tick(session)) == [ReplyCreate(SAY_AGAIN)]


def test_a_reply_that_was_heard_in_part_is_left_at_that() -> None:
    session = live()
    hears(session, TranscriptUser("Hm?"), ReplyStarted("r1"))
    hears(session, ReplyAudio(b"\1\0", "r1"))
    drop(session)
    resume(session)

    assert session.is_settled


def test_a_reply_that_comes_by_itself_after_a_drop_is_not_requested() -> None:
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped(), TranscriptUser("Hm?"))
    drop(session)
    resume(session)
    assert not session.is_settled

    hears(session, ReplyStarted("r2"), ReplyAudio(b"\1\0", "r2"), ReplyDone("r2"))
    assert session.is_settled
    drop(session, now=9.0)
    tick(session)
    fed(session, Connected())
    hears(session, SessionReady("sess_1"), now=10.0)
    assert session.is_settled, "it is owed once"


def test_a_reply_to_a_cough_is_not_requested_after_a_drop() -> None:
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped())
    drop(session)
    resume(session)

    assert session.is_settled


def test_a_fresh_session_answers_what_the_lost_one_did_not() -> None:
    session = live(carry_over=True)
    fed(session, Say("hello?"))
    drop(session)

    assert sent(start_afresh(session)[1:]) == [
        ConversationMessage("system", PREFACE),
        ConversationMessage("user", "hello?"),
        ReplyCreate(),
    ]


def test_a_fresh_session_does_not_greet_again() -> None:
    session = live(session=GREETING)
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0", "r1"))
    drop(session)

    assert start_afresh(session)[0] == Send(
        SessionUpdate({"system_prompt": "Be brief."})
    )
    assert session.is_settled, "no greeting is waited for"


def test_a_caller_who_was_never_greeted_is_greeted_by_the_fresh_session() -> None:
    session = live(session=GREETING)
    hears(session, ReplyStarted("r1"))
    drop(session)

    assert start_afresh(session)[0] == Send(SessionUpdate(GREETING))


def test_a_fresh_session_gets_the_history_with_carry_over() -> None:
    session = live(carry_over=True)
    hears(session, TranscriptUser("Where is it?"), ReplyStarted("r1"), LOOK)
    hears(session, TranscriptAgent("I look.", "r1"), ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))
    drop(session)

    notice, *told = start_afresh(session)[1:]

    assert notice == Notify(
        "back after 2.0 s in a fresh session, told of the conversation so far "
        "(session_not_found: Session not found)"
    )
    assert sent(told) == [
        ConversationMessage("system", PREFACE),
        ConversationMessage("user", "Where is it?"),
        ConversationMessage("system", 'You said: "I look."'),
        ConversationMessage("system", 'Your tool look returned: "seen"'),
        ReplyCreate(),
    ]


def test_a_fresh_session_gets_no_history_by_default() -> None:
    session = live()
    hears(session, TranscriptUser("Where is it?"))
    drop(session)

    assert sent(start_afresh(session)[1:]) == []


def test_an_outage_longer_than_the_window_ends_in_a_fresh_session() -> None:
    session = live()
    drop(session)
    tick(session)
    fed(session, Disconnected("refused", status=502), now=5 + RESUME_WINDOW_SECONDS)

    assert tick(session)[-1] == Connect()
    fed(session, Connected())
    (notice,) = hears(session, SessionReady("sess_2"), now=40.0)
    assert notice == Notify(
        "back after 35.0 s in a fresh session (after 30 s no session is kept)"
    )


def test_a_connection_that_never_comes_back_is_given_up_after_a_while() -> None:
    session = live()
    drop(session, now=5.0)
    tries = 0
    while session.phase is not Phase.CLOSED:
        tries += 1
        now = session.deadline
        assert now is not None
        actions = fed(session, Tick(), now=now)
        if session.phase in (Phase.RESUMING, Phase.CONNECTING):
            fed(session, Disconnected("cannot reach it"), now=now)

    assert now is not None and now >= 5.0 + OUTAGE_SECONDS
    assert 10 < tries < 25
    assert closing(actions).reason == (
        "the line was gone for 60 s (after 30 s no session is kept)"
    )


def test_a_service_that_hangs_while_it_is_dialled_again_is_tried_again() -> None:
    session = live()
    drop(session)
    session.connection.forget("gone")
    tick(session)
    assert phase_of(session) is Phase.CONNECTING

    tick(session)
    assert session.phase is Phase.WAITING


def test_a_token_that_is_not_taken_leads_to_a_fresh_session_with_the_key() -> None:
    session = live()
    drop(session)
    assert tick(session) == [Connect("token_1")]

    assert fed(session, Disconnected("HTTP 401", status=401))[-1] == Connect()


def test_a_proxys_502_at_the_very_start_is_tried_again() -> None:
    session = ClientSession(ClientConfig())
    session.start(0.0)

    fed(session, Disconnected("HTTP 502", status=502))

    assert session.phase is Phase.WAITING


# -------------------------------------------------- replies that do not come


def test_a_reply_to_a_result_is_requested_once_more() -> None:
    session = live(patience=Timeouts(reply=20.0))
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", '"seen"'))

    assert sent(tick(session)) == [ReplyCreate()]
    assert tick(session) == [Notify("the agent does not answer")]
    assert session.is_settled
    assert session.deadline is None


def test_a_reply_to_a_cough_is_not_requested() -> None:
    session = live()
    hears(session, InputSpeechStarted(), InputSpeechStopped())

    assert tick(session) == []
    assert session.is_settled


def test_a_reply_that_is_not_heard_is_requested_once_and_then_given_up() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)
    fed(session, ToolFinished("call_1", '"seen"'))

    notice, create = tick(session)
    assert isinstance(notice, Notify)
    assert create == Send(ReplyCreate())
    assert session.turn_manager.turn is Floor.AGENT, "late sound is still heard"
    assert hears(session, ReplyAudio(b"\1\0", "r1")) == [Play(b"\1\0")]


def test_a_reply_that_never_ends_does_not_hold_the_results_for_ever() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)
    hears(session, ReplyAudio(b"\1\0", "r1"), now=8.0)
    fed(session, ToolFinished("call_1", '"seen"'), now=8.0)

    assert tick(session) == [], "it was heard a moment ago"
    assert session.deadline == 18.0
    assert sent(tick(session)) == [RESULT]


def test_a_terminal_call_of_a_reply_that_never_ended_does_not_hang_up() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ToolCall("call_2", "end_call"))
    tick(session)
    while session.turn_manager.turn is Floor.AGENT:
        actions = tick(session)

    assert not any(isinstance(action, RunTool) for action in actions)
    (answer,) = [m for m in sent(actions) if isinstance(m, ToolResult)]
    assert answer.is_error


def test_a_failed_reply_that_may_be_tried_again_is_tried_once() -> None:
    session = live()
    failure = ReplyError("r1", "llm_provider_error", "busy", retryable=True)
    hears(session, ReplyStarted("r1"), failure)

    assert sent(hears(session, ReplyDone("r1"))) == [ReplyCreate()]
    hears(session, ReplyStarted("r1"), failure)
    assert sent(hears(session, ReplyDone("r1"))) == []


# ------------------------------------------------------------- idle, last minute


def test_the_agent_prompts_a_silent_caller_and_then_hangs_up() -> None:
    session = live(idle=IdlePolicy(20.0, "Are you there?", 60.0))

    assert session.deadline == 21.0
    assert sent(tick(session)) == [ReplyCreate(prompt_verbatim("Are you there?"))]
    hears(session, ReplyStarted("r1"), ReplyDone("r1"), now=23.0)
    assert session.deadline == 61.0
    assert tick(session) == [Drain()]
    assert session.phase is Phase.DRAINING


def test_silence_starts_when_the_agents_audio_has_been_played() -> None:
    session = live(idle=IdlePolicy(nudge_after=20.0))
    hears(session, ReplyStarted("r1"), ReplyAudio(bytes(48_000 * 5), "r1"))
    hears(session, ReplyDone("r1"), now=1.5)

    assert session.deadline == 1.0 + 5.0 + 20.0


def test_a_caller_who_speaks_is_not_idle() -> None:
    session = live(idle=IdlePolicy(20.0, None, 60.0))
    hears(session, InputSpeechStarted(), now=15.0)

    assert session.deadline is None


def test_the_last_minute_is_said_when_the_floor_is_free() -> None:
    session = live(max_duration=90.0, one_minute_left="One minute.")
    hears(session, ReplyStarted("r1"), now=30.0)
    assert session.deadline == 31.0
    assert tick(session) == []
    hears(session, ReplyAudio(b"\1\0", "r1"), now=31.0)

    said = hears(session, ReplyDone("r1"), now=35.0)

    assert sent(said) == [ReplyCreate(prompt_verbatim("One minute."))]


def test_the_last_minute_that_begins_without_a_line_is_said_when_it_is_back() -> None:
    session = live(max_duration=63.0, one_minute_left="One minute.")
    drop(session, now=3.9)
    assert tick(session) == [], "nothing is sent without a line"
    tick(session)
    fed(session, Connected())

    back = hears(session, SessionReady("sess_1"), now=6.3)

    assert sent(back) == [ReplyCreate(prompt_verbatim("One minute."))]


def test_the_time_limit_holds_over_a_drop() -> None:
    session = live(max_duration=10.0)
    drop(session)
    resume(session)

    assert sent(tick(session)) == [SessionEnd()]


# ---------------------------------------------------------------- live changes


def test_a_change_waits_for_the_reply_and_the_calls_to_be_over() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)

    assert fed(session, Reconfigure({"system_prompt": "New."})) == []
    assert hears(session, ReplyDone("r1")) == []
    assert sent(fed(session, ToolFinished("call_1", '"seen"'))) == [
        RESULT,
        SessionUpdate({"system_prompt": "New."}),
    ]


def test_changed_tools_are_used_once_the_service_follows() -> None:
    session = live()
    rules = {"look": ToolPolicy(terminal=True)}
    fed(session, Reconfigure({"tools": [{"name": "look"}]}, rules))

    assert session.turn_manager.tools != rules
    assert hears(session, SessionUpdated()) == [ConfigApplied()]
    assert session.turn_manager.tools == rules


def test_a_change_that_the_wire_need_not_know_is_used_at_once() -> None:
    session = live()

    assert fed(session, Reconfigure({}, {"look": ToolPolicy(terminal=True)})) == [
        ConfigApplied()
    ]


def test_a_refused_change_is_reported_and_has_no_effect() -> None:
    session = live()
    fed(session, Reconfigure({"tools": [{"name": ""}]}))

    assert hears(session, SessionError("invalid_value", "bad name")) == [
        Notify("the service says invalid_value: bad name"),
        Notify("the change is refused; everything stays as it was"),
    ]
    assert hears(session, SessionUpdated()) == []


def test_a_change_during_an_outage_is_sent_when_the_connection_is_back() -> None:
    session = live()
    drop(session)
    assert fed(session, Reconfigure({"system_prompt": "New."})) == []

    assert sent(resume(session)) == [SessionUpdate({"system_prompt": "New."})]


def test_a_fresh_session_begins_with_the_changed_configuration_and_tools() -> None:
    session = live()
    drop(session)
    rules = {"look": ToolPolicy(terminal=True)}
    fed(session, Reconfigure({"system_prompt": "New."}, rules))

    first, *rest = start_afresh(session)

    assert first == Send(SessionUpdate({"system_prompt": "New."}))
    assert ConfigApplied() in rest
    assert session.turn_manager.tools == rules


@pytest.mark.parametrize("rule", ["cancel", "finish"])
def test_a_fresh_session_cancels_every_call_that_the_old_one_asked_for(
    rule: str,
) -> None:
    session = live()
    name = {"cancel": "look", "finish": "book"}[rule]
    hears(session, ReplyStarted("r1"), ToolCall("call_1", name))
    drop(session)
    tick(session)
    fed(session, Connected())

    actions = fed(session, Received(SessionError("session_expired", "Session expired")))

    assert CancelTool("call_1") in actions


# ------------------------------------------------ what only a broken rule shows


def test_it_can_be_asked_again_once_something_was_heard_in_between() -> None:
    session = live()
    for number in (1, 2):
        look = ToolCall(f"c{number}", "look")
        hears(session, ReplyStarted(f"a{number}"), look, ReplyDone(f"a{number}"))
        fed(session, ToolFinished(f"c{number}", "1"))
        assert ReplyCreate() in sent(tick(session))
        reply = f"b{number}"
        hears(session, ReplyStarted(reply), ReplyAudio(b"\1\0", reply))
        hears(session, ReplyDone(reply))


def test_it_can_be_asked_again_on_a_new_connection() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"))
    fed(session, ToolFinished("call_1", "1"))
    assert ReplyCreate() in sent(tick(session))
    drop(session, now=12.0)
    tick(session)
    fed(session, Connected())
    hears(session, SessionReady("sess_1"), now=14.0)

    assert ReplyCreate() in sent(tick(session))


def test_a_caller_who_speaks_is_owed_nothing_yet() -> None:
    session = live()
    fed(session, Say("hello?"))
    hears(session, InputSpeechStarted())

    assert session.deadline is None


def test_a_second_reply_without_audio_is_reported_once() -> None:
    session = live(patience=Timeouts(reply=5.0, sound=10.0))
    hears(session, ReplyStarted("r1"))
    tick(session)

    assert tick(session) == [], "a reply has begun: its sound is waited for"
    assert tick(session) == [
        Notify("the agent's reply never ended: going on without its end")
    ]
    assert session.is_settled


def test_the_reply_of_a_lost_connection_is_not_in_progress_on_the_new_one() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), ReplyAudio(b"\1\0", "r1"))
    drop(session)
    resume(session)
    hears(session, InputSpeechStarted())

    assert hears(session, LOOK) == [RunTool(LOOK)]


def test_an_older_reply_that_was_interrupted_cancels_its_calls() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyStarted("r2"))

    assert hears(session, ReplyDone("r1", "interrupted")) == [CancelTool("call_1")]
    assert session.turn_manager.turn is Floor.AGENT


def test_a_terminal_call_without_any_reply_asks_for_a_goodbye() -> None:
    session = live()
    end = ToolCall("call_2", "end_call")

    assert hears(session, end) == [RunTool(end)]
    assert sent(fed(session, ToolFinished("call_2", "1"))) == [
        ToolResult("call_2", "1")
    ]


def test_a_result_that_is_held_when_the_next_reply_begins_is_kept() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK, ReplyDone("r1"), InputSpeechStarted())
    assert fed(session, ToolFinished("call_1", '"seen"')) == []
    assert hears(session, ReplyStarted("r2")) == []

    assert sent(hears(session, ReplyDone("r2"))) == [RESULT]


def test_a_result_that_is_held_when_the_connection_drops_is_sent_once() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)
    fed(session, ToolFinished("call_1", '"seen"'))
    drop(session)

    assert sent(resume(session)) == [RESULT]
    assert hears(session, LOOK) == []


def test_a_session_is_live_only_while_the_conversation_goes_on() -> None:
    session = live()
    assert session.is_live

    fed(session, HangUp("enough", after_playback=True))
    assert not session.is_live


def test_what_comes_while_the_goodbye_plays_does_not_hang_up_twice() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), TranscriptAgent("Bye.", "r1"))
    hears(session, ToolCall("call_2", "end_call"), ReplyDone("r1"))
    assert fed(session, ToolFinished("call_2", "1")) == [Drain()]

    assert hears(session, TranscriptUser("Bye.")) == []
    assert session.phase is Phase.DRAINING


def test_giving_up_stops_playback_and_the_calls() -> None:
    session = live()
    hears(session, ReplyStarted("r1"), LOOK)

    actions = hears(session, SessionError("unauthorized", "expired"))

    assert actions[:-1] == [StopPlayback(), CancelTool("call_1")]


def test_an_unexpected_connection_is_ignored() -> None:
    assert fed(live(), Connected()) == []


def test_a_refusal_while_a_lost_call_starts_afresh_is_an_outage() -> None:
    session = live()
    drop(session)
    session.connection.forget("gone")
    tick(session)
    assert phase_of(session) is Phase.CONNECTING

    fed(session, Disconnected("HTTP 403", status=403), now=6.0)

    assert session.phase is Phase.WAITING


def test_a_service_that_closes_normally_has_ended_the_call() -> None:
    session = live()

    close = closing(fed(session, Disconnected("closed", 1000)))

    assert (close.outcome, close.drain) == (Outcome.CLEAN, True)


def test_a_fresh_session_does_not_put_the_last_minute_off() -> None:
    session = live(max_duration=90.0, one_minute_left="One minute.")
    drop(session)
    start_afresh(session)

    assert session.deadline == 31.0


def test_a_fresh_session_is_asked_for_one_reply_when_the_caller_typed_meanwhile() -> (
    None
):
    session = live(carry_over=True)
    hears(session, TranscriptUser("Where is it?"))
    drop(session)
    fed(session, Say("hello?"))

    messages = sent(start_afresh(session)[1:])

    assert messages.count(ReplyCreate()) == 1
    assert messages[-2:] == [ConversationMessage("user", "hello?"), ReplyCreate()]


def test_a_change_waits_for_the_reply_to_be_over() -> None:
    session = live()
    hears(session, ReplyStarted("r1"))

    assert fed(session, Reconfigure({"system_prompt": "New."})) == []
    assert sent(hears(session, ReplyDone("r1"))) == [
        SessionUpdate({"system_prompt": "New."})
    ]


def test_nothing_of_ours_begins_while_the_goodbye_plays() -> None:
    session = live(idle=IdlePolicy(nudge_after=5.0))
    fed(session, HangUp("enough", after_playback=True))

    assert fed(session, Reconfigure({"system_prompt": "New."})) == []
    assert session.deadline == 1.0 + DRAIN_SECONDS
