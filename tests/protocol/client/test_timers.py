"""Named deadlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from runner.protocol.client.timers import CONVERSATIONAL, Timer, Timers

TIMES = st.dictionaries(st.sampled_from(Timer), st.floats(0, 100))


@given(TIMES, st.floats(0, 100))
def test_what_is_due_is_taken_once_and_earliest_first(
    due: dict[Timer, float], now: float
) -> None:
    timers = Timers()
    for timer, at in due.items():
        timers.set(timer, at)

    taken: list[Timer] = []
    while (first := timers.take_due(now)) is not None:
        taken.append(first)

    assert sorted(due[timer] for timer in taken) == [due[timer] for timer in taken]
    assert set(taken) == {timer for timer, at in due.items() if at <= now}
    rest = [at for at in due.values() if at > now]
    assert timers.next == (min(rest) if rest else None)


def test_the_timers_that_outlive_a_connection_are_listed() -> None:
    lasting = {Timer.PHASE, Timer.RETRY, Timer.LAST_MINUTE, Timer.MAX_DURATION}

    assert set(Timer) - set(CONVERSATIONAL) == lasting


def test_setting_a_timer_again_moves_it() -> None:
    timers = Timers()
    timers.set(Timer.PHASE, 5.0)
    timers.set(Timer.PHASE, 9.0)

    assert timers.next == 9.0


def test_clearing_stops_a_timer_and_is_fine_for_one_that_does_not_run() -> None:
    timers = Timers()
    timers.set(Timer.PHASE, 5.0)
    timers.clear(Timer.PHASE, Timer.RETRY)

    assert timers.next is None
