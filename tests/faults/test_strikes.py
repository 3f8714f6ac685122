"""What happens to a line, and what the operator is told of it."""

from __future__ import annotations

from random import Random

import pytest

from runner.faults.fault import Fault
from runner.faults.grammar import parse_fault
from runner.faults.kinds import KINDS
from runner.faults.occasions import Occasions
from runner.faults.passage import Armed, Struck
from runner.faults.steps import Abort, Close, Deliver
from runner.faults.strikes import steps_of, told


def struck(fault: Fault) -> Struck:
    lots = Random(0)
    return Struck(Armed(fault, Occasions(fault.trigger, lots), lots), 7, "{}")


@pytest.mark.parametrize(
    ("spec", "kinds", "did"),
    [
        ("drop at=1s", [Abort], "dropped the line"),
        ("drop at=1s how=reset", [Abort], "reset the line"),
        ("close code=1001 at=1s", [Close], "closed the line with 1001"),
        ("error code=x at=1s", [Deliver], "sent session.error x"),
        ("error code=x at=1s close=1008", [Deliver, Close], "sent session.error x"),
        ("garbage at=1s", [Deliver], "sent garbage"),
        ("flood at=1s count=2", [Deliver, Deliver], "sent 2 messages at once"),
    ],
)
def test_a_strike_is_steps_on_its_line_and_a_sentence(
    spec: str, kinds: list[type], did: str
) -> None:
    fault = parse_fault(spec)
    steps = list(steps_of(struck(fault), 7, 0.0))

    assert [type(step) for step in steps] == kinds
    assert told(fault.effect) == did


def test_there_is_no_fault_without_a_sentence() -> None:
    striking = {"drop", "close", "half-open", "error", "garbage", "flood"}
    for name in striking:
        assert told(parse_fault(KINDS[name].example).effect)
