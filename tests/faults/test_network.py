"""Spells that hold for all lines."""

from __future__ import annotations

from random import Random

from runner.faults.fault import BOTH, Burst, Direction, Fault, Slow, Trigger
from runner.faults.network import Network

DOWN, UP = Direction.DOWN, Direction.UP
LOTS = Random(0)


def fault_of(effect: Slow | Burst) -> Fault:
    return Fault("x", Trigger(at=0.0), effect)


def begin(network: Network, effect: Slow | Burst, now: float = 10.0) -> None:
    network.begin(fault_of(effect), effect, now, LOTS)


def test_slowness_adds_up_and_ends() -> None:
    network = Network()
    begin(network, Slow(1.0, 0.0, BOTH, 5.0))
    begin(network, Slow(2.0, 0.0, (UP,), None))

    assert network.arrival(DOWN, 12.0) == 13.0
    assert network.arrival(UP, 12.0) == 15.0
    assert network.arrival(DOWN, 15.0) == 15.0
    assert network.arrival(UP, 15.0) == 17.0


def test_jitter_stays_within_its_bounds() -> None:
    network = Network()
    begin(network, Slow(1.0, 0.5, BOTH, None))
    drawn = [network.arrival(DOWN, 10.0) for _ in range(200)]

    assert 11.0 <= min(drawn) < 11.1
    assert 11.4 < max(drawn) <= 11.5


def test_a_burst_gathers_until_the_end_of_its_period() -> None:
    network = Network()
    begin(network, Burst(2.0, BOTH, None))
    begin(network, Slow(1.0, 0.0, BOTH, None))

    assert [network.arrival(DOWN, now) for now in (10.0, 11.0, 11.1)] == [12, 12, 14]
