"""The microphone of a sound card: capture queue, resampling and framing.

Audio is mixed, resampled and framed on the event loop; the PortAudio thread calls
`capture`, which only moves bytes.
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


@dataclass(frozen=True, slots=True)
class Block:
    """Interleaved PCM16 and the time of its first sample on the clock of the stream."""

    pcm: bytes
    at: float


class CaptureQueue:
    """A queue of recorded blocks of interleaved PCM16, at most `limit_ms` long.

    The thread of the device calls `put`, the event loop `take`. When the queue is full
    the oldest blocks are dropped and counted, so that the audio stays current.
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
        """Milliseconds of audio dropped because they were not read in time."""
        return self._dropped / self._bytes_per_ms

    def put(self, block: Block) -> bool:
        """Appends a block; True if it is the only one, so the reader must be woken."""
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
        """Removes and returns the oldest block; None if there is none."""
        with self._lock:
            if not self._blocks:
                return None
            block = self._blocks.popleft()
            self._pending -= len(block.pcm)
            return block


class Card(Protocol):
    """The sound card as its microphone and its speaker use it."""

    @property
    def is_open(self) -> bool: ...

    def raise_if_lost(self) -> None: ...

    async def __aenter__(self) -> Any: ...

    async def __aexit__(self, *exc: object) -> None: ...


class SoundCardDevice:
    """Base of microphone and speaker; entering one opens the card, leaving both closes.

    The card counts the contexts.
    """

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
        """Creates a microphone; `front_end`, if there is one, processes its audio."""
        super().__init__(card)
        self._front_end = front_end
        self._arrived = asyncio.Event()
        self._queue = CaptureQueue(SAMPLE_RATE, 1)
        self._device: SoundDevice | None = None
        self._dropped_before = 0.0  # milliseconds, with earlier devices

    @property
    def dropped_ms(self) -> float:
        """Milliseconds of audio dropped because they were not read in time."""
        return self._dropped_before + self._queue.dropped_ms

    async def frames(self) -> AsyncIterator[bytes]:
        """Yields recorded frames while the card is open.

        Raises AudioUnavailable if the card failed.
        """
        if self._device is None:
            raise ValueError("the microphone is not open")
        device = self._device
        converter = _Converter(device, self._front_end)
        framer = Framer(CARD_FRAME_BYTES)
        while self._card.is_open:
            await self._arrived.wait()
            self._arrived.clear()
            while (block := self._queue.take()) is not None:
                if device is not self._device:  # the card opened another one
                    device = self._device
                    converter = _Converter(device, self._front_end)
                for frame in framer.feed(to_pcm(converter.process(block))):
                    yield frame
        self._card.raise_if_lost()

    def attach(self, device: SoundDevice) -> None:
        """Prepares for the audio of this device; called by the card.

        During a call, `frames` continues with the new device, and audio of the last one
        that was not read is lost.
        """
        self._dropped_before += self._queue.dropped_ms
        self._device = device
        self._queue = CaptureQueue(device.rate, device.channels)

    def capture(self, pcm: bytes, at: float) -> bool:
        """Queues a block in the PortAudio thread; True if the reader must be woken.

        `at` is the time of its first sample on the clock of the stream.
        """
        return self._queue.put(Block(pcm, at))

    def wake(self) -> None:
        """Wakes the reader; called on the event loop."""
        self._arrived.set()


class _Converter:
    """Converts the blocks of a device to 24 kHz mono and applies the front end."""

    def __init__(self, device: SoundDevice, front_end: AudioProcessor | None) -> None:
        self._device = device
        self._front_end = front_end
        self._resampler = SteadyResampler(device.rate, SAMPLE_RATE)
        self._clock = StreamClock(device.rate)
        self._frames_in = 0  # frames of the device so far
        self._samples_out = 0  # samples at 24 kHz so far

    def process(self, block: Block) -> Samples:
        mono = mix_to_mono(to_samples(block.pcm), self._device.channels)
        self._clock.note(self._frames_in, block.at)
        self._frames_in += len(mono)
        samples = self._resampler.process(mono)
        if self._front_end is None:
            return samples
        at = self._clock.time_of(self._samples_out * self._device.rate / SAMPLE_RATE)
        self._samples_out += len(samples)
        return self._front_end.process(samples, at)
