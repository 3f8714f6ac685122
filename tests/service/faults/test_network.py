"""Triggers, message queues and faults of the whole network."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from runner.service.faults.model import Direction, Trigger
from runner.service.faults.network import MessageQueue, Network, TriggerState
from runner.service.faults.parser import parse_fault

DOWN, UP = Direction.DOWN, Direction.UP


def trigger_of(**fields: Any) -> TriggerState:
    return TriggerState(Trigger(**fields), Random(0))


@pytest.mark.parametrize(
    ("fields", "matching"),
    [
        ({"nth": 3}, [3]),
        ({"times": None}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2, "times": 2}, [2, 3]),
        ({"nth": 2, "every": 3, "times": None}, [2, 5]),
        ({"every": 2, "times": 2}, [1, 3]),
    ],
)
def test_messages_match_by_number(
    fields: dict[str, object], matching: list[int]
) -> None:
    trigger = trigger_of(on="tool.call", **fields)

    assert [n for n in range(1, 7) if trigger.matches(DOWN, "tool.call")] == matching


def test_other_types_and_directions_do_not_count() -> None:
    trigger = trigger_of(on="*", nth=2, directions=(DOWN,))

    assert not trigger.matches(Direction.UP, "tool.result")
    assert not trigger.matches(DOWN, "tool.call")
    assert trigger.matches(DOWN, "reply.done")
    assert not trigger_of(on="tool.call").matches(DOWN, "reply.done")
    assert not trigger_of(at=1.0).matches(DOWN, "reply.done")


def test_the_chance_is_the_frequency() -> None:
    trigger = trigger_of(on="*", chance=0.25, times=None)

    assert 200 < sum(trigger.matches(DOWN, "x") for _ in range(1000)) < 300


def test_a_time_fires_once_or_repeatedly() -> None:
    once = trigger_of(at=2.0)
    assert once.due == 2.0
    assert once.fire()
    assert once.due is None

    again = trigger_of(at=2.0, every=3.0, times=2)
    assert again.fire()
    assert again.due == 5.0
    assert again.fire()
    assert again.due is None


def test_past_times_are_skipped_except_for_the_last() -> None:
    trigger = trigger_of(at=2.0, every=3.0, times=None)

    trigger.skip(1.0)
    assert trigger.due == 2.0
    trigger.skip(12.0)
    assert trigger.due == 11.0
    trigger.skip(14.0)
    assert trigger.due == 14.0


def test_groups_arrive_in_order_and_not_before_earlier_ones() -> None:
    queue: MessageQueue[str] = MessageQueue()
    queue.put(["a"], 5.0)
    queue.put(["b", "c"], 2.0)

    assert queue.earliest(3.0) == queue.due == 5.0
    assert queue.arrive(4.9) == []
    assert queue.arrive(5.0) == ["a", "b", "c"]
    assert queue.due is None


def test_a_late_group_delays_no_other_group() -> None:
    queue: MessageQueue[str] = MessageQueue()
    queue.put_late(["a"], 5.0)
    queue.put(["b"], 1.0)

    assert queue.arrive(1.0) == ["b"]
    assert queue.arrive(5.0) == ["a"]


def test_a_held_group_follows_the_next_one() -> None:
    queue: MessageQueue[str] = MessageQueue()
    queue.hold(["a"], 9.0)
    assert queue.due == 9.0
    queue.put(["b"], 1.0)

    assert queue.arrive(1.0) == ["b", "a"]
    assert queue.due is None


def test_a_held_group_arrives_at_its_time_limit() -> None:
    queue: MessageQueue[str] = MessageQueue()
    queue.hold(["a"], 9.0)

    assert queue.arrive(8.9) == []
    assert queue.arrive(9.0) == ["a"]


def test_flush_returns_all_items_in_order() -> None:
    queue: MessageQueue[str] = MessageQueue()
    queue.hold(["c"], 9.0)
    queue.put_late(["b"], 5.0)
    queue.put_late(["a"], 4.0)

    assert queue.flush() == ["a", "b", "c"]


def begin(network: Network, spec: str) -> None:
    network.begin(parse_fault(spec), 10.0, Random(0))


def test_delays_add_up_and_end() -> None:
    network = Network()
    begin(network, "slow by=1s for=5s")
    begin(network, "slow by=2s direction=up")

    assert network.arrival(DOWN, 12.0) == 13.0
    assert network.arrival(UP, 12.0) == 15.0
    assert network.arrival(DOWN, 15.0) == 15.0
    assert network.arrival(UP, 15.0) == 17.0


def test_jitter_is_within_its_bounds() -> None:
    network = Network()
    begin(network, "slow by=1s jitter=500ms")
    arrivals = [network.arrival(DOWN, 10.0) for _ in range(200)]

    assert 11.0 <= min(arrivals) < 11.1
    assert 11.4 < max(arrivals) <= 11.5


def test_a_burst_collects_messages_until_the_end_of_its_period() -> None:
    network = Network()
    begin(network, "burst period=2s")
    begin(network, "slow by=1s")

    assert [network.arrival(DOWN, now) for now in (10.0, 11.0, 11.1)] == [12, 12, 14]
