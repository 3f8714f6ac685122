"""The microphone of a sound card, as the engine sees it.

Here sound is mixed, resampled and framed, on the loop's side; what PortAudio's thread
calls (`capture`) only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from threading import Lock
from typing import Any, Protocol, Self

from runner.audio.devices import CARD_FRAME_BYTES, MICROPHONE_BACKLOG_MS, SAMPLE_RATE
from runner.audio.echo import AudioProcessor, StreamClock
from runner.audio.pcm import Framer, Samples, mix_to_mono, to_pcm, to_samples
from runner.audio.portaudio.library import SoundDevice
from runner.audio.resampler import SteadyResampler

# What a sound card recorded and nobody has taken yet: filled by the device's thread.
#
# The mirror of the playback buffer; one lock, held for microseconds.


@dataclass(frozen=True, slots=True)
class Block:
    """Interleaved PCM16, and when its first sample was heard, on the stream's clock."""

    pcm: bytes
    at: float


class CaptureQueue:
    """Holds recorded blocks of interleaved PCM16, at most so many milliseconds of them.

    When it is full the oldest go and are counted: what is said now is sent now.
    """

    def __init__(
        self, rate: int, channels: int, limit_ms: float = MICROPHONE_BACKLOG_MS
    ) -> None:
        self._bytes_per_ms = rate * channels * 2 / 1000
        self._limit_ms = limit_ms
        self._lock = Lock()
        self._blocks: deque[Block] = deque()
        self._pending = 0  # bytes in `_blocks`
        self._dropped = 0  # bytes

    @property
    def dropped_ms(self) -> float:
        """How much was thrown away because nobody took it in time."""
        return self._dropped / self._bytes_per_ms

    def put(self, block: Block) -> bool:
        """Append a block; return whether it is the only one: wake the reader."""
        with self._lock:
            self._blocks.append(block)
            self._pending += len(block.pcm)
            limit = self._limit_ms * self._bytes_per_ms
            while self._pending > limit and len(self._blocks) > 1:
                oldest = self._blocks.popleft()
                self._pending -= len(oldest.pcm)
                self._dropped += len(oldest.pcm)
            return len(self._blocks) == 1

    def take(self) -> Block | None:
        """Remove and return the oldest block; None when there is none."""
        with self._lock:
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._pending -= len(block.pcm)
            return block


# What the microphone and the speaker of a sound card have in common.


class Card(Protocol):
    """What a half knows of the card that it is a half of."""

    @property
    def is_open(self) -> bool: ...

    def raise_if_lost(self) -> None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...


class SoundCardDevice:
    """One side of a card; entering either opens the card, leaving both closes it."""

    def __init__(self, card: Card) -> None:
        self._card = card

    async def __aenter__(self) -> Self:
        await self._card.__aenter__()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._card.__aexit__(*exc)


class CardMicrophone(SoundCardDevice):
    """The microphone of a sound card, as 24 kHz mono frames."""

    def __init__(self, card: Card, front_end: AudioProcessor | None = None) -> None:
        """With a front end, only what it lets through of the sound goes on."""
        super().__init__(card)
        self._front_end = front_end
        self._arrived = asyncio.Event()
        self._queue = CaptureQueue(SAMPLE_RATE, 1)
        self._device: SoundDevice | None = None
        self._dropped_before = 0.0  # milliseconds, with earlier devices

    @property
    def dropped_ms(self) -> float:
        """How much was thrown away because nobody took it in time."""
        return self._dropped_before + self._queue.dropped_ms

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what is recorded; ends with the card, raises AudioUnavailable if lost.

        To be iterated while the card is open.
        """
        if self._device is None:
            raise ValueError("frames of a microphone that is not open")
        device = self._device
        path = _Path(device, self._front_end)
        framer = Framer(CARD_FRAME_BYTES)
        while self._card.is_open:
            await self._arrived.wait()
            self._arrived.clear()
            while (block := self._queue.take()) is not None:
                if device is not self._device:  # the card took up another one
                    device = self._device
                    path = _Path(device, self._front_end)
                for frame in framer.feed(to_pcm(path.process(block))):
                    yield frame
        self._card.raise_if_lost()

    def attach(self, device: SoundDevice) -> None:
        """Make ready for what this device will record; called by the card.

        Also in mid-call, when another device was taken up; `frames` then goes on with
        that one, and what it had not taken of the last one is lost.
        """
        self._dropped_before += self._queue.dropped_ms
        self._device = device
        self._queue = CaptureQueue(device.rate, device.channels)

    def capture(self, pcm: bytes, at: float) -> bool:
        """Take a block in PortAudio's thread; true when the reader is to be woken.

        `at` is when its first sample reached the microphone, on the stream's clock.
        """
        return self._queue.put(Block(pcm, at))

    def wake(self) -> None:
        """Let the reader look again; called on the loop."""
        self._arrived.set()


class _Path:
    """From a device's blocks to 24 kHz mono, cleaned."""

    def __init__(self, device: SoundDevice, front_end: AudioProcessor | None) -> None:
        self._device = device
        self._front_end = front_end
        self._resampler = SteadyResampler(device.rate, SAMPLE_RATE)
        self._clock = StreamClock(device.rate)
        self._taken = 0  # frames of the device so far
        self._given = 0  # samples at 24 kHz so far

    def process(self, block: Block) -> Samples:
        mono = mix_to_mono(to_samples(block.pcm), self._device.channels)
        self._clock.note(self._taken, block.at)
        self._taken += len(mono)
        samples = self._resampler.process(mono)
        if self._front_end is None:
            return samples
        at = self._clock.time_of(self._given * self._device.rate / SAMPLE_RATE)
        self._given += len(samples)
        return self._front_end.hear(samples, at)
