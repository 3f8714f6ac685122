"""A server that floods: what the whole engine holds of it is bounded.

No queue is between the socket and the session: a message is processed before the next
is looked at, and what is not yet looked at stays in the kernel, which slows the sender
down. So only what the session keeps can grow, and each of its stores has a bound.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from runner.audio.playback import PlaybackBuffer, PlaybackLimits
from runner.engine.engine import Engine
from runner.engine.transports.dialer import MAX_MESSAGE_BYTES
from runner.observers.call_stats import CallStats
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp
from runner.protocol.client.session import ClientSession
from runner.protocol.codec import encode
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ServerMessage,
    SessionReady,
    ToolCall,
)
from tests.engine.transports.conversation import TEXT, accept, frame, frames, raw_server
from tests.fakes import FakeMicrophone, FakeSpeaker, Outcome

LIMITS = PlaybackLimits()


class BufferSpeaker(FakeSpeaker):
    """A speaker of which nothing is ever heard: a stalled device."""

    def __init__(self) -> None:
        super().__init__()
        self.playback = PlaybackBuffer(limits=LIMITS)

    def play(self, pcm: bytes) -> None:
        self.playback.write(pcm)

    def stop(self) -> float:
        self.stopped.set()
        return self.playback.clear()


@dataclass(frozen=True, slots=True)
class Flooded:
    engine: Engine
    speaker: BufferSpeaker
    record: CallStats


async def no_tool(call: ToolCall) -> Outcome:
    return Outcome("null")


def says(*messages: ServerMessage) -> bytes:
    return b"".join(frame(TEXT, encode(message).encode()) for message in messages)


@asynccontextmanager
async def flooded_with(dialer: Any, flood: Sequence[bytes]) -> AsyncIterator[Flooded]:
    """Hold a call through a flood; it ends with an interruption, which is awaited."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(await accept(reader))
        writer.write(says(SessionReady("sess_1")))
        for piece in flood:
            writer.write(piece)
            await writer.drain()
        writer.write(says(InputSpeechStarted()))
        async for _ in frames(reader):
            pass

    record, speaker = CallStats(), BufferSpeaker()
    async with raw_server(talk) as url:
        engine = Engine(
            ClientSession(ClientConfig()),
            dialer(url),
            microphone=FakeMicrophone(),
            speaker=speaker,
            run_tool=no_tool,
            observers=(record.events.observe,),
        )
        ended = asyncio.create_task(engine.run())
        async with asyncio.timeout(60):
            await speaker.stopped.wait()
        yield Flooded(engine, speaker, record)
        assert not ended.done()
        ended.cancel()
        await asyncio.gather(ended, return_exceptions=True)


async def test_a_thousand_replies_at_once_fill_the_playback_buffer_and_no_more(
    dialer: Any,
) -> None:
    quarter_second = bytes(12_000)
    replies = [
        says(ReplyStarted(name), ReplyAudio(quarter_second, name), ReplyDone(name))
        for name in (f"resp_{number}" for number in range(1_000))
    ]

    async with flooded_with(dialer, replies) as call:
        counts = call.speaker.playback.counts
        buffered_ms = LIMITS.cap_ms

        assert counts.dropped_frames == 250_000 * 24 - buffered_ms * 24
        assert call.speaker.playback.pending_ms < LIMITS.cushion_ms  # interrupted
        assert not call.engine.session.turn_manager.calls.any_open


@pytest.mark.parametrize("library", ["websockets"], indirect=True)  # once is enough
async def test_a_hundred_thousand_unknown_messages_leave_nothing_behind(
    dialer: Any,
) -> None:
    unknown = frame(TEXT, b'{"type":"weather.report","sky":"grey"}')
    flood = [unknown * 1_000] * 100

    async with flooded_with(dialer, flood) as call:
        assert call.engine.connection.counts.malformed_messages == 0
        assert call.record.words == []
        assert not call.engine.session.turn_manager.calls.any_open


async def test_garbage_without_end_is_counted_and_survived(dialer: Any) -> None:
    flood = [frame(TEXT, b'{"type":') * 1_000] * 5

    async with flooded_with(dialer, flood) as call:
        assert call.engine.connection.counts.malformed_messages == 5_000


async def test_the_largest_message_is_read_and_dropped(dialer: Any) -> None:
    around = len(json.dumps({"type": "x", "y": ""}))
    whole = json.dumps({"type": "x", "y": "z" * (MAX_MESSAGE_BYTES - around)}).encode()
    pieces = [whole[at : at + 60_000] for at in range(0, len(whole), 60_000)]
    flood = [frame(TEXT, pieces[0], fin=False)]
    flood += [frame(0, piece, fin=False) for piece in pieces[1:]]
    flood += [frame(0, b"")]

    async with flooded_with(dialer, flood) as call:
        call.engine.post(HangUp("it goes on"))

        assert call.engine.connection.counts.connections == 1
