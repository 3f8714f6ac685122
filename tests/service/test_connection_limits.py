"""Limits of connections and of wrong keys."""

from __future__ import annotations

from runner.service.connection import ConnectionLimit, CpuBudget, WrongKeyDelay


class Fake:
    def __init__(self, *, has_session: bool = False) -> None:
        self.has_session = has_session
        self.is_aborted = False

    def abort(self) -> None:
        self.is_aborted = True


def test_the_oldest_idle_connection_makes_room() -> None:
    limit = ConnectionLimit(3)
    used, idle = Fake(has_session=True), [Fake() for _ in range(4)]
    limit.add(used)
    for each in idle:
        limit.add(each)

    assert not used.is_aborted
    assert [each.is_aborted for each in idle] == [True, True, False, False]


def test_closed_connections_do_not_count() -> None:
    limit = ConnectionLimit(1)
    first, second = Fake(), Fake()
    limit.add(first)
    limit.remove(first)
    limit.remove(first)
    limit.add(second)

    assert not first.is_aborted
    assert not second.is_aborted


def test_wrong_keys_are_answered_one_after_the_other_up_to_a_limit() -> None:
    delay = WrongKeyDelay()

    assert [delay.seconds(10.0) for _ in range(3)] == [0.5, 1.0, 1.5]
    assert max(delay.seconds(10.0) for _ in range(100)) == 5.0
    assert delay.seconds(60.0) == 0.5


def test_a_client_in_real_time_is_never_paused() -> None:
    budget = CpuBudget(0.0)

    assert {budget.pause_seconds(0.001, at * 0.02) for at in range(500)} == {0.0}


def test_a_client_that_costs_more_is_paused_to_its_share() -> None:
    budget, now, spent = CpuBudget(0.0), 0.0, 0.0
    while now < 100:
        spent += 0.5
        now += 0.5 + budget.pause_seconds(0.5, now + 0.5)

    assert spent / now < 0.27
