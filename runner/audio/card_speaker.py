"""The speaker of a sound card, as the engine sees it.

Here sound is resampled and spread over channels, on the loop's side; what PortAudio's
thread calls (`render`) only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import FrontEnd
from runner.audio.halves import Card, Half
from runner.audio.pcm import Samples, spread, to_pcm, to_samples
from runner.audio.playback import PlaybackBuffer, PlaybackCounts
from runner.audio.portaudio import SoundDevice
from runner.audio.resampling import Resampler


class CardSpeaker(Half):
    """The speaker of a sound card; takes 24 kHz mono."""

    def __init__(
        self,
        card: Card,
        on_low: Callable[[], None],
        front_end: FrontEnd | None = None,
    ) -> None:
        """A front end is told of all that is played."""
        super().__init__(card)
        self._front_end = front_end
        self.latency = 0.0  # seconds from the buffer to the ear, as the device says
        self._on_low = on_low
        self._moved = asyncio.Event()
        self._buffer = PlaybackBuffer()
        self._resampler = Resampler(SAMPLE_RATE, SAMPLE_RATE)
        self.channels = 1  # of the device

    @property
    def counts(self) -> PlaybackCounts:
        """What was played, cleared and dropped, in frames at the device's rate."""
        return self._buffer.counts

    @property
    def pending_ms(self) -> float:
        """How much is buffered and not yet with the device, in milliseconds."""
        return self._buffer.pending_ms

    def play(self, pcm: bytes) -> None:
        """Append sound to what is being played."""
        samples = self._resampler.process(to_samples(pcm[: len(pcm) & ~1]))
        self._buffer.write(spread(to_pcm(samples), self.channels))

    def stop(self) -> None:
        """Drop what the device has not got yet, but for a short fade."""
        self._release_tail()
        self._buffer.clear()

    async def drained(self) -> None:
        """Return once everything was heard or stopped, or the card is gone."""
        self._play_tail()
        was_playing = self._buffer.pending_ms > 0
        while self._buffer.pending_ms > 0 and self._card.is_open:
            self._moved.clear()
            await self._moved.wait()
        if was_playing and self._card.is_open:
            # The device has it all; what it holds is yet to be heard.
            await asyncio.sleep(self.latency)

    def attach(self, device: SoundDevice, latency: float) -> None:
        """Make ready to play on this device; called by the card."""
        self.latency = latency
        self.channels = device.channels
        if self._front_end is not None:
            self._front_end.attach(device.rate, device.channels)
        self._resampler = Resampler(SAMPLE_RATE, device.rate)
        self._buffer = PlaybackBuffer(device.rate, device.channels, on_low=self._on_low)

    def render(self, size: int, at: float) -> bytes:
        """Give PortAudio's thread the next bytes.

        `at` is when the first of them reaches the speaker, on the stream's clock.
        """
        pcm = self._buffer.read(size)
        if self._front_end is not None:
            self._front_end.played(pcm, at)
        return pcm

    def wake(self) -> None:
        """Bring what is held back, and let `drained` look again; on the loop."""
        self._play_tail()
        self._moved.set()

    def _play_tail(self) -> None:
        """Play what the resampler holds back: nothing more may come for a while."""
        if self._resampler.is_holding:
            tail = to_pcm(self._release_tail())
            self._buffer.write(spread(tail, self.channels), is_tail=True)

    def _release_tail(self) -> Samples:
        return self._resampler.process(np.zeros(0, np.float32), last=True)
