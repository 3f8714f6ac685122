"""Calls on the scripted service with and without announcements of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runner.audio.virtual import NullSpeaker
from runner.engine.engine import Engine
from runner.observers.call_stats import CallStats
from runner.observers.timeline import trace
from runner.protocol.client.actions import Action, Announce, Play, Send
from runner.protocol.client.config import AnnounceBy, ClientConfig
from runner.protocol.client.events import Event, HangUp, Received, Say, ToolFinished
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import (
    ReplyCreate,
    ToolCall,
    ToolResult,
    TranscriptAgent,
    say_verbatim,
)
from runner.recording.format import Header, RecordedAgent
from runner.recording.reader import Recording, read_recording
from runner.recording.recorder import Recorder
from runner.speech.synthesizer import ToneSynthesizer
from runner.testing.impairments import NullMicrophone
from runner.testing.replay import replay
from runner.testing.replay_result import find_difference
from runner.testing.scenarios.model import LlmRule, read_pattern
from runner.testing.scripted_service import ScriptedModel, ScriptedService
from runner.testing.virtual_clock import run_virtually
from runner.tools.tool import ToolOutcome

WORDS = "One moment, I'm looking at the book."
# The service fills the wait for the first call by itself, and is silent at the second.
BRAIN = (
    LlmRule((read_pattern("table"),), tool_calls=(("find_guest", {}),)),
    LlmRule(after="find_guest", tool_calls=(("check_table", {}),)),
    LlmRule(after="check_table", says="It is free."),
)
TOOLS: list[dict[str, Any]] = [
    {"type": "function", "name": name, "description": "", "parameters": {}}
    for name in ("find_guest", "check_table")
]


@dataclass(slots=True)
class Held:
    """The events, actions and texts of a call."""

    config: ClientConfig
    happened: list[tuple[float, Event | Action]] = field(default_factory=list)
    record: CallStats = field(default_factory=CallStats)

    @property
    def agent_said(self) -> list[str]:
        return [each.text for each in self.record.words if each.speaker == "agent"]

    def at(self, fits: Callable[[Event | Action], bool]) -> float:
        """Returns the time of an entry that occurs once."""
        (found,) = [at for at, what in self.happened if fits(what)]
        return found


async def tone(text: str) -> bytes:
    return b"".join(ToneSynthesizer().synthesize(text, lambda: False))


def held(by: AnnounceBy = "reply", *, seconds: float = 5.0) -> Held:
    """Runs a call in which a tool takes this many seconds."""
    session = {"system_prompt": "Be brief.", "tools": TOOLS}
    rules = {"find_guest": ToolPolicy(), "check_table": ToolPolicy(announce=WORDS)}
    call = Held(ClientConfig(session=session, tools=rules, announce_by=by))

    async def run_tool(wanted: ToolCall) -> ToolOutcome:
        await asyncio.sleep(seconds if wanted.name == "check_table" else 0.05)
        return ToolOutcome('{"free":true}')

    def observe(at: float, what: Event | Action) -> None:
        call.happened.append((at, what))
        call.record.events.observe(at, what)

    async def hold() -> None:
        async with (
            ScriptedService(ScriptedModel(BRAIN)) as service,
            NullSpeaker() as speaker,
        ):
            engine = Engine(
                ClientSession(call.config),
                service.dial,
                microphone=NullMicrophone(),
                speaker=speaker,
                run_tool=run_tool,
                voice=tone,
                observers=(observe,),
            )
            running = asyncio.create_task(engine.run())
            await engine.settled.wait()
            engine.post(Say("A table for two, please."))
            await engine.settled.wait()
            await speaker.drained()
            engine.post(HangUp("enough"))
            await running

    run_virtually(hold())
    return call


def is_call(what: Event | Action) -> bool:
    match what:
        case Received(ToolCall(name="check_table")):
            return True
        case _:
            return False


def is_announcement(what: Event | Action) -> bool:
    return what in (Send(ReplyCreate(say_verbatim(WORDS))), Announce(WORDS))


def test_a_slow_tool_is_announced_by_the_service_in_its_own_voice() -> None:
    call = held()

    assert call.agent_said == ["Let me check that.", WORDS, "It is free."]
    waited = call.at(is_announcement) - call.at(is_call)
    assert round(waited, 3) == 0.6


def test_the_answer_comes_after_the_result_and_the_result_after_the_words() -> None:
    call = held()

    order = [
        type(message).__name__
        for _, what in call.happened
        if isinstance(message := getattr(what, "message", None), ToolResult)
        or (isinstance(message, TranscriptAgent))
    ]

    assert order == [
        "TranscriptAgent",  # let me check that
        "ToolResult",
        "TranscriptAgent",  # one moment
        "ToolResult",
        "TranscriptAgent",  # it is free
    ]


def test_a_quick_tool_is_not_announced() -> None:
    call = held(seconds=0.1)

    assert call.agent_said == ["Let me check that.", "It is free."]


def test_a_result_that_comes_into_the_announcement_waits_for_its_end() -> None:
    call = held(seconds=0.9)

    results = [
        at
        for at, what in call.happened
        if isinstance(what, Send) and isinstance(what.message, ToolResult)
    ]
    finished = [at for at, what in call.happened if isinstance(what, ToolFinished)]
    assert call.agent_said == ["Let me check that.", WORDS, "It is free."]
    assert results[1] - finished[1] > 1.0


def test_local_tts_announces_if_configured() -> None:
    call = held("voice")

    assert call.agent_said == ["Let me check that.", WORDS, "It is free."]
    waited = call.at(is_announcement) - call.at(is_call)
    assert round(waited, 3) == 0.6
    after = [what for at, what in call.happened if at == call.at(is_announcement)]
    (played,) = [what for what in after if isinstance(what, Play)]
    assert played.pcm == asyncio.run(tone(WORDS))


def test_local_announcements_are_part_of_the_recorded_conversation(
    tmp_path: Path,
) -> None:
    recording = recorded(tmp_path, held("voice"))

    turns = [(turn.speaker, turn.text) for turn in trace(recording.entries).turns]

    assert turns == [
        ("caller", "A table for two, please."),
        ("agent", "Let me check that."),
        ("agent", WORDS),
        ("agent", "It is free."),
    ]


def test_announced_calls_replay_as_equal(tmp_path: Path) -> None:
    ways: Sequence[AnnounceBy] = ("reply", "voice", "either")
    for by in ways:
        for seconds in (0.1, 0.9, 5.0):
            call = held(by, seconds=seconds)
            recording = recorded(tmp_path / f"{by}-{seconds}", call)
            assert find_difference(recording.entries, replay(recording)) is None


def recorded(folder: Path, call: Held) -> Recording:
    header = Header(
        RecordedAgent("booking", "booking.yaml", ""),
        "the scripted service",
        call.config,
        0,
        "2026-01-01T12:00:00.000+00:00",
        "1",
        "3",
        "any",
        has_sound=False,
    )
    with Recorder(folder, header, "", threaded=False) as recorder:
        for at, what in call.happened:
            recorder.observe(at, what)
    return read_recording(folder)
