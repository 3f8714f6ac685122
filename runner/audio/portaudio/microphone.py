"""The microphone of a sound card, as the engine sees it.

Here sound is mixed, resampled and framed, on the loop's side; what PortAudio's thread
calls (`capture`) only moves bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from runner.audio.alignment import StreamClock
from runner.audio.capture import Block, CaptureQueue
from runner.audio.devices import CARD_FRAME_BYTES, SAMPLE_RATE
from runner.audio.echo import AudioProcessor
from runner.audio.framing import Framer
from runner.audio.halves import Card, SoundCardDevice
from runner.audio.pcm import Samples, mix_to_mono, to_pcm, to_samples
from runner.audio.portaudio.library import SoundDevice
from runner.audio.resampler import SteadyResampler


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
