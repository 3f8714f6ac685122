"""What a kill leaves of a recording.

    python benchmarks/kills.py [--count 100] [--seed 1] [--may-be-lost 0.1]

Holds calls over a real socket and ends their process with SIGKILL at a random moment;
then it compares the recording with what the service had received, and with the audio
that it sent. Exits with 1 if more than the last `--may-be-lost` seconds are missing.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import statistics
import sys
import tempfile
import time
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

sys.path.insert(0, str(Path(__file__).parents[1]))

from runner.audio.virtual import NullSpeaker, SilentMicrophone
from runner.engine.engine import Engine
from runner.engine.transports import Dialer
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.session import ClientSession
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import (
    InputAudio,
    ReplyAudio,
    ReplyStarted,
    SessionReady,
    SessionUpdate,
    SessionUpdated,
    ToolCall,
)
from runner.recording.format import AudioSummary, Header, RecordedAgent
from runner.recording.reader import read_recording
from runner.recording.recorder import Recorder

MAY_BE_LOST = 0.1  # seconds, on a quiet machine
RATE = 24_000
AHEAD_BYTES = RATE  # half a second at once: the speaker never runs dry
CHILD = "--be-killed"


@dataclass(slots=True)
class FarEnd:
    """Speaks without a pause, and notes when what it hears has come."""

    sound: bytes
    piece: float  # seconds of audio in one message
    received: list[tuple[float, int]] = field(default_factory=list)  # bytes so far
    is_live: asyncio.Event = field(default_factory=asyncio.Event)

    async def hold(self, connection: ServerConnection) -> None:
        """Be the service of one call."""
        speaking: asyncio.Task[None] | None = None
        heard = 0
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                match decode_client(text):
                    case SessionUpdate():
                        await connection.send(encode(SessionUpdated()))
                        await connection.send(encode(SessionReady("sess_1")))
                        speaking = asyncio.create_task(self._speak(connection))
                    case InputAudio(pcm):
                        heard += len(pcm)
                        self.received.append((time.monotonic(), heard))
                        self.is_live.set()
        if speaking is not None:
            speaking.cancel()

    async def _speak(self, connection: ServerConnection) -> None:
        size = 2 * int(self.piece * RATE)
        with contextlib.suppress(ConnectionClosed):
            await connection.send(encode(ReplyStarted("reply_1")))
            for at in range(0, len(self.sound), size):
                piece = ReplyAudio(self.sound[at : at + size], "reply_1")
                await connection.send(encode(piece))
                if at >= AHEAD_BYTES:
                    await asyncio.sleep(self.piece)


@dataclass(frozen=True, slots=True)
class Remains:
    """What a kill left: seconds lost of what the service had heard, by where.

    The caller's voice in lines and in its file; of the agent's, by how much its file
    is shorter than the caller's. `is_true` when the agent's file is what was sent;
    `is_safe` when all is there that the service had heard `may_be_lost` before.
    """

    lines: float
    caller: float
    agent: float
    is_true: bool
    is_safe: bool


async def hold_call(url: str, folder: Path) -> None:
    """Be the process that is killed."""

    async def run_tool(call: ToolCall) -> None:
        raise AssertionError("the far end calls no tools")

    agent = RecordedAgent("bench", "bench.yaml", "0" * 64)
    header = Header(agent, url, ClientConfig(), 0, "", "", "", "")
    async with SilentMicrophone() as microphone, NullSpeaker() as speaker:
        with Recorder(folder, header, "") as recorder:
            await Engine(
                ClientSession(ClientConfig({"system_prompt": "Be brief."})),
                Dialer(url, library="websockets"),
                microphone=microphone,
                speaker=speaker,
                run_tool=run_tool,  # type: ignore[arg-type]  # it never returns
                observers=[recorder.observe],
            ).run()


@contextlib.asynccontextmanager
async def far_end(
    seconds: float, piece: float = 0.02
) -> AsyncIterator[tuple[FarEnd, str]]:
    """Give a service with so much to say, and its address."""
    end = FarEnd(random.Random(1).randbytes(2 * int(seconds * RATE)), piece)
    async with serve(end.hold, "127.0.0.1", 0, compression=None) as server:
        yield end, f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def kill_once(
    after: float, folder: Path, may_be_lost: float = MAY_BE_LOST
) -> Remains:
    """Kill a call so many seconds after it began and look at what it left."""
    async with far_end(after + 5.0) as (end, url):
        process = await asyncio.create_subprocess_exec(
            sys.executable, __file__, CHILD, url, str(folder)
        )
        try:
            async with asyncio.timeout(60):
                await end.is_live.wait()
            await asyncio.sleep(after)
        finally:
            killed = time.monotonic()
            process.kill()
            await process.wait()
    return judge(folder, end, killed, may_be_lost)


def judge(folder: Path, end: FarEnd, killed: float, may_be_lost: float) -> Remains:
    """Compare a recording with what its service knew just before the kill."""
    recording = read_recording(folder)
    sent = sum(
        each.sent for _, each in recording.entries if isinstance(each, AudioSummary)
    )
    # Caller and agent begin with the call: what came before the first frame is silence.
    began = next(
        at
        for at, each in recording.entries
        if isinstance(each, AudioSummary) and each.mic
    )
    caller, agent = (read_wav(folder / f"{name}.wav") for name in ("caller", "agent"))
    both = read_wav(folder / "both.wav", channels=2)
    assert len(both) <= 2 * len(agent)
    silence = 2 * max(0, round((began - 0.05) * RATE))
    heard = max((size for at, size in end.received if at <= killed), default=0)
    safe = [size for at, size in end.received if at <= killed - may_be_lost]
    return Remains(
        lines=max(0, heard - sent) / 2 / RATE,
        caller=max(0, heard - (len(caller) - silence)) / 2 / RATE,
        agent=max(0, len(caller) - len(agent)) / 2 / RATE,
        is_true=is_prefix(agent, end.sound),
        is_safe=max(safe, default=0) <= min(sent, len(caller) - silence),
    )


def is_prefix(agent: bytes, sound: bytes) -> bool:
    """Whether a file is silence and then the beginning of what was sent."""
    played = agent.lstrip(b"\0")
    start = sound.find(played[:64])
    # The strip may have taken a first byte that was nought: then half a sample is left.
    return 0 <= start <= 1 and sound.startswith(played, start)


def read_wav(path: Path, channels: int = 1) -> bytes:
    """Return the audio of a file; its header must contain the right length."""
    with wave.open(str(path), "rb") as file:
        assert file.getnchannels() == channels
        pcm = file.readframes(file.getnframes())
    # The data is there before the header says so: a kill may come between.
    assert 0 <= path.stat().st_size - 44 - len(pcm) <= 2 * RATE * channels
    return pcm


async def kill_often(count: int, seed: int, may_be_lost: float) -> None:
    """Print how much was lost, at worst and at the median."""
    lots = random.Random(seed)
    found = []
    for _ in range(count):
        with tempfile.TemporaryDirectory() as folder:
            after = lots.uniform(0.2, 2.0)
            found.append(await kill_once(after, Path(folder), may_be_lost))
    print(f"{count} calls killed, {len(found)} recordings readable")
    print(
        f"{sum(each.is_true for each in found)} hold the agent's voice as it was sent"
    )
    print("lost of what the far end had heard, in ms: median, longest")
    for name in ("lines", "caller", "agent"):
        lost = sorted(getattr(each, name) * 1000 for each in found)
        print(f"  {name:8}{statistics.median(lost):8.0f}{lost[-1]:8.0f}")
    bad = sum(not (each.is_true and each.is_safe) for each in found)
    milliseconds = f"{may_be_lost * 1000:.0f} ms"
    print(f"{bad} lost something from before the last {milliseconds}")
    raise SystemExit(1 if bad else 0)


def main() -> None:
    if CHILD in sys.argv:
        asyncio.run(hold_call(sys.argv[-2], Path(sys.argv[-1])))
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--may-be-lost", type=float, default=MAY_BE_LOST)
    options = parser.parse_args()
    asyncio.run(kill_often(options.count, options.seed, options.may_be_lost))


if __name__ == "__main__":
    main()
