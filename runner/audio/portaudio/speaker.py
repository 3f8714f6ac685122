"""The speaker of a sound card, as the engine sees it.

Here sound is resampled and spread over channels, on the loop's side; what PortAudio's
thread calls (`render`) only moves bytes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import numpy as np

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import AudioProcessor
from runner.audio.pcm import (
    Samples,
    duration_ms,
    fade_out,
    mix_to_mono,
    scale,
    spread,
    to_pcm,
    to_samples,
)
from runner.audio.playback import (
    FADE_MS,
    ClockDriftController,
    JitterEstimator,
    PlaybackBuffer,
    PlaybackCounts,
    PlaybackLimits,
)
from runner.audio.portaudio.library import SoundDevice
from runner.audio.portaudio.microphone import Card, SoundCardDevice
from runner.audio.resampler import SteadyResampler, resample_pcm

# A soft end of 5 ms: no step where sound breaks off. What is low is less than the
# device's next block: to bring what the resampler holds back ends the run, so it is
# done at the last moment.
_SOFT_MS = 5.0
_LIMITS = PlaybackLimits(low_ms=10.0, soft_ms=_SOFT_MS)
# What a steerable resampler keeps, at any rate, in samples at 24 kHz: 10 ms.
_KEPT = SAMPLE_RATE // 100
# Samples over which a change of pace is spread: 10 ms.
_SLEW = SAMPLE_RATE // 100


class CardSpeaker(SoundCardDevice):
    """The speaker of a sound card; takes 24 kHz mono."""

    def __init__(
        self,
        card: Card,
        on_low: Callable[[], None],
        front_end: AudioProcessor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """A front end is told of all that is played.

        The clock is in seconds; it tells how late sound arrives.
        """
        super().__init__(card)
        self._front_end = front_end
        self.latency = 0.0  # seconds from the buffer to the ear, as the device says
        self._on_low = on_low
        self._moved = asyncio.Event()
        self._buffer = PlaybackBuffer()
        self._path = _Path(SAMPLE_RATE, 1)
        self._clock = clock
        self._lateness = JitterEstimator()
        self._steering = ClockDriftController()

    @property
    def counts(self) -> PlaybackCounts:
        """What was played, cleared and dropped, in frames at the device's rate."""
        return self._buffer.counts

    @property
    def channels(self) -> int:
        """Of the device."""
        return self._path.channels

    @property
    def pending_ms(self) -> float:
        """How much is buffered and not yet with the device, in milliseconds."""
        return self._buffer.pending_ms

    def play(self, pcm: bytes) -> None:
        """Append sound to what is being played."""
        at, buffer = self._clock(), self._buffer
        self._lateness.note(at, duration_ms(pcm) / 1000)
        if buffer.is_dry:
            self._lateness.begin(at)
            self._lateness.note(at, duration_ms(pcm) / 1000)
            self._steering.begin()
        else:
            self._steering.note(at, buffer.pending_ms)
        self._path.steer(self._steering.faster)
        buffer.write(self._path.process(pcm), cushion_ms=self._lateness.cushion_ms)

    def stop(self) -> float:
        """Drop what the device has not got yet, but for a short fade; say how much."""
        if 0 < self._buffer.pending_ms < FADE_MS:
            self._play_tail()  # or there would be too little to fade
        dropped_ms = self._path.drop() + self._buffer.clear()
        # The silence ahead of the resampler's first sound is no loss.
        return min(dropped_ms, self._lateness.run_ms)

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
        """Make ready to play on this device; called by the card.

        Also in mid-call, when another device was taken up: what the last one had not
        got yet is played on this one.
        """
        self._play_tail()
        counts, rest = self._buffer.counts, to_samples(self._buffer.empty())
        mono, rate = mix_to_mono(rest, self._path.channels), counts.rate
        self.latency = latency
        if self._front_end is not None:
            self._front_end.attach(device.rate, device.channels, device.name)
        self._path = _Path(device.rate, device.channels)
        self._buffer = PlaybackBuffer(
            device.rate, device.channels, limits=_LIMITS, on_low=self._on_low
        )
        self._buffer.counts = counts.at_rate(device.rate)
        pcm = resample_pcm(to_pcm(mono), rate, device.rate)
        self._buffer.write(spread(pcm, device.channels))

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
        if self._path.is_holding:
            self._buffer.write(self._path.finish(), is_tail=True)


class _Path:
    """From 24 kHz mono to what a device plays."""

    def __init__(self, rate: int, channels: int) -> None:
        self.channels = channels
        self.is_holding = False  # samples went in that have not come out
        self._rate = rate
        self._resampler = SteadyResampler(SAMPLE_RATE, rate, is_steerable=True)
        self._faster = 0.0
        self._soft = round(_SOFT_MS * rate / 1000)
        self._kept = _KEPT * rate // SAMPLE_RATE
        # Frames since what does not join what came before it; grows loud meanwhile.
        self._rising = self._soft

    def process(self, pcm: bytes) -> bytes:
        """Take a piece; return what it completes, perhaps nothing."""
        samples = to_samples(pcm[: len(pcm) & ~1])
        if len(samples) and not self.is_holding:
            # Silence first, so that what goes in comes out as long at once.
            samples = np.concatenate((np.zeros(_KEPT, np.float32), samples))
            self.is_holding = True
        played = self._rise(to_pcm(self._resampler.process(samples)))
        return spread(played, self.channels)

    def finish(self) -> bytes:
        """Return what was held back, ending in silence.

        It was filtered as if silence followed, so what follows it grows loud anew.
        """
        played = fade_out(self._rise(to_pcm(self._release())))
        self._rising = -self._kept
        return spread(played, self.channels)

    def drop(self) -> float:
        """Forget what was held back; return how much it was, in milliseconds."""
        dropped = self._release() if self.is_holding else b""
        self._rising = -self._kept
        return len(dropped) * 1000 / self._rate

    def steer(self, faster: float) -> None:
        """Play so much faster from now on, as a share of one."""
        if faster != self._faster:
            self._resampler.steer(faster, _SLEW)
            self._faster = faster

    def _rise(self, pcm: bytes) -> bytes:
        if self._rising >= self._soft:
            return pcm
        frames = np.arange(len(pcm) // 2, dtype=np.float32) + self._rising
        self._rising += len(frames)
        return scale(pcm, np.clip(frames / self._soft, 0.0, 1.0))

    def _release(self) -> Samples:
        self.is_holding = False
        self._faster = 0.0  # a new stream is not steered
        return self._resampler.process(np.zeros(0, np.float32), last=True)
