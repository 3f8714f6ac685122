"""The speaker of a sound card: jitter buffer, resampling and channels.

Audio is resampled and converted on the event loop; the PortAudio thread calls
`render`, which only moves bytes.
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

# Fades of 5 ms avoid a step where the audio stops. The low level is less than the next
# block of the device: flushing the resampler ends the run, so it is done as late as
# possible.
_GAP_FADE_MS = 5.0
_LIMITS = PlaybackLimits(low_ms=10.0, gap_fade_ms=_GAP_FADE_MS)
# Samples at 24 kHz that a steerable resampler holds at any rate: 10 ms.
_HELD_SAMPLES = SAMPLE_RATE // 100
# Samples over which a change of speed is spread: 10 ms.
_SPEED_CHANGE_SAMPLES = SAMPLE_RATE // 100


class CardSpeaker(SoundCardDevice):
    """The speaker of a sound card; takes 24 kHz mono."""

    def __init__(
        self,
        card: Card,
        on_low: Callable[[], None],
        front_end: AudioProcessor | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Creates a speaker; `front_end` receives all played audio.

        `clock` returns seconds and measures how late audio arrives.
        """
        super().__init__(card)
        self._front_end = front_end
        self.latency = 0.0  # seconds from the buffer to the loudspeaker, by the device
        self._on_low = on_low
        self._moved = asyncio.Event()
        self._buffer = PlaybackBuffer()
        self._converter = _Converter(SAMPLE_RATE, 1)
        self._clock = clock
        self._lateness = JitterEstimator()
        self._steering = ClockDriftController()

    @property
    def counts(self) -> PlaybackCounts:
        """Counters of played, cleared and dropped frames at the rate of the device."""
        return self._buffer.counts

    @property
    def channels(self) -> int:
        """Number of channels of the device."""
        return self._converter.channels

    @property
    def pending_ms(self) -> float:
        """Milliseconds of audio that are buffered and not yet read by the device."""
        return self._buffer.pending_ms

    def play(self, pcm: bytes) -> None:
        """Appends audio to the playback buffer."""
        at, buffer = self._clock(), self._buffer
        self._lateness.note(at, duration_ms(pcm) / 1000)
        if buffer.is_dry:
            self._lateness.begin(at)
            self._lateness.note(at, duration_ms(pcm) / 1000)
            self._steering.begin()
        else:
            self._steering.note(at, buffer.pending_ms)
        self._converter.steer(self._steering.faster)
        buffer.write(self._converter.process(pcm), cushion_ms=self._lateness.cushion_ms)

    def stop(self) -> float:
        """Discards the buffered audio after a short fade; returns its milliseconds."""
        if 0 < self._buffer.pending_ms < FADE_MS:
            self._play_tail()  # else there would be too little to fade
        dropped_ms = self._converter.drop() + self._buffer.clear()
        # The silence before the first samples of the resampler does not count.
        return min(dropped_ms, self._lateness.run_ms)

    async def drained(self) -> None:
        """Returns once all audio was played or stopped, or the card is closed."""
        self._play_tail()
        was_playing = self._buffer.pending_ms > 0
        while self._buffer.pending_ms > 0 and self._card.is_open:
            self._moved.clear()
            await self._moved.wait()
        if was_playing and self._card.is_open:
            # The device has all of it, and plays it after its latency.
            await asyncio.sleep(self.latency)

    def attach(self, device: SoundDevice, latency: float) -> None:
        """Prepares to play on this device; called by the card.

        During a call, audio that the last device had not read is played on this one.
        """
        self._play_tail()
        counts, rest = self._buffer.counts, to_samples(self._buffer.empty())
        mono, rate = mix_to_mono(rest, self._converter.channels), counts.rate
        self.latency = latency
        if self._front_end is not None:
            self._front_end.attach(device.rate, device.channels, device.name)
        self._converter = _Converter(device.rate, device.channels)
        self._buffer = PlaybackBuffer(
            device.rate, device.channels, limits=_LIMITS, on_low=self._on_low
        )
        self._buffer.counts = counts.at_rate(device.rate)
        pcm = resample_pcm(to_pcm(mono), rate, device.rate)
        self._buffer.write(spread(pcm, device.channels))

    def render(self, size: int, at: float) -> bytes:
        """Returns the next `size` bytes; in the PortAudio thread.

        `at` is when the first of them reaches the speaker, on the clock of the stream.
        """
        pcm = self._buffer.read(size)
        if self._front_end is not None:
            self._front_end.played(pcm, at)
        return pcm

    def wake(self) -> None:
        """Flushes the resampler and wakes `drained`; called on the event loop."""
        self._play_tail()
        self._moved.set()

    def _play_tail(self) -> None:
        """Flushes the resampler, because no more audio may come for a while."""
        if self._converter.is_holding:
            self._buffer.write(self._converter.finish(), is_tail=True)


class _Converter:
    """Converts 24 kHz mono to the format of a device."""

    def __init__(self, rate: int, channels: int) -> None:
        self.channels = channels
        self.is_holding = False  # samples went in that have not come out
        self._rate = rate
        self._resampler = SteadyResampler(SAMPLE_RATE, rate, is_steerable=True)
        self._faster = 0.0
        self._fade_frames = round(_GAP_FADE_MS * rate / 1000)
        self._held_samples = _HELD_SAMPLES * rate // SAMPLE_RATE
        # Frames since a discontinuity; the audio fades in meanwhile.
        self._frames_since_gap = self._fade_frames

    def process(self, pcm: bytes) -> bytes:
        """Returns the output that a piece completes, if any."""
        samples = to_samples(pcm[: len(pcm) & ~1])
        if len(samples) and not self.is_holding:
            # Silence first, so that each piece returns output of the same length.
            samples = np.concatenate((np.zeros(_HELD_SAMPLES, np.float32), samples))
            self.is_holding = True
        played = self._fade_in(to_pcm(self._resampler.process(samples)))
        return spread(played, self.channels)

    def finish(self) -> bytes:
        """Returns the held audio, fading out."""
        played = fade_out(self._fade_in(to_pcm(self._flush())))
        # It was filtered as if silence followed, so the next audio fades in.
        self._frames_since_gap = -self._held_samples
        return spread(played, self.channels)

    def drop(self) -> float:
        """Discards the held audio; returns its length in milliseconds."""
        dropped = self._flush() if self.is_holding else b""
        self._frames_since_gap = -self._held_samples
        return len(dropped) * 1000 / self._rate

    def steer(self, faster: float) -> None:
        """Changes the playback speed by the fraction `faster`."""
        if faster != self._faster:
            self._resampler.steer(faster, _SPEED_CHANGE_SAMPLES)
            self._faster = faster

    def _fade_in(self, pcm: bytes) -> bytes:
        if self._frames_since_gap >= self._fade_frames:
            return pcm
        frames = np.arange(len(pcm) // 2, dtype=np.float32) + self._frames_since_gap
        self._frames_since_gap += len(frames)
        return scale(pcm, np.clip(frames / self._fade_frames, 0.0, 1.0))

    def _flush(self) -> Samples:
        self.is_holding = False
        self._faster = 0.0  # a new stream is not steered
        return self._resampler.process(np.zeros(0, np.float32), last=True)
