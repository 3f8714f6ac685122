"""The real PortAudio, and a sound server that is disturbed while a call goes on."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np

from runner.audio.pcm import to_pcm
from runner.audio.portaudio.soundcard import SoundCard
from tests.device.daemon import Daemon, daemon

__all__ = ["daemon"]  # a fixture

RATE = 24_000
TONE = to_pcm((0.3 * np.sin(np.arange(RATE // 20) * 0.1)).astype(np.float32))
# A longer wait for audio is a wait without end.
PATIENCE_SECONDS = 15.0


class Call:
    """Plays without end, and hears itself."""

    def __init__(self) -> None:
        self.notices: list[str] = []
        self.card = SoundCard(notice=self.notices.append)
        self._is_loud = False
        self._heard = asyncio.Event()

    async def listen(self) -> None:
        async for frame in self.card.microphone.frames():
            if self.card.speaker.pending_ms < 200:
                for _ in range(4):
                    self.card.speaker.play(TONE)
            loudest = int(np.abs(np.frombuffer(frame, "<i2").astype(int)).max())
            self._is_loud = loudest > 1_000
            self._heard.set()

    async def until(self, *, loud: bool) -> None:
        """Wait until what is heard is loud, or is not."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while True:
                self._heard.clear()
                await self._heard.wait()
                if self._is_loud is loud:
                    return


@contextlib.asynccontextmanager
async def calling() -> AsyncIterator[Call]:
    call = Call()
    async with call.card:
        listening = asyncio.create_task(call.listen())
        call.card.speaker.play(TONE)
        await call.until(loud=True)
        yield call
    await listening


async def test_a_sound_server_that_crashed_is_reopened(daemon: Daemon) -> None:
    async with calling() as call:
        daemon.kill()
        await call.until(loud=False)
        await asyncio.to_thread(daemon.start)
        await call.until(loud=True)
        assert call.card.is_open


async def test_a_suspended_device_is_opened_when_it_wakes(daemon: Daemon) -> None:
    async with calling() as call:
        daemon.command("suspend-sink", "room", "1")
        await call.until(loud=False)
        daemon.command("suspend-sink", "room", "0")
        await call.until(loud=True)


async def test_a_device_that_is_pulled_out_gives_way_to_the_next(
    daemon: Daemon,
) -> None:
    async with calling() as call:
        daemon.command("unload-module", "module-null-sink")
        await call.until(loud=False)
        daemon.command("load-module", "module-null-sink", "sink_name=third")
        daemon.use("third")
        await call.until(loud=True)


async def test_the_call_follows_another_default(daemon: Daemon) -> None:
    async with calling() as call:
        daemon.use("other")
        await call.until(loud=True)
        assert call.notices == []
