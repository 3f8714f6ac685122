"""Triggers at work."""

from __future__ import annotations

from random import Random

import pytest

from runner.faults.fault import Direction, Trigger
from runner.faults.occasions import Occasions

DOWN = Direction.DOWN


def at_work(**fields: object) -> Occasions:
    return Occasions(Trigger(**fields), Random(0))  # type: ignore[arg-type]  # one helper for all fields


@pytest.mark.parametrize(
    ("fields", "met"),
    [
        ({"nth": 3}, [3]),
        ({"times": None}, [1, 2, 3, 4, 5, 6]),
        ({"nth": 2, "times": 2}, [2, 3]),
        ({"nth": 2, "every": 3, "times": None}, [2, 5]),
        ({"every": 2, "times": 2}, [1, 3]),
    ],
)
def test_messages_are_met_by_number(fields: dict[str, object], met: list[int]) -> None:
    occasions = at_work(on="tool.call", **fields)

    assert [n for n in range(1, 7) if occasions.meets(DOWN, "tool.call")] == met


def test_other_types_and_directions_do_not_count() -> None:
    occasions = at_work(on="*", nth=2, directions=(DOWN,))

    assert not occasions.meets(Direction.UP, "tool.result")
    assert not occasions.meets(DOWN, "tool.call")
    assert occasions.meets(DOWN, "reply.done")
    assert not at_work(on="tool.call").meets(DOWN, "reply.done")
    assert not at_work(at=1.0).meets(DOWN, "reply.done")


def test_a_chance_is_about_as_often_as_it_says() -> None:
    occasions = at_work(on="*", chance=0.25, times=None)

    assert 200 < sum(occasions.meets(DOWN, "x") for _ in range(1000)) < 300


def test_a_time_comes_once_or_again() -> None:
    once = at_work(at=2.0)
    assert once.due == 2.0
    assert once.strike()
    assert once.due is None

    again = at_work(at=2.0, every=3.0, times=2)
    assert again.strike()
    assert again.due == 5.0
    assert again.strike()
    assert again.due is None


def test_what_nobody_saw_is_skipped_but_for_the_last() -> None:
    occasions = at_work(at=2.0, every=3.0, times=None)

    occasions.skip(1.0)
    assert occasions.due == 2.0
    occasions.skip(12.0)
    assert occasions.due == 11.0
    occasions.skip(14.0)
    assert occasions.due == 14.0
