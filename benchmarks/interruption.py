"""From the caller's interruption to silence in the speaker's buffer.

    python benchmarks/interruption.py [--count 1000]

The engine with a wire and a speaker that are stand-ins: the clock starts when the
message is ready to be read, and stops when the speaker's buffer is empty. The speaker
holds a second of audio each time.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from runner.engine.engine import Engine
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import (
    InputSpeechStarted,
    InputSpeechStopped,
    ReplyAudio,
    ReplyDone,
    ReplyStarted,
    SessionEnded,
    SessionReady,
    ToolCall,
)
from tests.fakes import FakeDialer, FakeMicrophone, FakeSpeaker, FakeTransport, Outcome

FULL_MS = 1000


class TimedSpeaker(FakeSpeaker):
    """Notes when its buffer is full, and when it was emptied."""

    def __init__(self) -> None:
        super().__init__()
        self.full = asyncio.Event()
        self.stopped_at = 0.0

    def play(self, pcm: bytes) -> None:
        super().play(pcm)
        if self.pending_ms >= FULL_MS:
            self.full.set()

    def stop(self) -> float:
        dropped_ms = super().stop()
        self.stopped_at = time.perf_counter()
        return dropped_ms


async def no_tool(call: ToolCall) -> Outcome:
    return Outcome("null")


async def measure(count: int) -> list[float]:
    wire, speaker = FakeTransport(), TimedSpeaker()
    engine = Engine(
        ClientSession(ClientConfig()),
        FakeDialer(wire),
        microphone=FakeMicrophone(),
        speaker=speaker,
        run_tool=no_tool,
    )
    ended = asyncio.create_task(engine.run())
    await wire.heard("session.update")
    wire.peer_says(SessionReady("s"))
    await engine.settled.wait()
    times: list[float] = []
    for number in range(count):
        reply = f"r{number}"
        wire.peer_says(
            ReplyStarted(reply), *(ReplyAudio(bytes(480), reply) for _ in range(100))
        )
        await speaker.full.wait()
        speaker.full.clear()
        speaker.stopped.clear()
        began = time.perf_counter()
        wire.peer_says(InputSpeechStarted())
        await speaker.stopped.wait()
        assert speaker.pending_ms == 0
        times.append(speaker.stopped_at - began)
        wire.peer_says(ReplyDone(reply, "interrupted"), InputSpeechStopped())
    engine.post(HangUp("measured"))
    wire.peer_says(SessionEnded(1.0))
    await ended
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    count: int = parser.parse_args().count
    times = sorted(asyncio.run(measure(count)))
    p50, p99 = statistics.median(times), times[int(0.99 * (count - 1))]
    print(f"{count} interruptions, event to empty buffer:")
    print(f"  p50 {p50 * 1e6:.0f} us   p99 {p99 * 1e6:.0f} us   ", end="")
    print(f"longest {times[-1] * 1e6:.0f} us")


if __name__ == "__main__":
    main()
