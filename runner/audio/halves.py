"""The two halves of a sound card, as the engine's microphone and speaker.

Here sound is resampled, mixed and framed, on the loop's side; what PortAudio's thread
calls (`capture`, `render`) only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np

from runner.audio.capture import CaptureQueue
from runner.audio.devices import FRAME_BYTES, SAMPLE_RATE
from runner.audio.framing import Framer
from runner.audio.pcm import Samples, mix_to_mono, spread, to_pcm, to_samples
from runner.audio.playback import PlaybackBuffer, PlaybackCounts
from runner.audio.portaudio import SoundDevice
from runner.audio.resampling import Resampler


class Card(AbstractAsyncContextManager[Any], Protocol):
    """What a half knows of the card that it is a half of."""

    @property
    def is_open(self) -> bool: ...

    def raise_if_lost(self) -> None: ...


class _Half:
    """One side of a card; entering either opens the card, leaving both closes it."""

    def __init__(self, card: Card) -> None:
        self._card = card

    async def __aenter__(self) -> Self:
        await self._card.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._card.__aexit__(kind, error, trace)


class CardMicrophone(_Half):
    """The microphone of a sound card, as 24 kHz mono frames."""

    def __init__(self, card: Card) -> None:
        super().__init__(card)
        self._arrived = asyncio.Event()
        self._queue = CaptureQueue(SAMPLE_RATE, 1)
        self._device: SoundDevice | None = None

    @property
    def dropped_ms(self) -> float:
        """How much was thrown away because nobody took it in time."""
        return self._queue.dropped_ms

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what is recorded; ends with the card, raises AudioUnavailable if lost.

        To be iterated while the card is open.
        """
        if self._device is None:
            raise ValueError("frames of a microphone that is not open")
        channels = self._device.channels
        resampler = Resampler(self._device.rate, SAMPLE_RATE)
        framer = Framer(FRAME_BYTES)
        while self._card.is_open:
            await self._arrived.wait()
            self._arrived.clear()
            while (block := self._queue.take()) is not None:
                mono = mix_to_mono(to_samples(block), channels)
                for frame in framer.feed(to_pcm(resampler.process(mono))):
                    yield frame
        self._card.raise_if_lost()

    def attach(self, device: SoundDevice) -> None:
        """Make ready for what this device will record; called by the card."""
        self._device = device
        self._queue = CaptureQueue(device.rate, device.channels)

    def capture(self, block: bytes) -> bool:
        """Take a block in PortAudio's thread; true when the reader is to be woken."""
        return self._queue.put(block)

    def wake(self) -> None:
        """Let the reader look again; called on the loop."""
        self._arrived.set()


class CardSpeaker(_Half):
    """The speaker of a sound card; takes 24 kHz mono."""

    def __init__(self, card: Card, on_low: Callable[[], None]) -> None:
        super().__init__(card)
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
        self._resampler = Resampler(SAMPLE_RATE, device.rate)
        self._buffer = PlaybackBuffer(device.rate, device.channels, on_low=self._on_low)

    def render(self, size: int) -> bytes:
        """Give PortAudio's thread the next bytes."""
        return self._buffer.read(size)

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
