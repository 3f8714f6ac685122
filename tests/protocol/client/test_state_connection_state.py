"""The state of the connection."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.state import (
    BACKOFF_LIMIT_SECONDS,
    BACKOFF_SECONDS,
    FRESH_TRIES,
    OUTAGE_SECONDS,
    RESUME_WINDOW_SECONDS,
    ConnectionState,
)


def standing() -> ConnectionState:
    line = ConnectionState()
    line.note_ready("sess_1", "token_1", 0.0)
    return line


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_pauses_grow_within_their_bounds_whatever_the_jitter(
    jitters: list[float],
) -> None:
    line = ConnectionState()

    pauses = [line.pause(jitter) for jitter in jitters]

    assert all(BACKOFF_SECONDS <= each <= BACKOFF_LIMIT_SECONDS for each in pauses)
    assert all(each == BACKOFF_LIMIT_SECONDS for each in pauses[6:])


def test_the_same_try_is_made_at_different_times_by_different_clients() -> None:
    assert ConnectionState().pause(0.0) < ConnectionState().pause(1.0)


def test_a_session_that_was_never_ready_is_given_up_and_one_that_was_is_not() -> None:
    fresh, known = ConnectionState(), standing()
    for _ in range(FRESH_TRIES - 1):
        assert not fresh.has_no_tries_left
        fresh.pause(0.5)
        known.pause(0.5)

    assert fresh.has_no_tries_left
    assert not known.has_no_tries_left


def test_a_drop_is_counted_once_until_the_session_is_ready_again() -> None:
    line = standing()

    assert line.note_drop("lost", 5.0)
    assert not line.note_drop("refused", 6.0)
    assert line.note_ready("sess_1", "token_2", 7.5) == 2.5
    assert line.note_drop("lost again", 9.0)
    assert (line.drops, line.outage_seconds, line.drop_reason) == (2, 2.5, "lost again")


def test_a_connection_that_was_never_ready_cannot_be_lost() -> None:
    assert not ConnectionState().note_drop("refused", 1.0)


def test_the_window_of_a_resume_counts_from_the_drop() -> None:
    line = standing()
    line.note_drop("lost", 5.0)

    assert line.can_resume(5.0 + RESUME_WINDOW_SECONDS)
    assert not line.can_resume(5.1 + RESUME_WINDOW_SECONDS)
    assert not line.is_outage_too_long(5.0 + OUTAGE_SECONDS)
    assert line.is_outage_too_long(5.1 + OUTAGE_SECONDS)


def test_a_forgotten_session_is_not_resumed() -> None:
    line = standing()
    line.note_drop("lost", 5.0)
    line.forget("session_not_found")

    assert not line.can_resume(5.1)
    assert line.drop_reason == "session_not_found"
