"""The order in which things arrive."""

from __future__ import annotations

from runner.faults.lane import Lane


def test_parcels_arrive_in_order_and_not_before_earlier_ones() -> None:
    lane: Lane[str] = Lane()
    lane.put(["a"], 5.0)
    lane.put(["b", "c"], 2.0)

    assert lane.place(3.0) == lane.due == 5.0
    assert lane.arrive(4.9) == []
    assert lane.arrive(5.0) == ["a", "b", "c"]
    assert lane.due is None


def test_a_late_parcel_holds_nobody_up() -> None:
    lane: Lane[str] = Lane()
    lane.put_late(["a"], 5.0)
    lane.put(["b"], 1.0)

    assert lane.arrive(1.0) == ["b"]
    assert lane.arrive(5.0) == ["a"]


def test_a_held_parcel_follows_the_next_one() -> None:
    lane: Lane[str] = Lane()
    lane.hold(["a"], 9.0)
    assert lane.due == 9.0
    lane.put(["b"], 1.0)

    assert lane.arrive(1.0) == ["b", "a"]
    assert lane.due is None


def test_a_held_parcel_waits_no_longer_than_it_may() -> None:
    lane: Lane[str] = Lane()
    lane.hold(["a"], 9.0)

    assert lane.arrive(8.9) == []
    assert lane.arrive(9.0) == ["a"]


def test_everything_can_be_taken_at_once_in_its_order() -> None:
    lane: Lane[str] = Lane()
    lane.hold(["c"], 9.0)
    lane.put_late(["b"], 5.0)
    lane.put_late(["a"], 4.0)

    assert lane.flush() == ["a", "b", "c"]
