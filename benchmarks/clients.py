"""The client processes of `sessions.py`: what is measured, and the devices around it.

    python benchmarks/clients.py CLIENT URL --sessions 50 --seconds 6
    python benchmarks/clients.py CLIENT URL --memory 1000

prints one JSON object. The devices and the clock that drives them are the same for
every client: no sound card, one timer for every tenth of the sessions, a microphone
that gives 50 ms frames, a speaker that is a real playback buffer, emptied at that pace.
"""

from __future__ import annotations

import argparse
import asyncio
import atexit
import contextlib
import gc
import json
import random
import resource
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.bare import BareClient
from runner.audio.devices import FRAME_BYTES, FRAME_MS
from runner.audio.playback import PlaybackBuffer
from runner.engine.engine import Engine
from runner.engine.transports import Dialer
from runner.observers.call_stats import CallStats, CounterObserver
from runner.protocol.client.actions import Action
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import Event, HangUp, Received
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import (
    InputSpeechStarted,
    ReplyDone,
    SessionReady,
    ToolCall,
)
from runner.recording.format import Header, RecordedAgent
from runner.recording.recorder import Recorder

# The bare client, and vagent by the library of its wire and by its event loop.
CLIENTS = ("bare", "vagent", "vagent+uvloop", "vagent+picows", "vagent+fast")
RECORDED = ("vagent+recording", "vagent+fast+recording")
SLOTS = 10
WARM_UP_SECONDS = 1.5
FRAME = random.Random(1).randbytes(FRAME_BYTES)


class Clock:
    """Calls every session once a frame, spread over so many slots."""

    def __init__(self) -> None:
        self._slots: list[list[Callable[[], object]]] = [[] for _ in range(SLOTS)]
        self._count = 0

    def add(self, tick: Callable[[], object]) -> None:
        """Call this from now on, twenty times a second."""
        number = self._count % SLOTS
        self._count += 1
        self._slots[number].append(tick)
        if self._count <= SLOTS:
            now = asyncio.get_running_loop().time()
            self._ring(number, now + number * FRAME_MS / 1000 / SLOTS)

    def _ring(self, number: int, due: float) -> None:
        loop = asyncio.get_running_loop()
        due += FRAME_MS / 1000
        loop.call_at(due, self._ring, number, due)
        for tick in self._slots[number]:
            tick()


class _Opened:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


class PacedMicrophone(_Opened):
    """Gives a frame whenever the clock says so."""

    dropped_ms = 0.0

    def __init__(self) -> None:
        self._arrived = asyncio.Event()
        self._frames: deque[bytes] = deque()

    def tick(self) -> None:
        """Record one frame."""
        self._frames.append(FRAME)
        self._arrived.set()

    async def frames(self) -> AsyncIterator[bytes]:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._frames:
                yield self._frames.popleft()


class BufferSpeaker(_Opened):
    """A playback buffer without a device behind it."""

    def __init__(self) -> None:
        self.buffer = PlaybackBuffer()

    @property
    def pending_ms(self) -> float:
        return self.buffer.pending_ms

    def tick(self) -> None:
        """Play one frame."""
        self.buffer.read(FRAME_BYTES)

    def play(self, pcm: bytes) -> None:
        self.buffer.write(pcm)

    def stop(self) -> float:
        return self.buffer.clear()

    async def drained(self) -> None:
        return None


class Client(Protocol):
    """A session as the measurement sees it."""

    live: asyncio.Event
    interrupted: asyncio.Event

    async def run(self) -> object: ...

    async def hang_up(self) -> None: ...


class VagentClient:
    """The whole engine: session, inbox, line, records, counters."""

    def __init__(
        self,
        dialer: Dialer,
        microphone: PacedMicrophone,
        speaker: BufferSpeaker,
        on_interrupted: Callable[[float], None],
        recorder: Recorder | None = None,
    ) -> None:
        self.record = CallStats()
        self._recorder = recorder
        self.live = asyncio.Event()
        self.interrupted = asyncio.Event()
        self._on_interrupted = on_interrupted
        self._interrupted_at = 0.0
        session = ClientSession(ClientConfig({"system_prompt": "Be brief."}))
        tally = CounterObserver(session)
        self.record.events.subscribe(tally.note)
        self.engine = Engine(
            session,
            dialer,
            microphone=microphone,
            speaker=speaker,
            run_tool=self._run_tool,
            observers=(
                *([] if recorder is None else [recorder.observe]),
                self.record.events.observe,
                tally.observe,
                self._observe,
            ),
        )
        self._stop, speaker.stop = speaker.stop, self._stop_and_note  # type: ignore[method-assign]  # the measuring point: the audio was sent when this returns

    async def run(self) -> object:
        with self._recorder or contextlib.nullcontext():
            return await self.engine.run()

    async def hang_up(self) -> None:
        self.engine.post(HangUp("measured"))

    def _observe(self, at: float, what: Event | Action) -> None:
        if type(what) is Received:
            if type(what.message) is InputSpeechStarted:
                self._interrupted_at = what.message.timestamp or 0.0
            elif type(what.message) is ReplyDone:
                self.interrupted.set()
            elif type(what.message) is SessionReady:
                self.live.set()

    def _stop_and_note(self) -> float:
        dropped_ms = self._stop()
        if self._interrupted_at:
            self._on_interrupted(self._interrupted_at)
            self._interrupted_at = 0.0
        return dropped_ms

    async def _run_tool(self, call: ToolCall) -> Any:
        raise AssertionError("the streamer calls no tools")


def build(name: str, url: str, clock: Clock | None, delays: list[float]) -> Client:
    """Make one session of a client, with devices of its own."""
    microphone, speaker = PacedMicrophone(), BufferSpeaker()

    def tick() -> None:
        microphone.tick()
        speaker.tick()

    if clock is not None:
        clock.add(tick)

    def note(at: float) -> None:
        delays.append(time.time() - at)

    if name == "bare":
        return BareClient(url, microphone, speaker, note)
    is_compiled = name.startswith(("vagent+picows", "vagent+fast"))
    dialer = Dialer(url, library="picows" if is_compiled else "websockets")
    recorder = _recorder() if name in RECORDED else None
    return VagentClient(dialer, microphone, speaker, note, recorder)


def _recorder() -> Recorder:
    folder = Path(tempfile.mkdtemp(prefix="vagent-recording-"))
    atexit.register(shutil.rmtree, folder)
    agent = RecordedAgent("bench", "bench.yaml", "0" * 64)
    header = Header(agent, "streamer", ClientConfig(), 0, "", "", "", "")
    return Recorder(folder, header, "")


async def measure(
    name: str, url: str, sessions: int, seconds: float, warm_up: float
) -> dict[str, Any]:
    """Hold so many sessions at once; return what they cost."""
    clock, delays = Clock(), list[float]()
    clients = [build(name, url, clock, delays) for _ in range(sessions)]
    running = [asyncio.create_task(client.run()) for client in clients]
    for client in clients:
        await client.live.wait()
    await asyncio.sleep(warm_up)
    delays.clear()
    cpu, began = time.process_time(), time.perf_counter()
    await asyncio.sleep(seconds)
    cpu, took = time.process_time() - cpu, time.perf_counter() - began
    measured = sorted(delays)
    memory = resident_mb()
    for client in clients:
        await client.hang_up()
    await asyncio.gather(*running)
    return {
        "cpu_ms": cpu * 1000 / (sessions * took),
        "rss_mb": memory,
        "delay_p50_ms": _quantile(measured, 0.5),
        "delay_p99_ms": _quantile(measured, 0.99),
        "delays_ms": [delay * 1000 for delay in measured],
    }


async def remember(name: str, url: str, sessions: int) -> dict[str, Any]:
    """Hold sessions one after another; return the memory after every twentieth."""
    grown: list[tuple[int, float]] = []
    for number in range(1, sessions + 1):
        client = build(name, url + "burst", None, [])
        running = asyncio.create_task(client.run())
        await client.interrupted.wait()
        await client.hang_up()
        await running
        if number % 20 == 0:
            del client, running
            gc.collect()
            grown.append((number, resident_mb()))
    return {"grown_mb": grown}


def resident_mb() -> float:
    """Return the memory that this process holds; where unknown, the most it held."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak / 1e3


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    return ordered[int(share * (len(ordered) - 1))] * 1000 if ordered else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("client", choices=(*CLIENTS, *RECORDED))
    parser.add_argument("url")
    parser.add_argument("--sessions", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=6.0)
    parser.add_argument("--warm-up", type=float, default=WARM_UP_SECONDS)
    parser.add_argument("--memory", type=int)
    options = parser.parse_args()
    name: str = options.client
    if options.memory:
        work = remember(name, options.url, options.memory)
    else:
        work = measure(
            name, options.url, options.sessions, options.seconds, options.warm_up
        )
    with asyncio.Runner(loop_factory=_loop_factory(name)) as runner:
        print(json.dumps(runner.run(work)))


def _loop_factory(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    if name != "vagent+uvloop" and not name.startswith("vagent+fast"):
        return None
    import uvloop

    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


if __name__ == "__main__":
    main()
