"""Specs and help: what a person writes, and what they are told when it is wrong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.errors import UsageError
from runner.faults.fault import (
    BOTH,
    Direction,
    Drop,
    Duplicate,
    Error,
    Fault,
    Flood,
    Garbage,
    HalfOpen,
    Late,
    Outage,
    Refuse,
    Reorder,
    Slow,
    Trigger,
)
from runner.faults.grammar import parse_fault
from runner.faults.kinds import KINDS

UP, DOWN = (Direction.UP,), (Direction.DOWN,)
PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "inject-faults.md"


def test_every_fault_of_the_documentation_parses() -> None:
    section = PAGE.read_text("utf-8")
    specs = re.findall(r'--fault "([^"]+)"', section)
    specs += [each.partition("#")[0] for each in re.findall(r"^- (.+)$", section, re.M)]

    assert len(specs) >= 6
    for spec in specs:
        parse_fault(spec)


@pytest.mark.parametrize(
    ("spec", "trigger", "effect"),
    [
        ("drop at=5s", Trigger(at=5.0), Drop()),
        ("drop at=5s how=reset", Trigger(at=5.0), Drop(resets=True)),
        (
            "drop on=reply.audio:10",
            Trigger(None, "reply.audio", 10, directions=DOWN),
            Drop(),
        ),
        (
            "drop at=1s every=10s times=3",
            Trigger(at=1.0, every=10.0, times=3),
            Drop(),
        ),
        (
            "drop on=tool.call every=2",
            Trigger(None, "tool.call", every=2, times=None, directions=DOWN),
            Drop(),
        ),
        ("outage at=4s for=3s", Trigger(at=4.0), Outage(3.0)),
        ("refuse status=502", Trigger(at=0.0), Refuse(502, None, 1)),
        ("refuse status=502 for=2s", Trigger(at=0.0), Refuse(502, 2.0, None)),
        (
            "refuse status=503 on=tool.call times=2",
            Trigger(None, "tool.call", directions=DOWN),
            Refuse(503, None, 2),
        ),
        ("half-open at=4s", Trigger(at=4.0), HalfOpen(60.0)),
        (
            "slow by=200ms direction=up",
            Trigger(at=0.0),
            Slow(pytest.approx(0.2), 0.0, UP, None),  # type: ignore[arg-type]  # approx stands for a float
        ),
        (
            "late on=reply.done by=1s",
            Trigger(None, "reply.done", directions=DOWN),
            Late(1.0),
        ),
        (
            "duplicate on=tool.result by=1s",
            Trigger(None, "tool.result", directions=UP),
            Duplicate(1.0),
        ),
        (
            "reorder on=* chance=0.1",
            Trigger(None, "*", times=None, chance=0.1, directions=BOTH),
            Reorder(1.0),
        ),
        (
            "error code=internal_error phase=resume",
            Trigger(None, "session.resume", directions=UP),
            Error("internal_error", "internal_error (on purpose)", 1011),
        ),
        (
            "error code=invalid_value message='no good' at=1s",
            Trigger(at=1.0),
            Error("invalid_value", "no good", None),
        ),
        (
            "error code=session_expired at=1s close=none",
            Trigger(at=1.0),
            Error("session_expired", "session_expired (on purpose)", None),
        ),
        (
            "error code=x phase=live close=1011",
            Trigger(None, "session.ready", directions=DOWN),
            Error("x", "x (on purpose)", 1011),
        ),
        ("garbage at=1s", Trigger(at=1.0), Garbage(None)),
        (
            "flood at=1s size=4096",
            Trigger(at=1.0),
            Flood(1000, 4096, False),
        ),
    ],
)
def test_a_spec_becomes_a_trigger_and_an_effect(
    spec: str, trigger: Trigger, effect: object
) -> None:
    fault = parse_fault(spec)

    assert fault == Fault(spec, trigger, fault.effect)
    assert fault.effect == effect


@pytest.mark.parametrize(
    ("spec", "message", "hint"),
    [
        ("", "is empty", "--fault help"),
        ("dorp at=5s", "there is no 'dorp'", "did you mean 'drop'?"),
        ("drop", "drop needs at= or on=", "for example: drop on=reply.audio:10"),
        ("drop at", "'at' is not key=value", "did you mean 'at'?"),
        ("drop at=soon", "at='soon' is not a duration", "--fault help"),
        ("drop on=tool.cal", "on='tool.cal' is not a type", "'tool.call'"),
        ("drop on=tool.call:0", "is not a number from 1", "--fault help"),
        ("drop on=tool.call:²", "is not a number from 1", "--fault help"),
        ("drop at=1s at=2s", "'at' is given twice", "--fault help"),
        ("drop at=1s on=tool.call", "exclude each other", "--fault help"),
        ("drop at=1s form=text", "drop takes no 'form'", "it takes how, at, on"),
        ("drop at=1s evry=2s", "drop takes no 'evry'", "did you mean 'every'?"),
        ("drop at=1s every=2", "every= is a duration with at=", "--fault help"),
        ("drop at=1s every=1ms", "at least 100ms", "--fault help"),
        ("drop on=tool.call every=2s", "every= is a number with on=", "--fault"),
        ("drop at=1s times=2", "times= needs every=", "--fault help"),
        ("drop at=1s chance=0", "is not a probability", "--fault help"),
        ("drop at=1s chance=1.1", "is not a probability", "--fault help"),
        ("close at=1s", "close needs code=", "for example: close code=1011"),
        ("close at=1s code=1006", "1006 is what a drop looks like", "--fault"),
        ("outage at=1s for=0s", "is not longer than 0s", "--fault help"),
        ("refuse status=200", "is not a number from 300 to 599", "--fault help"),
        ("slow by=1s direction=sideways", "is not one of up, down", "--fault"),
        ("lose", "lose needs on=", "for example: lose on=tool.result"),
        ("lose at=1s", "lose takes no 'at'", "it takes on"),
        ("lose on=tool.call direction=up", "tool.call only goes down", "--fault"),
        ("error code=x at=1s phase=live", "stands in place of", "--fault help"),
        ("error code=x", "error needs at= or on=", "for example: error"),
        ("error code='no way' at=1s", "is not a code of session.error", "--fault"),
        ("garbage at=1s form=txt", "form='txt' is not one of", "mean 'text'?"),
        ("flood at=1s of=copies", "of=copies needs on=", "--fault help"),
        ("flood on=input.audio of=copies", "of=copies needs on=", "--fault help"),
        ("flood at=1s count=99999999", "is not a number", "--fault help"),
        ("error code=x at=1s message='a", "is not closed", "--fault help"),
    ],
)
def test_a_wrong_spec_is_quoted_and_says_what_was_meant(
    spec: str, message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        parse_fault(spec)

    assert caught.value.message.startswith(f"fault '{spec}': ")
    assert message in caught.value.message
    assert caught.value.hint is not None
    assert hint in caught.value.hint
    assert "--fault help lists them" in caught.value.hint


WORDS = st.sampled_from(
    [
        *KINDS,
        *[f"{name}=" for kind in KINDS.values() for name in kind.keys],
        *[
            "5s",
            "1",
            "0.5",
            "tool.call",
            ":",
            "*",
            "=",
            " ",
            "'",
            "\\",
            "\0",
            "²",
            "−1",
        ],
    ]
)


@given(st.lists(WORDS | st.text(max_size=5), max_size=8).map("".join))
def test_any_text_is_a_fault_or_a_sentence(spec: str) -> None:
    try:
        assert parse_fault(spec).spec == spec
    except UsageError as error:
        assert error.hint
