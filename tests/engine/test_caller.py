"""A caller who waits for the agent to finish, with a service that the test plays."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from runner.engine.caller import ScriptedCaller
from runner.engine.engine import Engine
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Say
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import (
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionReady,
    ToolCall,
)
from tests.fakes import FakeDialer, FakeMicrophone, FakeSpeaker, FakeTransport, Outcome


async def each(*lines: str) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def test_each_line_waits_for_the_answer_to_the_one_before_it() -> None:
    wire, speaker = FakeTransport(), FakeSpeaker()

    async def look(call: ToolCall) -> Outcome:
        return Outcome("1")

    engine = Engine(
        ClientSession(ClientConfig()),
        FakeDialer(wire),
        microphone=FakeMicrophone(),
        speaker=speaker,
        run_tool=look,
    )
    notices: list[str] = []

    async def say(line: str) -> None:
        engine.post(Say(line))

    caller = ScriptedCaller(engine, speaker, say, notices.append)
    ended = asyncio.create_task(engine.run())
    calling = asyncio.create_task(caller.say_in_turn(each("one", "two")))
    await wire.heard("session.update")
    wire.peer_says(SessionReady("s"))

    assert (await wire.heard("conversation.message"))["content"] == "one"
    wire.peer_says(ReplyStarted("r1"), ToolCall("c", "look"), ReplyDone("r1"))
    await wire.heard("tool.result")
    wire.peer_says(ReplyStarted("r2"), ReplyAudio(b"\1\0", "r2"), ReplyDone("r2"))
    await engine.settled.wait()
    spoken = [m["type"] for m in wire.sent].count("conversation.message")
    assert spoken == 1, "the agent's sound is still being heard"
    speaker.play_all()

    assert (await wire.heard("conversation.message", 2))["content"] == "two"
    wire.peer_says(ReplyStarted("r3"), ReplyDone("r3"))
    await wire.heard("session.end")
    wire.peer_says(SessionEnded(1.0))
    await asyncio.gather(ended, calling)
    assert notices == []
