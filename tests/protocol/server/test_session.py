"""The server session; `test_session_orders` feeds it events in random order."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import pytest

from runner.errors import RemoteProtocolError
from runner.protocol.messages import (
    ConversationMessage,
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyCancel,
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
    SessionUpdated,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    TranscriptAgentDelta,
    TranscriptUser,
    TranscriptUserDelta,
)
from runner.protocol.server.events import (
    AppendHistory,
    AudioChunk,
    ClauseStarted,
    Close,
    Disconnected,
    Failed,
    FeedAudio,
    Malformed,
    PartialTranscript,
    Received,
    RemoveFromHistory,
    ReplyFailed,
    ReplyFinished,
    Resumed,
    Send,
    ServerAction,
    ServerEvent,
    ShutDown,
    SpeechStarted,
    StartReply,
    StopReply,
    Tick,
    ToolCallRequested,
    TurnCommitted,
)
from runner.protocol.server.session import (
    GRACE_SECONDS,
    LIFETIME_SECONDS,
    Phase,
    ServerSession,
)
from runner.protocol.server.turn_taking import ANSWER_SECONDS

TOOL = {"type": "function", "name": "look", "timeout_seconds": 5}


class Pair:
    """A session and what it has asked for, in order."""

    def __init__(self, **update: Any) -> None:
        numbers = itertools.count(1)
        self.session = ServerSession(lambda kind: f"{kind}_{next(numbers)}", epoch=1e9)
        self.now = 100.0
        self.actions: list[ServerAction] = []
        if update.pop("ready", True):
            self.feed(Received(SessionUpdate(update)))

    def feed(self, *events: ServerEvent) -> list[ServerAction]:
        fresh: list[ServerAction] = []
        for event in events:
            was_down = self.session.phase is Phase.DROPPED
            fresh += (actions := self.session.feed(event, self.now))
            if isinstance(event, Disconnected) or (
                was_down and self.session.phase is not Phase.LIVE
            ):
                assert sent(actions) == [], "a line that is down carries nothing"
        self.actions += fresh
        return fresh

    def receive(self, message: Any) -> list[ServerAction]:
        return self.feed(Received(message))

    @property
    def reply_id(self) -> str:
        """The reply that was started last."""
        return [a.reply_id for a in self.actions if isinstance(a, StartReply)][-1]

    def say(self, text: str) -> list[ServerAction]:
        """Let the caller say something, heard in one piece."""
        return self.feed(SpeechStarted(), TurnCommitted(text))

    def call(self, name: str = "look") -> str:
        sent(self.feed(ToolCallRequested(self.reply_id, name)))
        return [m.call_id for m in sent(self.actions) if isinstance(m, ToolCall)][-1]


def sent(actions: Sequence[ServerAction]) -> list[Any]:
    return [action.message for action in actions if isinstance(action, Send)]


def kinds(actions: Sequence[ServerAction]) -> list[type]:
    """Return the classes of what is sent and, for the rest, of the actions."""
    return [type(a.message) if isinstance(a, Send) else type(a) for a in actions]


def error_of(actions: Sequence[ServerAction]) -> tuple[str, str, str | None]:
    [error] = [m for m in sent(actions) if isinstance(m, SessionError)]
    return error.code, error.message, error.param


# ------------------------------------------------------------------------- opening


def test_updated_comes_before_ready_and_both_echo_the_configuration() -> None:
    first, second, *_ = sent(Pair(system_prompt="Be brief.").actions)

    assert isinstance(first, SessionUpdated)
    assert isinstance(second, SessionReady)
    assert first.config == second.config
    assert first.config["id"] == second.session_id == "sess_1"
    assert first.config["system_prompt"] == "Be brief."


def test_timestamps_are_seconds_since_1970() -> None:
    [updated, ready] = sent(Pair().actions)

    assert updated.timestamp == 1e9 + 100
    assert ready.expires_at == int(1e9 + 100 + LIFETIME_SECONDS)


def test_the_greeting_is_spoken_verbatim_after_ready() -> None:
    actions = Pair(greeting="Hi there.").actions

    assert kinds(actions)[2:] == [SessionReady, ReplyStarted, StartReply]
    assert actions[-1] == StartReply("resp_3", "Hi there.")


def test_an_empty_greeting_means_none() -> None:
    assert kinds(Pair(greeting="").actions)[-1] is SessionReady


def test_audio_before_ready_is_discarded() -> None:
    assert Pair(ready=False).receive(InputAudio(b"\0\0")) == []


def test_a_first_update_with_a_bad_value_is_fatal() -> None:
    pair = Pair(output={"voice": "nobody"})

    code, text, param = error_of(pair.actions)
    assert (code, param) == ("invalid_value", "output.voice")
    assert text.startswith("Invalid voice 'nobody'. Must be one of: alba, anna,")
    assert pair.actions[-1] == Close(1008)
    assert pair.session.phase is Phase.CLOSED


def test_a_first_update_of_the_wrong_shape_is_not_fatal() -> None:
    pair = Pair(greeting=None)

    text = "Invalid message format for type 'session.update'"
    assert error_of(pair.actions) == ("invalid_format", text, "greeting")
    assert isinstance(sent(pair.receive(SessionUpdate({})))[-1], SessionReady)


def test_resuming_an_unknown_session_is_refused() -> None:
    actions = Pair(ready=False).receive(SessionResume("sess_x"))

    assert error_of(actions)[0] == "session_not_found"
    assert actions[-1] == Close(1008)


def test_other_first_messages_are_answered_and_the_session_can_still_open() -> None:
    pair = Pair(ready=False)

    assert error_of(pair.receive(ReplyCreate()))[0] == "invalid_format"
    assert SessionReady in kinds(pair.receive(SessionUpdate({})))


# -------------------------------------------------------------------------- updates


def test_a_later_bad_update_changes_nothing_and_keeps_the_session() -> None:
    pair = Pair(system_prompt="Old.")

    actions = pair.receive(
        SessionUpdate({"system_prompt": "New.", "output": {"voice": "eve"}})
    )

    text = "'output.voice' cannot be changed after the first session.update"
    assert error_of(actions) == ("immutable_field", text, "output.voice")
    assert kinds(actions) == [SessionError]
    assert pair.session.settings.system_prompt == "Old."


def test_a_later_update_is_acknowledged_without_a_second_ready() -> None:
    actions = Pair().receive(SessionUpdate({"output": {"volume": 50}}))

    assert [type(message) for message in sent(actions)] == [SessionUpdated]
    assert sent(actions)[0].config["output"]["volume"] == 50


# ----------------------------------------------------------------------- the caller


def test_the_messages_of_a_turn_are_in_the_order_of_the_service() -> None:
    pair = Pair()

    actions = pair.feed(
        SpeechStarted(),
        PartialTranscript("What"),
        PartialTranscript("What is"),
        TurnCommitted("What is it?"),
    )

    assert kinds(actions) == [
        InputSpeechStarted,
        TranscriptUserDelta,
        TranscriptUserDelta,
        InputSpeechStopped,
        TranscriptUser,
        AppendHistory,
        ReplyStarted,
        StartReply,
    ]
    assert sent(actions)[1].item_id == sent(actions)[4].item_id


def test_a_turn_without_words_ends_and_nothing_follows() -> None:
    pair = Pair()

    assert kinds(pair.say("  ")) == [InputSpeechStarted, InputSpeechStopped]


def test_a_turn_without_words_lets_the_reply_that_waited_for_it_begin() -> None:
    pair = Pair()
    pair.feed(SpeechStarted())
    pair.receive(ReplyCreate("Say hello."))

    assert StartReply in kinds(pair.feed(TurnCommitted("")))


def test_audio_is_fed_to_stt() -> None:
    assert Pair().receive(InputAudio(b"\1\2")) == [FeedAudio(b"\1\2")]


def test_the_excess_of_a_burst_is_not_fed_to_stt() -> None:
    pair = Pair()
    taken = [kinds(pair.receive(InputAudio(bytes(48_000)))) for _ in range(12)]

    assert taken == [[FeedAudio]] * 10 + [[SessionError], []]


# -------------------------------------------------------------------------- replies


def speaking(**update: Any) -> Pair:
    """Return a pair in the middle of a greeting of two words, half of it sent."""
    pair = Pair(greeting="Hello world.", **update)
    pair.feed(ClauseStarted(pair.reply_id, "Hello world.", 1000))
    pair.feed(AudioChunk(pair.reply_id, bytes(24_000)))
    return pair


def test_the_messages_of_a_reply_are_in_the_order_of_the_service() -> None:
    pair = speaking()

    actions = pair.feed(
        AudioChunk(pair.reply_id, bytes(24_000)), ReplyFinished(pair.reply_id)
    )

    assert kinds(actions) == [ReplyAudio, TranscriptAgent, AppendHistory, ReplyDone]
    assert sent(actions)[1].text == "Hello world."
    assert sent(actions)[2].status == "completed"


def test_words_come_one_by_one_with_their_times() -> None:
    deltas = [
        m for m in sent(speaking().actions) if isinstance(m, TranscriptAgentDelta)
    ]

    assert [(d.delta, d.start_ms, d.end_ms) for d in deltas] == [
        ("Hello", 0, 455),
        ("world.", 455, 1000),
    ]


def test_an_interruption_stops_the_reply_before_anything_is_said_of_it() -> None:
    pair = speaking()

    actions = pair.feed(SpeechStarted())

    assert kinds(actions) == [
        StopReply,
        InputSpeechStarted,
        TranscriptAgent,
        AppendHistory,
        ReplyDone,
    ]
    assert sent(actions)[1].text == "Hello"
    assert sent(actions)[1].interrupted
    assert sent(actions)[2].status == "interrupted"


def test_what_an_interrupted_reply_still_produces_is_ignored() -> None:
    pair = speaking()
    reply_id = pair.reply_id
    pair.feed(SpeechStarted())

    assert (
        pair.feed(
            AudioChunk(reply_id, bytes(480)),
            ClauseStarted(reply_id, "More.", 500),
            ToolCallRequested(reply_id, "look"),
            ReplyFinished(reply_id),
        )
        == []
    )


def test_audio_of_an_interrupted_reply_is_not_sent_in_the_next_one() -> None:
    pair = speaking()
    dead = pair.reply_id
    pair.say("What?")

    assert (
        pair.feed(
            AudioChunk(dead, bytes(480)),
            ToolCallRequested(dead, "look"),
            ReplyFinished(dead),
        )
        == []
    )


@pytest.mark.parametrize(
    "detection",
    [{"interrupt_response": False}, {"uninterruptible_turns": ["greeting"]}],
)
def test_a_protected_reply_is_not_interrupted(detection: dict[str, Any]) -> None:
    pair = speaking(input={"turn_detection": detection})

    assert not pair.session.is_interruptible
    assert pair.feed(SpeechStarted(), TurnCommitted("Stop!")) == []


def test_a_failure_of_the_llm_is_reported_and_the_reply_is_done() -> None:
    pair = Pair()
    pair.say("Hello?")

    actions = pair.feed(ReplyFailed(pair.reply_id, "llm_provider_error", "no", True))

    assert kinds(actions) == [ReplyError, ReplyDone]
    assert sent(actions)[0].retryable


def test_create_waits_for_the_reply_that_is_spoken_but_replaces_a_greeting() -> None:
    greeted = speaking()
    actions = greeted.receive(ReplyCreate("Say bye."))
    assert kinds(actions)[-2:] == [ReplyStarted, StartReply]
    assert actions[-1] == StartReply(greeted.reply_id, None, "Say bye.", unasked=True)

    answering = Pair()
    answering.say("Hello?")
    assert answering.receive(ReplyCreate("Say bye.")) == []
    assert kinds(answering.feed(ReplyFinished(answering.reply_id)))[-1] is StartReply


def test_cancel_interrupts_the_reply_it_names_and_no_other() -> None:
    pair = speaking()

    assert pair.receive(ReplyCancel("resp_other")) == []
    assert sent(pair.receive(ReplyCancel(pair.reply_id)))[-1].status == "interrupted"


# ---------------------------------------------------------------------------- calls


def test_a_call_sits_between_started_and_done_and_its_result_starts_a_reply() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    assert kinds(pair.feed(ReplyFinished(pair.reply_id))) == [ReplyDone]

    actions = pair.receive(ToolResult(call_id, "1"))

    assert kinds(actions) == [AppendHistory, ReplyStarted, StartReply]
    last = actions[-1]
    assert isinstance(last, StartReply) and last.after_tools


def test_a_result_before_done_is_kept_until_the_reply_is_over() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    first, second = pair.call(), pair.call()

    assert kinds(pair.receive(ToolResult(first, "1"))) == [AppendHistory]
    assert kinds(pair.receive(ToolResult(second, "2"))) == [AppendHistory]
    actions = pair.feed(ReplyFinished(pair.reply_id))
    assert kinds(actions) == [ReplyDone, ReplyStarted, StartReply]


def test_the_reply_waits_for_the_last_result_of_its_calls() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    first, second = pair.call(), pair.call()
    pair.feed(ReplyFinished(pair.reply_id))

    assert kinds(pair.receive(ToolResult(second, "2"))) == [AppendHistory]
    assert StartReply in kinds(pair.receive(ToolResult(first, "1")))


def test_a_result_while_the_caller_speaks_is_answered_with_the_turn() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    pair.feed(ReplyFinished(pair.reply_id), SpeechStarted())

    assert kinds(pair.receive(ToolResult(call_id, "1"))) == [AppendHistory]
    started = [
        a for a in pair.feed(TurnCommitted("Well?")) if isinstance(a, StartReply)
    ]
    assert len(started) == 1
    assert StartReply not in kinds(pair.feed(ReplyFinished(pair.reply_id)))


def test_calls_of_an_interrupted_reply_are_forgotten_and_late_results_ignored() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()

    assert pair.feed(SpeechStarted())[-1] == RemoveFromHistory(call_id)
    assert pair.receive(ToolResult(call_id, "1")) == []


def test_results_of_unknown_calls_are_refused_and_doubles_ignored() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    pair.receive(ToolResult(call_id, "1"))

    assert pair.receive(ToolResult(call_id, "1")) == []
    actions = pair.receive(ToolResult("call_x", "1"))
    error = error_of(actions)
    assert error == ("invalid_value", "Unknown call_id 'call_x'", "call_id")
    [sent] = [each.message for each in actions if isinstance(each, Send)]
    assert isinstance(sent, SessionError)
    assert sent.session_id == pair.session.session_id


def test_a_call_that_is_never_answered_times_out_as_an_error() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    pair.call()
    pair.feed(ReplyFinished(pair.reply_id))
    assert pair.session.deadline == pair.now + 5

    pair.now += 5
    actions = pair.feed(Tick())

    assert kinds(actions) == [AppendHistory, ReplyStarted, StartReply]
    [remembered] = [each for each in actions if isinstance(each, AppendHistory)]
    assert isinstance(remembered.message, ToolResult) and remembered.message.is_error


# ---------------------------------------------------------------------------- rest


def test_conversation_messages_are_added_without_a_reply() -> None:
    message = ConversationMessage("user", "My name is Kim.")

    assert Pair().receive(message) == [AppendHistory(message)]
    error = error_of(Pair().receive(ConversationMessage("agent", "Hi")))
    assert error[:2] == (
        "invalid_format",
        "Invalid message format for type 'conversation.message'",
    )


@pytest.mark.parametrize(
    ("error", "code", "text"),
    [
        (RemoteProtocolError("Invalid JSON format."), "invalid_format", None),
        (
            RemoteProtocolError("Unknown message type: x", message_type="x"),
            "invalid_format",
            None,
        ),
        (
            RemoteProtocolError(
                "Invalid audio data", code="invalid_audio", message_type="input.audio"
            ),
            "invalid_audio",
            None,
        ),
        (
            RemoteProtocolError(
                "tool.result: 'result' is missing", message_type="tool.result"
            ),
            "invalid_format",
            "Invalid message format for type 'tool.result'",
        ),
    ],
)
def test_what_cannot_be_read_is_answered_with_the_text_of_the_service(
    error: RemoteProtocolError, code: str, text: str | None
) -> None:
    pair = Pair()

    assert error_of(pair.feed(Malformed(error)))[:2] == (code, text or error.message)
    assert pair.session.phase is Phase.LIVE


def test_a_failing_part_is_an_internal_error_that_the_session_survives() -> None:
    pair = Pair()

    assert error_of(pair.feed(Failed("no ears")))[:2] == ("internal_error", "no ears")
    assert pair.session.phase is Phase.LIVE


def test_session_end_stops_the_reply_sends_the_duration_and_closes() -> None:
    pair = speaking()
    pair.now += 35.28

    actions = pair.receive(SessionEnd())

    assert kinds(actions)[0] is StopReply
    assert sent(actions)[-1] == SessionEnded(35.28, None, timestamp=1e9 + pair.now)
    assert actions[-1] == Close(1000)
    assert pair.session.deadline is None
    assert pair.feed(SpeechStarted(), Tick()) == []


def test_a_shutdown_ends_the_sessions_normally() -> None:
    assert kinds(Pair().feed(ShutDown())) == [SessionEnded, Close]


def test_an_expired_session_is_reported_and_ended() -> None:
    pair = Pair()
    assert pair.session.deadline == pair.now + LIFETIME_SECONDS
    pair.now += LIFETIME_SECONDS

    actions = pair.feed(Tick())

    assert kinds(actions) == [SessionError, SessionEnded, Close]
    assert error_of(actions)[0] == "session_expired"


# -------------------------------------------------------------------------- resume


def test_a_dropped_session_says_nothing_and_keeps_what_was_heard() -> None:
    pair = speaking()

    actions = pair.feed(Disconnected())

    assert kinds(actions) == [StopReply, AppendHistory]
    assert pair.session.phase is Phase.DROPPED
    assert pair.session.deadline == pair.now + GRACE_SECONDS


def test_a_resumed_session_has_its_id_and_a_new_token_and_does_not_greet() -> None:
    pair = speaking()
    before = pair.session.resume_token
    pair.feed(Disconnected())

    actions = pair.feed(Resumed())

    assert kinds(actions) == [SessionReady]
    [ready] = sent(actions)
    assert ready.session_id == "sess_1"
    assert ready.resume_token == pair.session.resume_token != before


def test_a_resumed_client_answers_the_calls_that_were_open() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    pair.feed(ReplyFinished(pair.reply_id), Disconnected(), Resumed())

    assert StartReply in kinds(pair.receive(ToolResult(call_id, "1")))


def test_a_reply_that_was_lost_before_it_was_heard_is_made_again() -> None:
    pair = Pair()
    pair.say("Hello?")
    pair.feed(Disconnected())

    assert kinds(pair.feed(Resumed())) == [SessionReady, ReplyStarted, StartReply]


def test_a_written_reply_that_was_read_before_a_drop_is_not_made_again() -> None:
    pair = Pair(output={"type": "text"})
    pair.say("Hello.")
    pair.feed(ClauseStarted(pair.reply_id, "Good morning.", 0))
    pair.feed(Disconnected())

    assert kinds(pair.feed(Resumed())) == [SessionReady]


def test_a_call_of_a_reply_that_a_drop_has_cut_is_requested_again() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    pair.feed(Disconnected())

    again = pair.feed(Resumed())
    assert kinds(again) == [SessionReady, ToolCall]
    assert call_id in repr(again[-1])
    assert StartReply in kinds(pair.receive(ToolResult(call_id, "1")))


def test_a_call_does_not_time_out_while_the_connection_is_down_or_just_up_again() -> (
    None
):
    pair = Pair(tools=[TOOL])
    pair.say("Look!")
    call_id = pair.call()
    pair.feed(ReplyFinished(pair.reply_id), Disconnected())
    assert pair.session.deadline == pair.now + GRACE_SECONDS
    pair.now += 20
    assert pair.feed(Tick()) == []
    pair.feed(Resumed())
    assert pair.session.deadline == pair.now + ANSWER_SECONDS
    pair.now += 5
    assert pair.feed(Tick()) == []

    assert StartReply in kinds(pair.receive(ToolResult(call_id, "1")))


def test_a_greeting_that_a_drop_has_cut_is_not_said_again() -> None:
    pair = Pair(greeting="Hello world.")
    pair.feed(Disconnected())

    assert kinds(pair.feed(Resumed())) == [SessionReady]


def test_a_session_that_is_not_resumed_is_closed_without_a_message() -> None:
    pair = Pair()
    pair.feed(Disconnected())
    pair.now += GRACE_SECONDS

    assert pair.feed(Tick()) == [Close(1008)]


# --------------------------------------------------- what each phase leaves alone


def test_only_an_update_opens_a_session() -> None:
    pair = Pair(ready=False)

    assert pair.feed(Resumed(), SpeechStarted(), Tick()) == []
    assert pair.session.phase is Phase.OPENING


def test_a_connection_that_goes_before_the_session_began_ends_it() -> None:
    pair = Pair(ready=False)

    assert pair.feed(Disconnected()) == [Close(1000)]


def test_an_end_before_the_beginning_is_answered_as_any_other() -> None:
    pair = Pair(ready=False)

    actions = pair.receive(SessionEnd())

    assert kinds(actions) == [SessionEnded, Close]
    assert actions[-1] == Close(1000)


@pytest.mark.parametrize(
    "message", [SessionUpdate({}), ReplyCreate(), SessionEnd(), InputAudio(b"\0\0")]
)
def test_what_a_lost_connection_still_delivers_is_ignored(message: Any) -> None:
    pair = Pair()
    pair.feed(Disconnected())

    assert pair.receive(message) == []
    assert pair.session.phase is Phase.DROPPED


def test_a_resumed_session_lives_as_long_as_any_other() -> None:
    pair = Pair()
    began = pair.now
    pair.feed(Disconnected())
    pair.now += GRACE_SECONDS - 1
    pair.feed(Resumed())

    assert pair.session.deadline == began + LIFETIME_SECONDS


def test_a_burst_before_the_drop_is_not_held_against_the_new_connection() -> None:
    pair = Pair()
    pair.receive(InputAudio(bytes(480_000)))
    assert kinds(pair.receive(InputAudio(bytes(48_000)))) == [SessionError]
    pair.feed(Disconnected(), Resumed())

    assert kinds(pair.receive(InputAudio(bytes(48_000)))) == [FeedAudio]


def test_a_live_session_cannot_be_resumed_from_within() -> None:
    pair = Pair()

    [error] = sent(pair.receive(SessionResume("sess_1")))

    assert (error.code, error.message) == (
        "invalid_format",
        "Invalid message format for type 'session.resume'",
    )


@pytest.mark.parametrize("role", ["user", "system"])
def test_the_client_adds_messages_of_user_and_system(role: str) -> None:
    message = ConversationMessage(role, "x")

    assert Pair().receive(message) == [AppendHistory(message)]


def test_the_client_cannot_add_messages_of_the_agent() -> None:
    assert kinds(Pair().receive(ConversationMessage("assistant", "x"))) == [
        SessionError
    ]


def test_empty_audio_is_not_fed_to_stt() -> None:
    assert Pair().receive(InputAudio(b"")) == []


# -------------------------------------------------------------- a reply, in detail


def test_a_reply_that_is_requested_follows_one_that_was_cancelled() -> None:
    pair = Pair()
    pair.say("Hello.")
    pair.receive(ReplyCreate())

    actions = pair.receive(ReplyCancel(pair.reply_id))

    assert kinds(actions)[-2:] == [ReplyStarted, StartReply]


def test_a_protected_greeting_protects_no_other_reply() -> None:
    detection = {"uninterruptible_turns": ["greeting"]}
    pair = Pair(greeting="Hello.", input={"turn_detection": detection})
    assert pair.feed(SpeechStarted()) == []
    pair.feed(ReplyFinished(pair.reply_id))
    pair.say("Hello.")

    assert StopReply(pair.reply_id) in pair.feed(SpeechStarted())


def test_a_reply_that_was_not_heard_is_not_in_the_history() -> None:
    pair = Pair()
    pair.say("Hello.")
    pair.feed(ClauseStarted(pair.reply_id, "Good morning.", 1_000))

    assert AppendHistory not in kinds(pair.feed(SpeechStarted()))


def test_identifiers_say_what_they_are_of() -> None:
    pair = Pair(tools=[TOOL])
    pair.say("Hello.")
    call_id = pair.call()
    pair.feed(SpeechStarted(), PartialTranscript("He"))
    pair.feed(Disconnected(), Resumed())

    messages = sent(pair.actions)
    readies = [m for m in messages if isinstance(m, SessionReady)]
    [started] = [m for m in messages if isinstance(m, ReplyStarted)]
    [words] = [m for m in messages if isinstance(m, TranscriptUserDelta)]
    assert call_id.startswith("call_")
    assert started.reply_id.startswith("resp_")
    assert started.item_id.startswith("msg_")
    assert words.item_id.startswith("msg_")
    assert [ready.resume_token.partition("_")[0] for ready in readies] == ["resume"] * 2
    assert readies[0].session_id == readies[1].session_id
    assert readies[0].session_id.startswith("sess_")
