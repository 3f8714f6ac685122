"""A sound server that is shot, and a speaker that is suspended, in mid-call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from runner.audio.pcm import to_pcm, to_samples
from runner.audio.soundcard import SoundCard
from tests.device.room import _look_again
from tests.device.test_loopback import chirp

_SECONDS = 20.0  # for anything to happen at all, on a machine that is busy


@dataclass
class Server:
    """A PulseAudio whose microphone hears what its loudspeaker plays."""

    folder: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.process = subprocess.Popen(
            [
                *("pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no"),
                *("--exit-idle-time=-1", "-L", "module-native-protocol-unix"),
                *("-L", "module-null-sink sink_name=room rate=48000"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _SECONDS
        while self.tell("set-default-source", "room.monitor"):
            assert time.monotonic() < deadline, "pulseaudio does not start"
            time.sleep(0.05)

    def shoot(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait()

    def tell(self, *command: str) -> int:
        return subprocess.run(
            ["pactl", *command], capture_output=True, check=False
        ).returncode


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with tempfile.TemporaryDirectory(prefix="server-") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("PULSE_SERVER", f"unix:{folder}/pulse/native")
        monkeypatch.setenv("PULSE_COOKIE", f"{folder}/cookie")
        server = Server(Path(folder))
        try:
            server.start()
        except FileNotFoundError as error:
            pytest.skip(f"{os.fspath(error.filename)} is not installed")
        _look_again()
        yield server
        server.shoot()


@dataclass
class Call:
    """Somebody who plays without end and listens to it."""

    card: SoundCard
    notices: list[str]
    frames: list[bytes] = field(default_factory=list)
    heard_more: asyncio.Event = field(default_factory=asyncio.Event)

    async def listen(self) -> None:
        async for frame in self.card.microphone.frames():
            self.frames.append(frame)
            self.heard_more.set()

    async def play(self) -> None:
        pcm = to_pcm(chirp(1.0))
        while True:
            if self.card.speaker.pending_ms < 500:
                self.card.speaker.play(pcm)
            await asyncio.sleep(0.1)

    async def hears(self, is_sound: bool) -> float:
        """Wait until the newest frame is sound, or silence; return how long it took."""
        began = time.monotonic()
        async with asyncio.timeout(_SECONDS):
            while True:
                self.heard_more.clear()
                await self.heard_more.wait()
                loud = bool(abs(to_samples(self.frames[-1])).max() > 0.01)
                if loud is is_sound:
                    return time.monotonic() - began


@contextlib.asynccontextmanager
async def call() -> AsyncIterator[Call]:
    notices: list[str] = []
    async with SoundCard(notice=notices.append) as card:
        held = Call(card, notices)
        tasks = [asyncio.create_task(held.listen()), asyncio.create_task(held.play())]
        await held.hears(is_sound=True)
        yield held
        tasks[1].cancel()
    await asyncio.wait(tasks)


async def test_a_sound_server_that_is_started_again_is_taken_up(server: Server) -> None:
    async with call() as held:
        server.shoot()
        await held.hears(is_sound=False)  # by the clock: the call lives on
        server.start()
        await held.hears(is_sound=True)
        assert held.card.is_open
        assert len(held.notices) <= 2, held.notices


async def test_a_device_that_was_suspended_and_woken_goes_on(server: Server) -> None:
    async with call() as held:
        assert server.tell("suspend-sink", "room", "1") == 0
        await held.hears(is_sound=False)
        assert server.tell("suspend-sink", "room", "0") == 0
        await held.hears(is_sound=True)
        assert held.card.is_open
