"""Typed text of the caller."""

from __future__ import annotations

from runner.protocol.client.actions import Send
from runner.protocol.client.config import Timeouts
from runner.protocol.client.conversation import MAX_QUEUED_TEXTS, TextInputQueue
from runner.protocol.client.timers import Timers
from runner.protocol.client.turn_taking import PendingReply
from runner.protocol.messages import ConversationMessage, ReplyCreate


def words() -> tuple[TextInputQueue, PendingReply]:
    pending_reply = PendingReply(Timers(), Timeouts())
    return TextInputQueue(pending_reply), pending_reply


def test_a_line_asks_for_a_reply_which_is_then_owed() -> None:
    typed, pending_reply = words()

    assert typed.say("Hi.", 1.0) == [
        Send(ConversationMessage("user", "Hi.")),
        Send(ReplyCreate()),
    ]
    assert pending_reply.is_owed


def test_what_was_sent_is_unconfirmed_only_if_the_connection_drops_before_a_reply() -> (
    None
):
    typed, _ = words()
    typed.connection_lost()
    assert not typed.is_unconfirmed

    typed.say("Hi.", 1.0)
    typed.acknowledge()
    typed.connection_lost()
    assert not typed.is_unconfirmed

    typed.say("Ho.", 2.0)
    typed.connection_lost()
    assert typed.is_unconfirmed
    assert typed.repeat(5.0)[0] == Send(ConversationMessage("user", "Ho."))
    assert not typed.is_unconfirmed


def test_lines_that_are_held_are_taken_once_and_are_bounded() -> None:
    typed, _ = words()
    for number in range(2 * MAX_QUEUED_TEXTS):
        typed.hold(str(number))

    assert typed.is_waiting
    assert typed.take_held() == [
        str(n) for n in range(MAX_QUEUED_TEXTS, 2 * MAX_QUEUED_TEXTS)
    ]
    assert typed.take_held() == []
