"""The table of phases as a whole."""

from __future__ import annotations

from runner.protocol.client.state import TRANSITIONS, Phase, Trigger


def reachable_from(start: Phase) -> set[Phase]:
    found, open_ends = {start}, [start]
    while open_ends:
        phase = open_ends.pop()
        for (before, _), after in TRANSITIONS.items():
            if before is phase and after not in found:
                found.add(after)
                open_ends.append(after)
    return found


def test_every_phase_can_be_reached() -> None:
    assert reachable_from(Phase.CONNECTING) == set(Phase)


def test_every_phase_can_come_to_the_end() -> None:
    assert all(Phase.CLOSED in reachable_from(phase) for phase in Phase)


def test_nothing_leaves_the_end() -> None:
    assert reachable_from(Phase.CLOSED) == {Phase.CLOSED}


def test_the_user_can_hang_up_in_every_phase_except_the_last() -> None:
    for phase in set(Phase) - {Phase.ENDING, Phase.CLOSED}:
        assert (phase, Trigger.HANG_UP) in TRANSITIONS, phase


def test_every_phase_that_waits_for_the_service_has_a_time_out() -> None:
    for phase in (
        Phase.CONNECTING,
        Phase.CONFIGURING,
        Phase.RESUMING,
        Phase.DRAINING,
        Phase.ENDING,
    ):
        assert (phase, Trigger.TIMED_OUT) in TRANSITIONS, phase


def test_every_trigger_is_used() -> None:
    assert {trigger for _, trigger in TRANSITIONS} == set(Trigger)
