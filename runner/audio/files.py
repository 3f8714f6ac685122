"""Sound files as devices: a microphone that plays one, a speaker that writes one."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Self

from runner.audio.devices import FRAME_BYTES, FRAME_MS
from runner.audio.framing import Framer
from runner.audio.pace import Clock, LoopClock, Ticker
from runner.audio.recording import WavWriter
from runner.audio.soundfiles import SoundReader
from runner.audio.speaker import ClockedSpeaker


class FileMicrophone:
    """Gives a sound file at real-time pace, then silence; `--input FILE.wav`.

    Nothing of the file is lost when the program stalls: what is left is delayed. The
    silence after its end lets the far end hear that the caller stopped speaking.
    """

    def __init__(
        self,
        path: Path,
        *,
        tail_seconds: float | None = None,
        pace: Clock | None = None,
    ) -> None:
        """Play `path`, then `tail_seconds` of silence, or silence for ever for None."""
        self.dropped_ms = 0.0
        self.finished = asyncio.Event()  # set when the file's own sound is over
        self.started_at: float | None = None  # the pace's clock at the file's start
        self._reader = SoundReader(path)
        self._tail_seconds = tail_seconds
        self._pace = pace or LoopClock()

    async def __aenter__(self) -> Self:
        self._reader.open()
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._reader.close()

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the file in frames, its last one filled up, then the silence.

        The clock starts with the first frame asked for. To be iterated once. Raises
        AudioFileError when the file turns out to be broken further on.
        """
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        framer = Framer(FRAME_BYTES)
        self.started_at = self._pace.now()
        # A block is read and resampled on the loop: under a millisecond for 100 ms.
        for block in self._reader.blocks():
            for frame in framer.feed(block):
                await ticker.tick()
                yield frame
        if rest := framer.flush():
            await ticker.tick()
            yield rest
        self.finished.set()
        left = math.inf
        if self._tail_seconds is not None:
            left = math.ceil(self._tail_seconds * 1000 / FRAME_MS)
        while left > 0:
            left -= 1
            await ticker.tick()
            yield bytes(FRAME_BYTES)


class FileSpeaker(ClockedSpeaker):
    """Writes what is played into a WAV file in real time; `--output FILE.wav`.

    The file is 24 kHz mono PCM16, as long as the speaker was open, silent where nobody
    spoke, and valid at every moment. What `stop` dropped is not in it.
    """

    def __init__(
        self,
        path: Path,
        *,
        begins_with: FileMicrophone | None = None,
        pace: Clock | None = None,
    ) -> None:
        """Write to `path`; the files begin together with `begins_with`.

        A microphone is listened to when the call is ready, a speaker is open before:
        only files that begin together can be laid side by side.
        """
        begins_at = None if begins_with is None else lambda: begins_with.started_at
        super().__init__(WavWriter(path), begins_at=begins_at, pace=pace)
