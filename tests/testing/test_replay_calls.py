"""Recordings of all kinds of calls replay as equal."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.protocol.client.events import HangUp, Say
from runner.recording.reader import read_recording
from runner.testing.call import CallUnderTest, ExpectationNotMet
from runner.testing.replay import replay
from runner.testing.replay_result import Difference, find_difference
from tests.testing.recorded_calls import (
    AGENT,
    ANNOUNCED,
    BRAIN,
    CALLS,
    CHAINED,
    KEPT,
    QUIET,
    Made,
    record,
)

WORDS = (
    "Where is my order?",
    "I want to change the day",
    "Please do both of them",
    "Tell me a story",
    "Thanks, goodbye",
    "Stop",
)
FAULTS = (
    "drop on=reply.audio:30",
    "drop on=tool.call",
    "outage at=9s for=4s",
    "duplicate on=tool.call",
    "reorder on=* chance=0.1 direction=down",
    "late on=reply.done by=500ms",
    "lose on=tool.result",
    "silence on=reply.started:2",
    "slow by=200ms jitter=100ms direction=both",
    "burst period=1s direction=down",
    "garbage on=reply.started form=truncated",
    "half-open at=6s for=10s",
)
steps = st.one_of(
    st.tuples(st.sampled_from(("say", "type", "speak")), st.sampled_from(WORDS)),
    st.tuples(st.just("drop"), st.sampled_from((0.5, 5.0, 40.0))),
    st.tuples(st.just("wait"), st.sampled_from((0.3, 2.0, 12.0))),
)


def difference_of(made: Made) -> Difference | None:
    with tempfile.TemporaryDirectory() as place:
        record(Path(place) / "call", made)
        recording = read_recording(Path(place) / "call")
    return find_difference(recording.entries, replay(recording))


@pytest.mark.parametrize("name", sorted(CALLS))
def test_a_call_of_today_is_equal(name: str) -> None:
    assert difference_of(CALLS[name]) is None


@settings(max_examples=40, deadline=None)
@given(
    st.lists(steps, max_size=6),
    st.lists(st.sampled_from(FAULTS), max_size=2, unique=True),
    st.sampled_from((AGENT, AGENT + KEPT, AGENT + QUIET, ANNOUNCED + KEPT)),
    st.tuples(st.sampled_from((0.0, 3.0)), st.sampled_from((0.1, 9.0))),
)
def test_any_call_is_equal(
    planned: Sequence[tuple[str, str | float]],
    faults: Sequence[str],
    agent: str,
    delays: tuple[float, float],
) -> None:
    async def hold(call: CallUnderTest) -> None:
        await asyncio.sleep(0)  # nothing happens to a call before it begins
        with contextlib.suppress(ExpectationNotMet):
            for step in planned:
                await perform(call, step)
            call.engine.post(HangUp("enough"))
            await call.ended()

    brain = CHAINED if "announce" in agent else BRAIN
    assert difference_of(Made(hold, agent, delays, faults, brain)) is None


async def perform(call: CallUnderTest, step: tuple[str, str | float]) -> None:
    match step:
        case ("say", str(words)):
            await call.say(words)
        case ("type", str(words)):
            call.engine.post(Say(words))
        case ("speak", str(words)):
            await call.speak(words)
        case ("drop", float(seconds)):
            call.drop_line(seconds)
        case ("wait", float(seconds)):
            await call.wait(seconds)
