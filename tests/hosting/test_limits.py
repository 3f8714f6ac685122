"""Who may begin a call: at once, per caller, per hour, per day."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.hosting.limits import (
    Admission,
    Limits,
    MessageRate,
    Refusal,
    Seat,
    network_of,
)

DAY = 20_000 * 86_400.0  # the beginning of a day


def seat(admission: Admission, caller: str, now: float = DAY) -> Seat:
    admitted = admission.admit(caller, now)
    assert isinstance(admitted, Seat), admitted
    return admitted


def refused(admission: Admission, caller: str, now: float = DAY) -> Refusal:
    admitted = admission.admit(caller, now)
    assert isinstance(admitted, Refusal)
    return admitted


def test_calls_at_once_are_limited_and_a_seat_is_freed_once() -> None:
    admission = Admission(Limits(calls=2))
    first, _ = seat(admission, "a"), seat(admission, "b")
    busy = refused(admission, "c")
    assert (busy.status, busy.code) == (503, "all_busy")
    assert busy.retry_after
    first.release(DAY)
    first.release(DAY)
    seat(admission, "c")
    assert admission.live == 2


def test_a_caller_has_a_limit_of_its_own() -> None:
    admission = Admission(Limits(per_caller=1))
    held = seat(admission, "a")
    assert refused(admission, "a").status == 429
    seat(admission, "b")
    held.release(DAY)
    seat(admission, "a")


def test_the_calls_of_an_hour_are_counted_and_forgotten() -> None:
    admission = Admission(Limits(per_caller_per_hour=2))
    for second in (0, 10):
        seat(admission, "a", DAY + second).release(DAY + second + 5)
    limited = refused(admission, "a", DAY + 600)
    assert (limited.status, limited.retry_after) == (429, 3_000)
    seat(admission, "a", DAY + 3_600)
    refused(admission, "a", DAY + 3_605)


def test_the_minutes_of_a_day_include_live_calls_and_end_at_midnight() -> None:
    admission = Admission(Limits(minutes_per_day=10))
    seat(admission, "a").release(DAY + 400)
    seat(admission, "b", DAY + 400)
    assert admission.refusal("c", DAY + 599) is None
    used = refused(admission, "c", DAY + 600)
    assert (used.status, used.code) == (503, "daily_limit")
    assert used.retry_after == 86_400 - 600
    # The live call of b goes on: its minutes of the next day count there.
    assert admission.refusal("c", DAY + 86_400 + 1) is None
    assert admission.refusal("c", DAY + 86_400 + 601) is not None


@pytest.mark.parametrize(
    ("address", "other", "is_same"),
    [
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_callers_without_a_token_are_networks(
    address: str, other: str, is_same: bool
) -> None:
    assert (network_of(address) == network_of(other)) == is_same


def test_the_pace_of_messages_is_bounded() -> None:
    rate = MessageRate(0.0)
    assert not any(rate.pause_seconds(number / 100) for number in range(1_000))
    flood = MessageRate(0.0)
    pauses = [flood.pause_seconds(0.0) for _ in range(400)]
    assert not any(pauses[:300])
    assert pauses[-1] == pytest.approx(100 / 150)


@given(
    st.lists(
        st.tuples(st.sampled_from("ab"), st.booleans(), st.floats(0, 5_000)),
        max_size=40,
    )
)
def test_no_order_of_calls_exceeds_a_limit(
    steps: list[tuple[str, bool, float]],
) -> None:
    admission = Admission(Limits(calls=3, per_caller=2, per_caller_per_hour=4))
    held: list[tuple[str, Seat]] = []
    begun: list[tuple[str, float]] = []
    now = DAY
    for caller, is_call, pause in steps:
        now += pause
        if is_call:
            admitted = admission.admit(caller, now)
            if isinstance(admitted, Seat):
                held.append((caller, admitted))
                begun.append((caller, now))
        elif held:
            held.pop(0)[1].release(now)
        assert len(held) == admission.live <= 3
        for name in "ab":
            assert sum(each == name for each, _ in held) <= 2
            hour = [at for each, at in begun if each == name and at > now - 3_600]
            assert len(hour) <= 4
