"""Stand-ins at the two seams of audio: the clock, and the sounddevice module."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable, Collection
from types import SimpleNamespace
from typing import Any

RATE = 24_000


class SteppedClock:
    """A clock that does not move until the test advances it."""

    def __init__(self) -> None:
        self.time = 100.0  # not zero, so that a time cannot pass for a duration
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, asyncio.Future[None]]] = []

    def now(self) -> float:
        return self.time

    async def wait_until(self, due: float) -> None:
        if due <= self.time:
            await asyncio.sleep(0)
            return
        woken = asyncio.get_running_loop().create_future()
        heapq.heappush(self._waiting, (due, next(self._order), woken))
        await woken

    async def advance(self, seconds: float) -> None:
        """Advances the time and stops at each time that a task waits for."""
        target = self.time + seconds
        await settle()
        while self._waiting and self._waiting[0][0] <= target:
            self.time, _, woken = heapq.heappop(self._waiting)
            if not woken.done():
                woken.set_result(None)
            await settle()
        self.time = target
        await settle()


class JumpingClock:
    """A clock that jumps to whatever is waited for: a call in no time at all."""

    def __init__(self) -> None:
        self.time = 100.0

    def now(self) -> float:
        return self.time

    async def wait_until(self, due: float) -> None:
        self.time = max(self.time, due)
        await asyncio.sleep(0)


async def settle() -> None:
    """Let every task go on until it waits for something."""
    for _ in range(20):
        await asyncio.sleep(0)


class InlineWorker:
    """Does PortAudio's work on the loop, at once, or later while `held`."""

    def __init__(self) -> None:
        self.held: asyncio.Future[None] | None = None

    async def run(self, work: Callable[[], Any]) -> Any:
        if self.held is not None:
            await asyncio.shield(self.held)
        return work()

    def stop(self, last: Callable[[], None] | None = None) -> None:
        if last is not None:
            last()


class FakePortAudioError(Exception):
    """What sounddevice raises: a text and PortAudio's code."""


class FakeStream:
    """A stream whose device is the test."""

    def __init__(self, kind: str, settings: dict[str, Any]) -> None:
        self.kind = kind
        self.settings = settings
        self.latency: Any = (0.0, 0.0) if kind == "duplex" else 0.0
        self.is_running = False
        self.is_closed = False
        self.frames = 0  # exchanged so far

    def start(self) -> None:
        self.is_running = True

    def close(self, ignore_errors: bool = True) -> None:
        if not self.is_closed:
            self.is_closed, self.is_running = True, False
            self.settings["finished_callback"]()

    def lose(self) -> None:
        """Stop as a device does that is pulled out."""
        self.is_running = False
        self.settings["finished_callback"]()

    def exchange(
        self, recorded: bytes, frames: int = 0, status: object = None
    ) -> bytes:
        """Do what PortAudio's thread does for one block; return what is played."""
        channels, dtype = self.settings["channels"], self.settings["dtype"]
        outputs = channels[1] if self.kind == "duplex" else channels
        sample = {"int16": 2, "float32": 4}[
            dtype[1] if self.kind == "duplex" else dtype
        ]
        played = bytearray(sample * outputs * frames)
        view = memoryview(played)
        blocks = {
            "duplex": (recorded, view),
            "input": (recorded,),
            "output": (view,),
        }[self.kind]
        # A stream's clock, with devices that hold 10 ms of audio on either side.
        rate = self.settings["samplerate"]
        now = 100.0 + self.frames / rate
        self.frames += frames or len(recorded) // 2
        time = SimpleNamespace(
            currentTime=now,
            inputBufferAdcTime=now - 0.01,
            outputBufferDacTime=now + 0.01,
        )
        self.settings["callback"](*blocks, frames, time, status)
        return bytes(played)


def device(
    name: str,
    *,
    inputs: int = 0,
    outputs: int = 0,
    rate: float = 48_000.0,
    host: int = 0,
) -> dict[str, Any]:
    return {
        "name": name,
        "max_input_channels": inputs,
        "max_output_channels": outputs,
        "default_samplerate": rate,
        "hostapi": host,
    }


LAPTOP = (
    device("Built-in Microphone", inputs=1),
    device("Built-in Output", outputs=2),
    device("USB Headset", inputs=1, outputs=2, rate=44_100.0),
)


class FakePortAudio:
    """The module `sounddevice` with devices of the test's choice."""

    PortAudioError: type[Exception] = FakePortAudioError

    def __init__(
        self,
        *devices: dict[str, Any],
        hosts: tuple[str, ...] = ("Core Audio",),
        refuse: dict[str, FakePortAudioError] | None = None,
        channels: dict[int, int] | None = None,
        rates: dict[int, tuple[int, ...]] | None = None,
        floats: Collection[int] = (),
    ) -> None:
        """`refuse`: errors by kind of stream; `channels`, `rates`: by device, all
        that it takes where its description promises more; `floats`: devices that take
        only float32."""
        self.plug(*devices)
        self.is_initialized = True
        self.devices = self._plugged
        self.floats = floats
        self.hosts = hosts
        self.refuse = refuse or {}
        self.only_channels = channels or {}
        self.only_rates = rates or {}
        self.streams: list[FakeStream] = []

    def plug(self, *devices: dict[str, Any]) -> None:
        """Have other devices, which are seen only after a new start."""
        self._plugged = [{**info, "index": index} for index, info in enumerate(devices)]

    def _terminate(self) -> None:
        assert all(stream.is_closed for stream in self.streams), "open streams"
        self.is_initialized = False

    def _initialize(self) -> None:
        assert not self.is_initialized
        self.is_initialized, self.devices = True, self._plugged

    def _exit_handler(self) -> None:
        pass

    def query_devices(self, device: Any = None, kind: Any = None) -> Any:
        if kind is None:
            return tuple(self.devices)
        for info in self.devices:
            if info[f"max_{kind}_channels"]:
                return info
        raise FakePortAudioError("Error querying device -1")

    def query_hostapis(self, index: int) -> dict[str, Any]:
        return {"name": self.hosts[index]}

    def check_input_settings(self, **settings: Any) -> None:
        self._check(**settings)

    check_output_settings = check_input_settings

    def _check(self, device: int, channels: int, dtype: str, samplerate: int) -> None:
        if self.only_channels.get(device, channels) != channels:
            raise FakePortAudioError("Invalid number of channels", -9998)
        if samplerate not in self.only_rates.get(device, (samplerate,)):
            raise FakePortAudioError("Invalid sample rate", -9997)
        if device in self.floats and dtype != "float32":
            raise FakePortAudioError("Sample format not supported", -9994)

    def RawStream(self, **settings: Any) -> FakeStream:
        return self._make("duplex", settings)

    def RawInputStream(self, **settings: Any) -> FakeStream:
        return self._make("input", settings)

    def RawOutputStream(self, **settings: Any) -> FakeStream:
        return self._make("output", settings)

    def _make(self, kind: str, settings: dict[str, Any]) -> FakeStream:
        if kind in self.refuse:
            raise self.refuse[kind]
        self.streams.append(FakeStream(kind, settings))
        return self.streams[-1]
