"""The calls of the recordings in `recordings/`, and how they are made.

`python tests/testing/recorded_calls.py` holds each call again, with the real engine
and the cores of the local service, and writes it into `recordings/`.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from runner.engine.compose import RecordingOptions, describe_call
from runner.protocol.client.actions import Action
from runner.protocol.client.events import Event, HangUp, MicFrame, Say
from runner.recording.format import Header
from runner.recording.recorder import Recorder
from runner.testing.call import CallUnderTest
from runner.testing.scenarios.model import LlmRule, MockAnswer, read_pattern
from runner.testing.setup import CallFixture, CallSetup, open_call_under_test
from runner.testing.virtual_clock import run_virtually

RECORDINGS = Path(__file__).parent / "recordings"
AGENT = """\
version: 1
name: orders
prompt: You tell callers where their orders are.
greeting: Hello, this is the order desk of Acme. How can I help you today?
turn_detection: {interruption_delay: 300ms}
tools:
  - name: lookup_order
    description: Look up the state of an order by its number.
    parameters:
      type: object
      properties:
        order_id: {type: string, pattern: "[0-9]{4}", description: The number}
      required: [order_id]
    http: {url: "https://orders.example/{order_id}"}
    timeout: 20s
  - name: change_order
    description: Change the day on which an order is delivered.
    parameters:
      type: object
      properties: {day: {type: string, description: The day}}
      required: [day]
    http: {url: "https://orders.example/", method: POST}
    timeout: 20s
    effect: write
  - plugin: end_call
"""
ANNOUNCED = AGENT.replace(
    "    effect: write", "    effect: write\n    announce: I am changing it."
)
QUIET = "session: {idle: {nudge_after: 5s, say: Are you there?, end_after: 20s}}\n"
LIMITED = "session: {max_duration: 75s, one_minute_left: A minute is left.}\n"
KEPT = "session: {carry_over: true}\n"

_LOOK = ("lookup_order", {"order_id": "1234"})
_CHANGE = ("change_order", {"day": "Friday"})
_LONG = "Let me look into that for you, it will take me but a moment or two."


def _hears(
    words: str, says: str | None, *calls: tuple[str, Mapping[str, str]]
) -> LlmRule:
    return LlmRule((read_pattern(words),), None, says, calls)


BRAIN = (
    _hears("both", _LONG, _LOOK, _CHANGE),
    _hears("change", _LONG, _CHANGE),
    _hears("order", _LONG, _LOOK),
    _hears("story", " ".join([_LONG] * 6)),
    LlmRule(after="lookup_order", says="Your order was shipped yesterday."),
    LlmRule(after="change_order", says="It will come on Friday."),
)


# The script fills the wait for a first call itself, and is silent at a second.
CHAINED = (
    LlmRule((read_pattern("order"),), tool_calls=(_LOOK,)),
    LlmRule(after="lookup_order", tool_calls=(_CHANGE,)),
    LlmRule(after="change_order", says="It will come on Friday."),
)


@dataclass(frozen=True, slots=True)
class Made:
    """A call that a recording is made of; `delays` are those of the tools, seconds."""

    hold: Callable[[CallUnderTest], Awaitable[None]]
    agent: str = AGENT
    delays: tuple[float, float] = (0.2, 0.2)  # of lookup_order and change_order
    faults: Sequence[str] = ()
    llm: Sequence[LlmRule] = field(default=BRAIN)


async def _goodbye(call: CallUnderTest) -> None:
    await call.say("Thanks, goodbye")
    await call.ended()


async def _interrupted(call: CallUnderTest) -> None:
    await call.interrupt("Wait a moment please", 0.5)
    await call.say("Tell me a story")
    await call.interrupt("Stop it please", 3.0)
    await call.say("Where is my order?")
    await call.waits_for(lambda: bool(call.calls))
    await call.speak("No, forget about all that")
    await call.say("I want to change the day")
    await call.waits_for(lambda: len(call.calls) > 1)
    await call.speak("No, forget about that as well")
    await call.wait(10.0)
    await _goodbye(call)


async def _tools(call: CallUnderTest) -> None:
    await call.say("Please do both of them")
    await call.say("And where is my order?")
    await _goodbye(call)


async def _typed_between(call: CallUnderTest) -> None:
    await call.agent_finished()
    call.engine.post(Say("Tell me a story"))
    await call.wait(4.0)
    call.engine.post(Say("Stop, where is my order?"))
    await call.agent_finished()
    call.engine.post(HangUp("the caller hung up"))
    await call.ended()


async def _dropped(call: CallUnderTest) -> None:
    await call.say("Where is my order?")
    await call.waits_for(lambda: bool(call.calls))
    call.drop_line(3.0)
    await call.agent_finished()
    await call.say("I want to change the day")
    await _goodbye(call)


async def _lost(call: CallUnderTest) -> None:
    await call.say("Where is my order?")
    await call.say("I want to change the day")
    await call.waits_for(lambda: len(call.calls) > 1)
    call.drop_line(45.0)
    await call.wait(60.0)
    await call.say("Where is my order?")
    await _goodbye(call)


async def _asked(call: CallUnderTest) -> None:
    await call.say("Where is my order?")
    await call.say("I want to change the day")
    await call.agent_finished()
    await _goodbye(call)


async def _announced(call: CallUnderTest) -> None:
    await call.say("Where is my order?")
    await call.agent_finished()
    await call.say("Where is my order?")
    await call.waits_for(lambda: len(call.calls) > 3)
    await call.wait(1.0)
    await call.speak("No, forget about that")
    await call.agent_finished()
    await _goodbye(call)


async def _waited(call: CallUnderTest) -> None:
    await call.say("Where is my order?")
    await call.wait(80.0)
    await _goodbye(call)


async def _shown(call: CallUnderTest) -> None:
    await call.say("Tell me a story")
    await call.wait(80.0)
    await _goodbye(call)


async def _changed(call: CallUnderTest) -> None:
    await call.say("Tell me a story")
    await call.waits_for(lambda: call.observer.reply.audible_at is not None)
    changes = call.engine.session.conversation.changes.current
    session = {**changes.session, "system_prompt": "You are in a hurry."}
    call.engine.reconfigure(session, changes.tools)
    await call.wait(2.0)
    await _asked(call)


async def _silent(call: CallUnderTest) -> None:
    await call.ended()


async def _spoken_on(call: CallUnderTest) -> None:
    await call.say("Thanks, goodbye")
    await call.waits_for(lambda: any(each.tool == "end_call" for each in call.calls))
    await call.speak("Wait a moment please")
    await call.say("Where is my order?")
    await _goodbye(call)


async def _heard(call: CallUnderTest) -> None:
    """The caller's audio is sent all the while."""

    async def breathe() -> None:
        while True:
            call.engine.post(MicFrame(bytes(2400)))
            await asyncio.sleep(0.05)

    breathing = asyncio.create_task(breathe())
    try:
        await _interrupted(call)
    finally:
        breathing.cancel()
        await asyncio.gather(breathing, return_exceptions=True)


CALLS: dict[str, Made] = {
    "interrupted": Made(_interrupted, delays=(8.0, 2.0)),
    "heard": Made(_heard, delays=(8.0, 2.0)),
    "results-held": Made(_tools, delays=(1.0, 0.1)),
    "typed": Made(_typed_between),
    "resumed": Made(_dropped, delays=(1.5, 0.2)),
    "fresh": Made(_lost, AGENT + KEPT, delays=(0.2, 5.0)),
    "changed": Made(_changed),
    "silent": Made(_silent, AGENT + QUIET),
    "limited": Made(_silent, AGENT + LIMITED),
    "spoken-on": Made(_spoken_on),
    "greeting-lost": Made(_asked, faults=("drop on=reply.started",)),
    "not-found": Made(
        _asked,
        faults=("drop on=reply.done:2", "error code=session_not_found phase=resume"),
    ),
    "refused": Made(_asked, faults=("refuse status=503 times=1",)),
    "asked-twice": Made(_asked, faults=("duplicate on=tool.call",)),
    "answer-lost": Made(_asked, faults=("lose on=tool.result", "drop at=15s")),
    "late-sound": Made(_interrupted, faults=("late on=reply.audio:8 by=1s",)),
    "garbled": Made(_asked, faults=("garbage on=reply.started form=truncated",)),
    "announced": Made(_announced, ANNOUNCED, delays=(0.2, 4.0), llm=CHAINED),
    "unanswered": Made(_waited, faults=("lose on=reply.done:2",)),
    "never-done": Made(_shown, faults=("lose on=reply.done:2",)),
}


def record(folder: Path, made: Made) -> None:
    """Hold a call and leave its recording in a folder; always the same bytes."""
    happened: list[tuple[float, Event | Action]] = []

    async def hold(agent: Path) -> CallFixture:
        lookup, change = made.delays
        mock = {
            "lookup_order": [MockAnswer({"status": "shipped"}, delay=lookup)],
            "change_order": [MockAnswer({"day": "Friday"}, delay=change)],
        }
        setup = CallSetup(agent, mock=mock, llm=made.llm, faults=made.faults)
        watch = [lambda at, what: happened.append((at, what))]
        async with open_call_under_test(setup, watch) as (call, stage):
            await made.hold(call)
        return stage

    with tempfile.TemporaryDirectory() as place:
        agent = Path(place) / "orders.yaml"
        agent.write_text(made.agent, "utf-8")
        stage = run_virtually(hold(agent))
    header = _header(stage, made)
    with Recorder(folder, header, made.agent, threaded=False) as recorder:
        for at, what in happened:
            recorder.observe(at, what)


def _header(stage: CallFixture, made: Made) -> Header:
    recording_options = RecordingOptions(RECORDINGS, audio=False)
    header = describe_call(
        stage.agent,
        made.agent,
        stage.config,
        "the scripted service",
        0,
        recording_options,
    )
    return replace(
        header,
        agent=replace(header.agent, path="orders.yaml"),
        started="2026-01-01T12:00:00.000+00:00",
        vagent="1",
        python="3",
        platform="any",
    )


def main() -> None:
    """Make the recordings again; only session.jsonl is kept of each."""
    with tempfile.TemporaryDirectory() as place:
        for name, made in CALLS.items():
            record(Path(place) / name, made)
            text = (Path(place) / name / "session.jsonl").read_bytes()
            (RECORDINGS / name).mkdir(parents=True, exist_ok=True)
            (RECORDINGS / name / "session.jsonl").write_bytes(text)
            sys.stdout.write(f"{name}: {len(text)} bytes\n")


if __name__ == "__main__":
    main()
