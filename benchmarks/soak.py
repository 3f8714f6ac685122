"""Does anything grow? Many sessions one after another, and one that lasts an hour.

    python benchmarks/soak.py [--sessions 1000] [--messages 72000] [--speed 1200]
    python benchmarks/soak.py --short

The whole engine and the real dialer, over real sockets, with `farend.py` in another
process; the devices are stand-ins that keep nothing. The hour is 72,000 messages of
50 ms each way at `--speed` messages a second, with turns, tool calls, interruptions and
lines that are reset and reopened.

Figures are taken between sessions, or every 1,000 messages, after a garbage collection;
the first fifth is warming up. `blocks` are what Python has allocated. Exits with 1 when
one of the bounds is exceeded. With `--short` a few seconds of both are bounded only in
tasks, threads and files: memory needs a long run to show a slope.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import os
import random
import statistics
import sys
import threading
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

sys.path.insert(0, str(Path(__file__).parents[1]))

from benchmarks.farend import DROP
from runner.engine.engine import Engine
from runner.engine.transports import Dialer
from runner.protocol.client.actions import Outcome
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp, Say
from runner.protocol.client.session import ClientSession
from runner.protocol.client.tool_calls import ToolPolicy
from runner.protocol.messages import ToolCall

TOOL = {"type": "function", "name": "look", "timeout_seconds": 20}
CONFIG = ClientConfig(
    session={"system_prompt": "Be brief.", "tools": [TOOL]},
    tools={"look": ToolPolicy()},
)
FRAME = bytes(2_400)  # 50 ms at 24 kHz
# What may be there in the end beyond the first figure after the warm-up.
MOST_MORE = {"tasks": 0, "threads": 0, "files": 1}
# And what may be added by each session, or by each 1,000 messages.
MOST_SLOPE = {"kilobytes": 1.0, "blocks": 12.0}


class Silence:
    """A microphone that gives silence evenly, and a speaker that keeps nothing."""

    dropped_ms = 0.0
    pending_ms = 0.0

    def __init__(self, speed: float, step: int) -> None:
        self.given = 0
        self.played = 0
        self.step = asyncio.Event()  # set after each so many frames
        self._speed = speed
        self._step = step

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def frames(self) -> AsyncIterator[bytes]:
        while True:
            yield FRAME
            self.given += 1
            if self.given % self._step == 0:
                self.step.set()
            # Never two at once, however late: a burst would be dropped as a backlog.
            await asyncio.sleep(1 / self._speed)

    def play(self, pcm: bytes) -> None:
        self.played += len(pcm) // len(FRAME)

    def stop(self) -> float:
        return 0.0

    async def drained(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Answer:
    """What a tool gives back."""

    text: str = '{"at":"home"}'
    is_error: bool = False


async def look(call: ToolCall) -> Answer:
    del call
    await asyncio.sleep(0)
    return Answer()


@dataclass(frozen=True, slots=True)
class Figures:
    """Resources of this process at one moment; files is -1 if unknown."""

    kilobytes: float
    blocks: float
    tasks: float
    threads: float
    files: float


def take_figures() -> Figures:
    gc.collect()
    return Figures(
        resident_kilobytes(),
        sys.getallocatedblocks(),
        len(asyncio.all_tasks()),
        threading.active_count(),
        open_files(),
    )


def resident_kilobytes() -> float:
    with contextlib.suppress(OSError):  # Linux only
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 1024
    return 0.0


def open_files() -> int:
    for folder in ("/proc/self/fd", "/dev/fd"):
        with contextlib.suppress(OSError):
            return len(os.listdir(folder))
    return -1


@contextlib.asynccontextmanager
async def far_end(drop: int = DROP) -> AsyncIterator[str]:
    """Start the service and yield its address; each `drop` messages the line goes."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(Path(__file__).with_name("farend.py")),
        str(drop),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield (await process.stdout.readline()).decode().strip()
    finally:
        process.stdin.close()
        await process.wait()


def new_engine(url: str, devices: Silence) -> Engine:
    return Engine(
        ClientSession(CONFIG, jitter=random.random),
        Dialer(url, lambda: None),
        microphone=devices,
        speaker=devices,
        run_tool=look,
    )


async def one_session(url: str) -> None:
    """Hold a short call: a turn with words, a turn with a tool, and goodbye."""
    devices = Silence(2_000.0, 130)
    engine = new_engine(url, devices)
    running = asyncio.create_task(engine.run())
    async with asyncio.timeout(30):
        await engine.settled.wait()
        engine.post(Say("Where is it?"))
        await devices.step.wait()
        engine.post(HangUp("done"))
        close = await running
    assert close.outcome is Outcome.CLEAN, close
    assert devices.played > 0, "the agent was not heard"


async def many_sessions(url: str, count: int) -> list[Figures]:
    """Return the figures between sessions."""
    taken: list[Figures] = []
    for _ in range(count):
        await one_session(url)
        taken.append(take_figures())
    return taken


async def long_session(
    url: str, messages: int, speed: float, step: int = 1_000
) -> list[Figures]:
    """Return the figures of one call, after each `step` messages."""
    devices = Silence(speed, step)
    engine = new_engine(url, devices)
    running = asyncio.create_task(engine.run())
    taken: list[Figures] = []
    for _ in range(messages // step):
        async with asyncio.timeout(step / speed + 60):
            await devices.step.wait()
            devices.step.clear()
            # Between replies and drops: then there are as many tasks each time.
            await engine.settled.wait()
        taken.append(take_figures())
    engine.post(HangUp("done"))
    close = await running
    assert close.outcome is Outcome.CLEAN, close
    print(f"  {devices.given} messages of sound up, {devices.played} down")
    return taken


def slope(values: list[float]) -> float:
    """Return by how much each value exceeds the one before, by least squares."""
    return statistics.linear_regression(range(len(values)), values).slope


def report(
    name: str,
    taken: list[Figures],
    unit: str,
    most_slope: Mapping[str, float] = MOST_SLOPE,
) -> bool:
    """Print first, last and slope of all figures; True if all bounds are kept."""
    steady = taken[len(taken) // 5 :]
    print(f"{name}: {len(taken)} figures, one a {unit}")
    print(f"  {'':10} {'first':>10} {'last':>10} {'more a ' + unit:>20}")
    is_flat = True
    series: Mapping[str, list[float]] = {
        key: [asdict(figures)[key] for figures in steady] for key in asdict(steady[0])
    }
    for key, values in series.items():
        grows = slope(values)
        too_much = grows > most_slope.get(key, float("inf"))
        too_much |= values[-1] - values[0] > MOST_MORE.get(key, float("inf"))
        is_flat &= not too_much
        mark = "  too much" if too_much else ""
        print(f"  {key:10} {values[0]:10.0f} {values[-1]:10.0f} {grows:20.3f}{mark}")
    return is_flat


async def soak(sessions: int, messages: int, speed: float) -> list[bool]:
    async with far_end() as url:
        taken = await many_sessions(url, sessions)
        flat = [report("sessions one after another", taken, "session")]
    if messages:
        async with far_end() as url:
            taken = await long_session(url, messages, speed)
            flat.append(report("one long session", taken, "1,000 messages"))
    return flat


async def short_soak() -> list[bool]:
    async with far_end() as url:
        taken = await many_sessions(url, 12)
        flat = [report("sessions one after another", taken, "session", {})]
    async with far_end(drop=300) as url:
        taken = await long_session(url, 1_000, 2_000.0, step=200)
        flat.append(report("one long session", taken, "200 messages", {}))
    return flat


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1_000)
    parser.add_argument("--messages", type=int, default=72_000)
    parser.add_argument("--speed", type=float, default=1_200.0, help="messages/second")
    parser.add_argument("--short", action="store_true", help="a few seconds of both")
    given = parser.parse_args()
    if given.short:
        flat = asyncio.run(short_soak())
    else:
        flat = asyncio.run(soak(given.sessions, given.messages, given.speed))
    sys.exit(not all(flat))


if __name__ == "__main__":
    main()
