"""The pending reply."""

from __future__ import annotations

from runner.protocol.client.actions import Notify, Send
from runner.protocol.client.config import Timeouts
from runner.protocol.client.timers import Timers
from runner.protocol.client.turn_taking import FLOOR_SECONDS, PendingReply
from runner.protocol.messages import ReplyCreate

PATIENCE = Timeouts(reply=30.0)


def test_a_reply_that_may_come_is_awaited_for_a_while_and_not_requested() -> None:
    timers = Timers()
    pending_reply = PendingReply(timers, PATIENCE)
    pending_reply.expect(1.0)

    assert timers.next == 1.0 + FLOOR_SECONDS
    assert pending_reply.expire(11.0) is None
    assert pending_reply.give_up() == []
    assert not pending_reply.is_open


def test_a_pending_reply_is_requested_once_and_then_reported() -> None:
    timers = Timers()
    pending_reply = PendingReply(timers, PATIENCE)
    pending_reply.expect(1.0, owed=True)

    assert timers.next == 31.0
    assert pending_reply.expire(31.0) == [
        Notify("no answer came: asking once more"),
        Send(ReplyCreate()),
    ]
    assert pending_reply.is_open
    assert pending_reply.expire(61.0) is None
    assert pending_reply.give_up() == [Notify("the agent does not answer")]
    assert timers.next is None


def test_once_something_was_heard_it_may_be_requested_again() -> None:
    pending_reply = PendingReply(Timers(), PATIENCE)
    pending_reply.expect(0.0, owed=True)
    pending_reply.expire(30.0)
    pending_reply.close()
    pending_reply.reset_retry()
    pending_reply.expect(40.0, owed=True)

    assert pending_reply.expire(70.0) is not None
