"""A whole call from a desk: sound card, echo cancellation, engine, socket, service.

The times at which audio passes between PortAudio and the card are noted at its own
seam, the module that stands for PortAudio.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runner.audio.echo import EchoCanceller
from runner.audio.portaudio.library import load_portaudio
from runner.audio.portaudio.soundcard import SoundCard
from runner.engine.engine import Engine
from runner.engine.transports import Dialer, choose_library
from runner.protocol.client.actions import StopPlayback
from runner.protocol.client.config import ClientConfig
from runner.protocol.client.events import HangUp
from runner.protocol.client.session import ClientSession
from runner.protocol.messages import ToolCall
from tests.device.room import ROOT
from tests.fakes import Outcome


@dataclass(slots=True)
class Passed:
    """Blocks as they passed between PortAudio and the card, and when."""

    pcm: list[bytes] = field(default_factory=list)
    at: list[float] = field(default_factory=list)

    def note(self, pcm: bytes) -> None:
        """Take a block that passes now."""
        self.pcm.append(pcm)
        self.at.append(time.monotonic())

    def audio(self) -> tuple[NDArray[np.int16], NDArray[np.int64]]:
        """Return all samples, and with which the blocks end."""
        samples = np.frombuffer(b"".join(self.pcm), "<i2")
        return samples, np.cumsum([len(piece) // 2 for piece in self.pcm])

    def time_of(self, index: int) -> float:
        """Return when the block with this sample passed."""
        return self.at[int(np.searchsorted(self.audio()[1], index, side="right"))]


class StampedPortAudio:
    """PortAudio, with a look at the clock around each block; mono devices."""

    def __init__(self) -> None:
        self._library = load_portaudio()
        self.recorded, self.played = Passed(), Passed()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._library, name)

    # The names are sounddevice's own.
    def RawInputStream(self, **settings: Any) -> Any:
        inner: Callable[..., None] = settings.pop("callback")

        def on_block(recorded: Any, frames: int, at: Any, status: Any) -> None:
            self.recorded.note(bytes(recorded))
            inner(recorded, frames, at, status)

        return self._library.RawInputStream(callback=on_block, **settings)

    def RawOutputStream(self, **settings: Any) -> Any:
        inner: Callable[..., None] = settings.pop("callback")

        def on_block(played: Any, frames: int, at: Any, status: Any) -> None:
            inner(played, frames, at, status)
            self.played.note(bytes(played))

        return self._library.RawOutputStream(callback=on_block, **settings)


@dataclass(frozen=True, slots=True)
class Held:
    """What a call left behind, at each of the places that audio passes."""

    began: float
    ended: float
    recorded: Passed
    played: Passed
    cuts: list[float]  # when it was decided to stop playing
    far: dict[str, NDArray[Any]]


@contextlib.contextmanager
def far_end(script: str, path: Path) -> Iterator[str]:
    """Run the service; what it kept is in the file afterwards."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.desk.service", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait()
        process.stdout.close()


async def _no_tool(call: ToolCall) -> Outcome:
    return Outcome("null")


async def _hold(url: str, seconds: float) -> tuple[StampedPortAudio, list[float]]:
    cuts: list[float] = []

    def observe(at: float, what: object) -> None:
        if isinstance(what, StopPlayback):
            cuts.append(time.monotonic())

    library = StampedPortAudio()
    async with SoundCard(front_end=EchoCanceller(), library=library) as card:
        engine = Engine(
            ClientSession(ClientConfig()),
            Dialer(url, library=choose_library("auto")),
            microphone=card.microphone,
            speaker=card.speaker,
            run_tool=_no_tool,
            observers=[observe],
        )
        running = asyncio.create_task(engine.run())
        await asyncio.wait([running], timeout=seconds)
        cuts_made = cuts.copy()  # the end of the call stops playing, too
        engine.post(HangUp("measured"))
        await running
    return library, cuts_made


def hold_call(script: str, seconds: float) -> Held:
    """Hold a call of this length with the service's script; in an entered room."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "far.npz"
        with far_end(script, path) as url:
            began = time.monotonic()
            library, cuts = asyncio.run(_hold(url, seconds))
            ended = time.monotonic()
        with np.load(path) as kept:
            far = {name: kept[name] for name in kept.files}
    return Held(began, ended, library.recorded, library.played, cuts, far)


def onsets(samples: NDArray[np.int16], rate: int) -> NDArray[np.int64]:
    """Return where clicks begin; none is nearer to the next than 0.1 s."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > 3000)
    return loud[np.diff(loud, prepend=-rate) > rate // 10]
