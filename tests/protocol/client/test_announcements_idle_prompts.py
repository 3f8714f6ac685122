"""Prompts for silent callers and before the limit of a call."""

from __future__ import annotations

from runner.protocol.client.announcements import (
    STILL_THERE,
    IdlePrompter,
    prompt_verbatim,
)
from runner.protocol.client.config import IdlePolicy
from runner.protocol.client.timers import Timer, Timers

IDLE = IdlePolicy(nudge_after=20.0, say="Hello?", end_after=60.0)


def quiet(
    idle: IdlePolicy = IDLE, line: str | None = None
) -> tuple[IdlePrompter, Timers]:
    timers = Timers()
    remarks = IdlePrompter(timers, idle, line)
    assert remarks.update(True, 10.0) is None
    return remarks, timers


def test_silence_is_counted_from_the_last_audio() -> None:
    _, timers = quiet()

    assert timers.next == 30.0
    timers.clear(Timer.NUDGE)
    assert timers.next == 70.0


def test_a_prompt_does_not_end_the_silence() -> None:
    remarks, timers = quiet()
    timers.clear(Timer.NUDGE)

    assert remarks.nudge() == prompt_verbatim("Hello?")
    assert remarks.update(False, 31.0) is None
    assert remarks.update(True, 33.0) is None
    assert timers.next == 70.0, "no second question, and the end where it was"


def test_speech_of_the_caller_ends_the_silence() -> None:
    remarks, timers = quiet()
    remarks.caller_active()

    assert timers.next is None
    remarks.update(True, 40.0)
    assert timers.next == 60.0


def test_a_reply_that_is_not_a_prompt_ends_the_silence() -> None:
    remarks, timers = quiet()
    remarks.update(False, 12.0)

    assert timers.next is None
    remarks.update(True, 15.0)
    assert timers.next == 35.0


def test_an_answer_to_the_prompt_restarts_the_silence() -> None:
    remarks, timers = quiet()
    remarks.nudge()
    remarks.update(False, 31.0)
    remarks.caller_active()
    remarks.update(True, 50.0)

    assert timers.next == 70.0
    assert timers.is_set(Timer.NUDGE)


def test_without_a_configured_prompt_the_agent_chooses_the_question() -> None:
    remarks, _ = quiet(IdlePolicy(nudge_after=5.0))

    assert remarks.nudge() == STILL_THERE


def test_a_prompt_waits_until_the_session_is_settled() -> None:
    remarks, _ = quiet(IdlePolicy(), "Soon.")
    remarks.update(False, 12.0)

    assert remarks.last_minute() is None
    assert remarks.update(True, 15.0) == prompt_verbatim("Soon.")
    assert remarks.update(True, 16.0) is None


def test_the_last_minute_is_announced_a_minute_before_the_end() -> None:
    timers = Timers()
    IdlePrompter(timers, IdlePolicy(), "Soon.").begin(5.0, 90.0)

    assert timers.next == 35.0


def test_a_call_of_less_than_a_minute_has_no_last_minute() -> None:
    timers = Timers()
    IdlePrompter(timers, IdlePolicy(), "Soon.").begin(5.0, 60.0)

    assert timers.next is None
