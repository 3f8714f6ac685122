"""The service for the sound card benchmarks: a process with a script.

    python -m benchmarks.desk.service clicks|tone|story|quiet FILE

Prints its address, and at the end of stdin writes to FILE what it heard and said, each
with its time on CLOCK_MONOTONIC.

| script | says                                                                      |
|--------|---------------------------------------------------------------------------|
| clicks | short replies, each with one click 10 ms in                               |
| tone   | a reply of two seconds, cut somewhere in between by an interruption       |
| story  | reply after reply, in real time, as an agent that talks, with its words   |
| quiet  | nothing                                                                   |
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from runner.audio.devices import SAMPLE_RATE
from runner.audio.pcm import Samples, to_pcm
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import (
    InputAudio,
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    ServerMessage,
    SessionEnd,
    SessionEnded,
    SessionReady,
    SessionUpdate,
    TranscriptAgent,
    TranscriptAgentDelta,
)

CLICK_AT = 0.01  # seconds from the beginning of a reply
_CHUNK = 1200  # samples: 50 ms
TONE_HZ = 440.0
TONE_LEVEL = 0.4
_WORDS = ("It", "left", "our", "warehouse", "today", "and", "comes", "on", "Friday.")


def click(rate: int = SAMPLE_RATE) -> Samples:
    """Return a click of 2 ms whose beginning is easy to find."""
    times = np.arange(round(0.002 * rate)) / rate
    return (0.6 * np.cos(2 * np.pi * 2500 * times)).astype(np.float32)


def tone(seconds: float) -> Samples:
    """Return the tone that is cut: it begins softly, and has one largest step."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    rise = np.minimum(times / 0.05, 1)
    wave = TONE_LEVEL * rise * np.sin(2 * np.pi * TONE_HZ * times)
    return wave.astype(np.float32)


@dataclass(slots=True)
class Kept:
    """What was heard, piece by piece, and when clicks and cuts were sent."""

    heard: list[bytes] = field(default_factory=list)
    heard_at: list[float] = field(default_factory=list)
    sent_at: list[float] = field(default_factory=list)

    def write(self, path: Path) -> None:
        np.savez(
            path,
            heard=np.frombuffer(b"".join(self.heard), "<i2"),
            sizes=np.array([len(piece) // 2 for piece in self.heard]),
            heard_at=np.array(self.heard_at),
            sent_at=np.array(self.sent_at),
        )


class Script:
    """One connection."""

    def __init__(self, connection: ServerConnection, name: str, kept: Kept) -> None:
        self._connection = connection
        self._name = name
        self._kept = kept
        self._lot = random.Random(11)

    async def serve(self) -> None:
        """Answer until the client leaves."""
        saying: asyncio.Task[None] | None = None
        try:
            async for data in self._connection:
                match decode_client(data):
                    case InputAudio(pcm):
                        self._kept.heard_at.append(time.monotonic())
                        self._kept.heard.append(pcm)
                    case SessionUpdate() if saying is None:
                        await self._send(SessionReady("desk"))
                        saying = asyncio.create_task(self._say())
                    case SessionEnd():
                        await self._send(SessionEnded(1.0))
        except ConnectionClosed:
            pass
        finally:
            if saying is not None:
                saying.cancel()

    async def _say(self) -> None:
        number = 0
        while self._name != "quiet":
            number += 1
            await asyncio.sleep(0.5 + 0.3 * self._lot.random())
            reply = f"reply_{number}"
            await self._send(ReplyStarted(reply))
            match self._name:
                case "clicks":
                    await self._click(reply)
                case "tone":
                    await self._cut(reply)
                case _:
                    await self._write_transcript(reply)

    async def _click(self, reply: str) -> None:
        sound = np.zeros(SAMPLE_RATE // 5, np.float32)
        first = round(CLICK_AT * SAMPLE_RATE)
        sound[first : first + len(click())] = click()
        self._kept.sent_at.append(time.monotonic())
        await self._play(reply, sound)
        await self._send(ReplyDone(reply))

    async def _cut(self, reply: str) -> None:
        await self._play(reply, tone(2.0))
        await asyncio.sleep(0.5 + 0.5 * self._lot.random())
        self._kept.sent_at.append(time.monotonic())
        await self._send(InputSpeechStarted())
        await self._send(ReplyDone(reply, "interrupted"))
        await asyncio.sleep(0.4)
        await self._send(InputSpeechStopped())

    async def _write_transcript(self, reply: str) -> None:
        from benchmarks.desk.sounds import story

        sound = story()[: 10 * SAMPLE_RATE]
        due = time.monotonic()
        for number, start in enumerate(range(0, len(sound), _CHUNK)):
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            due += _CHUNK / SAMPLE_RATE
            await self._play(reply, sound[start : start + _CHUNK])
            if number % 10 == 0:
                word = _WORDS[number // 10 % len(_WORDS)]
                await self._send(TranscriptAgentDelta(word + " ", reply))
        await self._send(TranscriptAgent(" ".join(_WORDS), reply))
        await self._send(ReplyDone(reply))

    async def _play(self, reply: str, sound: Samples) -> None:
        for start in range(0, len(sound), _CHUNK):
            piece = to_pcm(sound[start : start + _CHUNK])
            await self._send(ReplyAudio(piece, reply))

    async def _send(self, message: ServerMessage) -> None:
        await self._connection.send(encode(message))


async def main() -> None:
    name, path, kept = sys.argv[1], Path(sys.argv[2]), Kept()

    async def answer(connection: ServerConnection) -> None:
        await Script(connection, name, kept).serve()

    loop = asyncio.get_running_loop()
    async with serve(answer, "127.0.0.1", 0, compression=None) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        print(f"ws://127.0.0.1:{port}/", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)
    kept.write(path)


if __name__ == "__main__":
    asyncio.run(main())
