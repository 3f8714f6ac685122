"""The least that a desk client can be: PortAudio, resampling, a canceller, a wire.

    python -m benchmarks.desk.bare URL livekit|pywebrtc|none

No engine, no session, no alignment by time stamps, no view. In blocks of 10 ms as the
real client; in messages of 20 ms. Leaves at the end of stdin.
"""

from __future__ import annotations

import asyncio
import base64
import importlib
import json
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import sounddevice
import soxr
import websockets

_RATE = 24_000
_PIECE = 480  # bytes: 10 ms at 24 kHz
_MESSAGE = 960
_LATENCY = 0.05


class LiveKit:
    """LiveKit's audio processing module, as its console uses it."""

    def __init__(self) -> None:
        self._rtc: Any = importlib.import_module("livekit.rtc")
        apm: Any = importlib.import_module("livekit.rtc.apm")
        self._module = apm.AudioProcessingModule(echo_cancellation=True)

    def process(self, heard: bytes, played: bytes) -> bytes:
        """Return 10 ms of audio without echo."""
        self._module.process_reverse_stream(self._frame(played))
        frame = self._frame(heard)
        self._module.set_stream_delay_ms(100)
        self._module.process_stream(frame)
        return bytes(frame.data)

    def _frame(self, pcm: bytes) -> Any:
        return self._rtc.AudioFrame(bytearray(pcm), _RATE, 1, _PIECE // 2)


class PyWebRtc:
    """The package that the real client uses."""

    def __init__(self) -> None:
        package: Any = importlib.import_module("pywebrtc_audio")
        self._processor = package.AudioProcessor(
            sample_rate=_RATE, echo_cancellation=True, noise_suppression=False
        )

    def process(self, heard: bytes, played: bytes) -> bytes:
        """Return 10 ms of audio without echo."""
        cleaned = self._processor.process(
            np.frombuffer(heard, "<i2"), np.frombuffer(played, "<i2")
        )
        return np.asarray(cleaned, np.int16).tobytes()


class Nothing:
    """No echo cancellation: what the rest of the loop costs."""

    def process(self, heard: bytes, played: bytes) -> bytes:
        """Return the audio as it is."""
        return heard


class Canceller(Protocol):
    """Takes what was played out of what was heard, 10 ms at a time."""

    def process(self, heard: bytes, played: bytes) -> bytes: ...


_KINDS: dict[str, Callable[[], Canceller]] = {
    "livekit": LiveKit,
    "pywebrtc": PyWebRtc,
    "none": Nothing,
}


def _steady(from_rate: int, to_rate: int) -> Any:
    return soxr.ResampleStream(
        from_rate, to_rate, 1, dtype="int16", quality="HQ", vr=False
    )


class Card:
    """Two streams of PortAudio and what is between them and the wire."""

    def __init__(self, loop: asyncio.AbstractEventLoop, kind: str) -> None:
        self.heard: asyncio.Queue[bytes] = asyncio.Queue()
        self._canceller = _KINDS[kind]()
        rate = int(sounddevice.query_devices(kind="output")["default_samplerate"])
        self._down, self._reference = _steady(rate, _RATE), _steady(rate, _RATE)
        self._up = _steady(_RATE, rate)
        self._playing = bytearray()
        self._played: deque[bytes] = deque()
        self._raw = self._echo = self._rest = b""
        settings = {
            "samplerate": rate,
            "blocksize": rate // 100,
            "channels": 1,
            "dtype": "int16",
            "latency": _LATENCY,
        }

        def record(data: Any, frames: int, at: Any, status: Any) -> None:
            loop.call_soon_threadsafe(self._hear, bytes(data))

        def play(data: Any, frames: int, at: Any, status: Any) -> None:
            pcm = bytes(self._playing[: 2 * frames]).ljust(2 * frames, b"\0")
            del self._playing[: 2 * frames]
            data[:] = pcm
            self._played.append(pcm)

        self.streams = (
            sounddevice.RawInputStream(callback=record, **settings),
            sounddevice.RawOutputStream(callback=play, **settings),
        )

    def play(self, pcm: bytes) -> None:
        """Queue 24 kHz PCM16."""
        self._playing += _resampled(self._up, pcm)

    def _hear(self, pcm: bytes) -> None:
        self._raw += _resampled(self._down, pcm)
        while self._played:
            self._echo += _resampled(self._reference, self._played.popleft())
        while len(self._raw) >= _PIECE:
            heard, self._raw = self._raw[:_PIECE], self._raw[_PIECE:]
            played, self._echo = self._echo[:_PIECE], self._echo[_PIECE:]
            played = played.ljust(_PIECE, b"\0")
            self._rest += self._canceller.process(heard, played)
        while len(self._rest) >= _MESSAGE:
            self.heard.put_nowait(self._rest[:_MESSAGE])
            self._rest = self._rest[_MESSAGE:]


def _resampled(stream: Any, pcm: bytes) -> bytes:
    piece: bytes = stream.resample_chunk(np.frombuffer(pcm, "<i2")).tobytes()
    return piece


async def main() -> None:
    loop = asyncio.get_running_loop()
    card = Card(loop, sys.argv[2])
    async with websockets.connect(sys.argv[1], compression=None) as wire:
        await wire.send('{"type":"session.update","session":{}}')
        for stream in card.streams:
            stream.start()

        async def send() -> None:
            while True:
                data = base64.b64encode(await card.heard.get()).decode()
                await wire.send(json.dumps({"type": "input.audio", "audio": data}))

        async def receive() -> None:
            async for text in wire:
                message = json.loads(text)
                if message["type"] == "reply.audio":
                    card.play(base64.b64decode(message["data"]))

        tasks = [asyncio.create_task(send()), asyncio.create_task(receive())]
        await loop.run_in_executor(None, sys.stdin.read)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for stream in card.streams:
        stream.close()


if __name__ == "__main__":
    asyncio.run(main())
