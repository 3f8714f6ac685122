"""The engine with fakes at its seams: a wire, a microphone, a speaker, tools."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from runner.engine.engine import MAX_CONCURRENT_TOOL_CALLS, Engine, Speak
from runner.errors import AudioUnavailable, AuthenticationRejected, TransportError
from runner.protocol.client.actions import Action, Close
from runner.protocol.client.actions import Outcome as Ending
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Event, HangUp, Received
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionEnd,
    SessionEnded,
    SessionReady,
    ToolCall,
    TranscriptAgentDelta,
)
from tests.fakes import (
    FakeDialer,
    FakeMicrophone,
    FakeSpeaker,
    FakeTransport,
    Outcome,
)

READY = SessionReady("sess_1", resume_token="token_1")
CONFIG = ClientConfig(tools={"end_call": ToolPolicy(terminal=True)})


async def echo(call: ToolCall) -> Outcome:
    return Outcome(f'"{call.name}"')


@dataclass(frozen=True, slots=True)
class Running:
    engine: Engine
    wire: FakeTransport
    microphone: FakeMicrophone
    speaker: FakeSpeaker
    ended: asyncio.Task[Close]

    async def end(self) -> Close:
        self.engine.post(HangUp("the test is over"))
        await self.wire.heard("session.end")
        self.wire.peer_says(SessionEnded(1.0))
        async with asyncio.timeout(5):
            return await self.ended


@contextlib.asynccontextmanager
async def running(
    run_tool: Callable[[ToolCall], Awaitable[Outcome]] = echo,
    *,
    config: ClientConfig = CONFIG,
    voice: Speak | None = None,
) -> AsyncIterator[Running]:
    wire, microphone, speaker = FakeTransport(), FakeMicrophone(), FakeSpeaker()
    engine = Engine(
        ClientSession(config),
        FakeDialer(wire),
        microphone=microphone,
        speaker=speaker,
        run_tool=run_tool,
        voice=voice,
    )
    ended = asyncio.create_task(engine.run())
    await wire.heard("session.update")
    wire.peer_says(READY)
    await engine.settled.wait()
    try:
        yield Running(engine, wire, microphone, speaker, ended)
    finally:
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


async def test_a_frame_of_the_microphone_becomes_a_message_with_its_audio() -> None:
    async with running() as call:
        call.microphone.put(b"\1\0\2\0")

        message = await call.wire.heard("input.audio")

        assert message == {"type": "input.audio", "audio": "AQACAA=="}


async def test_a_reply_is_played_in_order() -> None:
    async with running() as call:
        call.wire.peer_says(
            ReplyStarted("r"), ReplyAudio(b"\1\0", "r"), ReplyAudio(b"\2\0", "r")
        )
        call.wire.peer_says(ReplyDone("r"))
        await call.engine.unsettled.wait()
        await call.engine.settled.wait()

        assert call.speaker.log == [b"\1\0", b"\2\0"]


async def test_an_interruption_empties_the_speaker_before_anything_else_happens() -> (
    None
):
    async with running() as call:
        call.engine.post(Received(ReplyStarted("r")))
        call.engine.post(Received(ReplyAudio(b"\1\0", "r")))
        assert call.speaker.pending_ms > 0

        call.engine.post(Received(InputSpeechStarted()))

        assert call.speaker.pending_ms == 0


async def test_an_interruption_is_not_stuck_behind_a_network_that_takes_nothing() -> (
    None
):
    async with running() as call:
        call.wire.stall()
        for _ in range(100):
            call.microphone.put(bytes(2400))
        call.wire.peer_says(ReplyStarted("r"), ReplyAudio(b"\1\0", "r"))
        call.wire.peer_says(InputSpeechStarted())
        async with asyncio.timeout(5):
            await call.speaker.stopped.wait()

        assert call.speaker.pending_ms == 0


async def test_a_tool_runs_next_to_the_call_and_is_answered_after_the_reply() -> None:
    async with running() as call:
        call.wire.peer_says(ReplyStarted("r"), ToolCall("c", "look"), ReplyDone("r"))

        assert await call.wire.heard("tool.result") == {
            "type": "tool.result",
            "call_id": "c",
            "result": '"look"',
        }


async def test_ten_calls_run_side_by_side_up_to_a_limit_and_are_answered_in_order() -> (
    None
):
    running_now: set[str] = set()
    most = 0
    full = asyncio.Event()
    go_on = asyncio.Event()

    async def crowded(call: ToolCall) -> Outcome:
        nonlocal most
        running_now.add(call.call_id)
        most = max(most, len(running_now))
        if most == MAX_CONCURRENT_TOOL_CALLS:
            full.set()
        await go_on.wait()
        running_now.remove(call.call_id)
        return Outcome(f'"{call.call_id}"')

    names = [f"c{number}" for number in range(10)]
    async with running(crowded) as call:
        call.wire.peer_says(ReplyStarted("r"))
        call.wire.peer_says(*(ToolCall(name, "look") for name in names))
        call.wire.peer_says(ReplyDone("r"))
        async with asyncio.timeout(5):
            await full.wait()
        go_on.set()
        await call.wire.heard("tool.result", 10)

        results = [m["call_id"] for m in call.wire.sent if m["type"] == "tool.result"]
        assert sorted(results) == names
        assert most == MAX_CONCURRENT_TOOL_CALLS


async def test_a_call_that_waits_for_its_turn_can_be_cancelled() -> None:
    begun: list[str] = []
    full = asyncio.Event()

    async def crowded(call: ToolCall) -> Outcome:
        begun.append(call.call_id)
        if len(begun) == MAX_CONCURRENT_TOOL_CALLS:
            full.set()
        await asyncio.Event().wait()
        return Outcome("1")

    async with running(crowded) as call:
        call.wire.peer_says(ReplyStarted("r"))
        call.wire.peer_says(*(ToolCall(f"c{n}", "look") for n in range(10)))
        async with asyncio.timeout(5):
            await full.wait()
        call.wire.peer_says(InputSpeechStarted(), ReplyDone("r", "interrupted"))
        await call.end()

    assert len(begun) == MAX_CONCURRENT_TOOL_CALLS


async def test_a_muted_microphone_sends_silence_of_the_same_length() -> None:
    async with running() as call:
        call.engine.is_muted = True
        call.microphone.put(b"\1\0\2\0")

        assert (await call.wire.heard("input.audio"))["audio"] == "AAAAAA=="


async def test_a_cancelled_call_is_stopped_and_never_answered() -> None:
    stopped = asyncio.Event()
    began = asyncio.Event()

    async def slow(call: ToolCall) -> Outcome:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()
        return Outcome("1")

    async with running(slow) as call:
        call.wire.peer_says(ReplyStarted("r"), ToolCall("c", "look"))
        await began.wait()
        call.wire.peer_says(InputSpeechStarted(), ReplyDone("r", "interrupted"))

        async with asyncio.timeout(5):
            await stopped.wait()
        await call.end()
        assert "tool.result" not in [message["type"] for message in call.wire.sent]


async def test_hanging_up_says_so_and_waits_for_the_service() -> None:
    async with running() as call:
        close = await call.end()

        assert close.outcome is Ending.CLEAN
        assert call.wire.sent[-1] == {"type": SessionEnd.TYPE}
        assert call.wire.is_closed


async def test_the_goodbye_is_heard_to_its_end_before_the_agent_hangs_up() -> None:
    async with running() as call:
        call.wire.peer_says(
            ReplyStarted("r"),
            ReplyAudio(b"\1\0", "r"),
            TranscriptAgentDelta("Bye", "r"),
            ToolCall("c", "end_call"),
            ReplyDone("r"),
        )
        async with asyncio.timeout(5):
            await call.speaker.drain_awaited.wait()
        assert "session.end" not in [message["type"] for message in call.wire.sent]

        call.speaker.play_all()

        await call.wire.heard("session.end")


async def test_a_rejected_key_ends_the_call_with_that_outcome() -> None:
    engine = Engine(
        ClientSession(CONFIG),
        FakeDialer(AuthenticationRejected("no")),
        microphone=FakeMicrophone(),
        speaker=FakeSpeaker(),
        run_tool=echo,
    )

    assert (await engine.run()).outcome is Ending.REJECTED


async def test_a_service_that_is_not_there_is_a_failed_call_not_an_exception() -> None:
    engine = Engine(
        ClientSession(CONFIG),
        FakeDialer(TransportError("nobody there")),
        microphone=FakeMicrophone(),
        speaker=FakeSpeaker(),
        run_tool=echo,
    )

    close = await engine.run()

    assert (close.outcome, close.reason) == (Ending.FAILED, "nobody there")


async def test_a_microphone_that_fails_ends_the_call_with_its_own_error() -> None:
    async with running() as call:
        call.microphone.put(AudioUnavailable("unplugged"))

        with pytest.raises(AudioUnavailable, match="unplugged"):
            await call.ended


async def test_a_microphone_that_ends_does_not_end_the_call() -> None:
    async with running() as call:
        call.microphone.put(None)
        call.wire.peer_says(ReplyStarted("r"), ReplyDone("r"))
        await call.engine.unsettled.wait()
        await call.engine.settled.wait()

        assert not call.ended.done()


async def test_a_dropped_line_is_resumed_on_a_new_connection() -> None:
    first, second, speaker = FakeTransport(), FakeTransport(), FakeSpeaker()
    dialer = FakeDialer(first, second)
    engine = Engine(
        ClientSession(CONFIG, jitter=lambda: 0.0),
        dialer,
        microphone=FakeMicrophone(),
        speaker=speaker,
        run_tool=echo,
    )
    ended = asyncio.create_task(engine.run())
    await first.heard("session.update")
    first.peer_says(READY)
    await engine.settled.wait()

    first.drop()

    assert await second.heard("session.resume") == {
        "type": "session.resume",
        "session_id": "sess_1",
    }
    assert dialer.tokens == [None, "token_1"]
    second.peer_says(READY, SessionEnded(1.0))
    assert (await ended).outcome is Ending.CLEAN


async def test_garbage_on_the_wire_does_not_end_the_call() -> None:
    async with running() as call:
        call.wire.peer_says("{", '{"type":"reply.audio"}', '["x"]')
        call.wire.peer_says(ReplyStarted("r"), ReplyDone("r"))
        await call.engine.unsettled.wait()
        await call.engine.settled.wait()

        assert not call.ended.done()


async def test_observers_see_every_event_before_the_actions_it_causes() -> None:
    seen: list[Event | Action] = []
    wire = FakeTransport()
    engine = Engine(
        ClientSession(CONFIG),
        FakeDialer(wire),
        microphone=FakeMicrophone(),
        speaker=FakeSpeaker(),
        run_tool=echo,
        observers=[lambda at, what: seen.append(what)],
    )
    ended = asyncio.create_task(engine.run())
    await wire.heard("session.update")
    wire.peer_says(READY, SessionEnded(1.0))
    close = await ended

    kinds = [type(what).__name__ for what in seen]
    assert kinds == [
        "Connect",
        "Connected",
        "Send",
        "Received",
        "Received",
        "Close",
    ]
    assert seen[-1] == close


async def test_what_the_local_voice_says_comes_back_and_is_played() -> None:
    said: list[str] = []
    forever = asyncio.Event()

    async def speak(text: str) -> bytes:
        said.append(text)
        return b"\0\x10" * 24

    async def never(call: ToolCall) -> Outcome:
        await forever.wait()
        return Outcome(call.name)

    rules = {"slow": ToolPolicy(announce="One moment.")}
    config = ClientConfig(tools=rules, announce_by="voice")
    async with running(never, config=config, voice=speak) as call:
        call.wire.peer_says(ReplyStarted("r"), ToolCall("c", "slow"), ReplyDone("r"))
        async with asyncio.timeout(5):
            await call.speaker.played.wait()

        assert said == ["One moment."]
        assert call.speaker.log == [b"\0\x10" * 24]


async def test_without_a_local_voice_a_call_goes_on_unannounced() -> None:
    rules = {"slow": ToolPolicy(announce="One moment.")}
    config = ClientConfig(tools=rules, announce_by="voice")
    async with running(config=config) as call:
        call.wire.peer_says(ReplyStarted("r"), ToolCall("c", "slow"), ReplyDone("r"))

        assert (await call.wire.heard("tool.result"))["call_id"] == "c"
        assert call.speaker.log == []


def test_a_timer_that_is_already_due_works_on_uvloop() -> None:
    uvloop = pytest.importorskip("uvloop", reason="there is none for Windows")

    async def hold() -> Close:
        wire = FakeTransport()
        engine = Engine(
            ClientSession(CONFIG),
            FakeDialer(wire),
            microphone=FakeMicrophone(),
            speaker=FakeSpeaker(),
            run_tool=echo,
            timer_slack=-60.0,  # each rings at once
        )
        ended = asyncio.create_task(engine.run())
        await wire.heard("session.update")
        wire.peer_says(READY)
        await engine.settled.wait()
        engine.post(HangUp("the test is over"))
        await wire.heard("session.end")
        wire.peer_says(SessionEnded(1.0))
        return await asyncio.wait_for(ended, 5)

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        assert loop.run(hold()).outcome is Ending.CLEAN
