"""Words of the caller that go in as text."""

from __future__ import annotations

from runner.protocol.client.actions import Send
from runner.protocol.client.config import Timeouts
from runner.protocol.client.conversation import MOST_LINES, TextInputQueue
from runner.protocol.client.timers import Timers
from runner.protocol.client.turn_taking import PendingReply
from runner.protocol.messages import ConversationMessage, ReplyCreate


def words() -> tuple[TextInputQueue, PendingReply]:
    expectation = PendingReply(Timers(), Timeouts())
    return TextInputQueue(expectation), expectation


def test_a_line_asks_for_a_reply_which_is_then_owed() -> None:
    typed, expectation = words()

    assert typed.say("Hi.", 1.0) == [
        Send(ConversationMessage("user", "Hi.")),
        Send(ReplyCreate()),
    ]
    assert expectation.is_owed


def test_what_was_sent_is_doubtful_only_if_the_line_drops_before_a_reply() -> None:
    typed, _ = words()
    typed.lose()
    assert not typed.is_doubtful

    typed.say("Hi.", 1.0)
    typed.hear()
    typed.lose()
    assert not typed.is_doubtful

    typed.say("Ho.", 2.0)
    typed.lose()
    assert typed.is_doubtful
    assert typed.repeat(5.0)[0] == Send(ConversationMessage("user", "Ho."))
    assert not typed.is_doubtful


def test_lines_that_are_held_are_taken_once_and_are_bounded() -> None:
    typed, _ = words()
    for number in range(2 * MOST_LINES):
        typed.hold(str(number))

    assert typed.is_waiting
    assert typed.take_held() == [str(n) for n in range(MOST_LINES, 2 * MOST_LINES)]
    assert typed.take_held() == []
