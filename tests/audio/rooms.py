"""A room with a loudspeaker and a microphone in it, each with a clock of its own.

Everything is computed in the room's true time; what the sound cards say of their times
may be off, and may jitter. It hands blocks on in the order in which a machine would.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
import soxr

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import AudioProcessor
from runner.audio.pcm import Samples, to_samples
from runner.audio.portaudio.library import SoundDevice
from runner.audio.portaudio.microphone import CardMicrophone

# The room's audio is looked up between samples of this many times the device's rate:
# a straight line there is 60 dB nearer to the truth than what is measured.
_FINER = 8


@dataclass(frozen=True, slots=True)
class Played:
    """A block for the loudspeaker, and what is said of when it is heard."""

    pcm: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Recorded:
    """A block of the microphone, and what is said of when it was heard."""

    pcm: bytes
    at: float


@dataclass(frozen=True, slots=True)
class Card:
    """One side of a sound card. Seconds, hertz, and parts in a million."""

    rate: int = SAMPLE_RATE
    drift: float = 0.0  # how much too fast its clock runs, in parts in a million
    latency: float = 0.02  # between its block and the room
    bias: float = 0.0  # how much later than the truth its times are
    jitter: float = 0.0  # half the width of the random error of each time
    wander: float = 0.0  # the same, but slowly, as PulseAudio's are
    block: float = 0.01
    pause: tuple[float, float] = (0.0, 0.0)  # from when, for how long it stood still
    slip: tuple[float, float] = (0.0, 0.0)  # when, how much recorded audio got lost

    def said(self, true: float, random: np.random.Generator) -> float:
        """Return what is said of this time."""
        slowly = np.sin(true * 0.9 + self.rate) + np.sin(true * 0.37 + 2)
        jitter = random.uniform(-1, 1) * self.jitter
        return true + self.bias + self.wander * float(slowly) / 2 + jitter

    def true_rate(self) -> float:
        return self.rate * (1 + self.drift / 1e6)

    def time(self, sample: float) -> float:
        at = sample / self.true_rate()
        for start, length in (self.pause, self.slip):
            if at >= start and length:
                at += length
        return at


@dataclass(frozen=True, slots=True)
class Room:
    """How the loudspeaker's audio comes to the microphone."""

    delay: float = 0.12
    level: float = -10.0  # decibels
    decay: float = 0.06  # seconds of reverberation
    noise: float = -75.0  # decibels below full scale
    seed: int = 7

    def response(self, rate: int) -> Samples:
        """Return the impulse response after the delay: of the level as a whole."""
        random = np.random.default_rng(self.seed)
        count = max(1, round(self.decay * rate))
        tail = random.standard_normal(count) * np.exp(-6.9 * np.arange(count) / count)
        tail[0] = 3.0
        tail *= 10 ** (self.level / 20) / np.sqrt(np.sum(tail**2))
        return tail.astype(np.float32)


def meet(
    room: Room,
    agent: Samples,
    speaker: Card,
    microphone: Card,
    near: Samples | None = None,
) -> Iterator[Played | Recorded]:
    """Yield what a sound card would hand over while the agent's audio is played.

    `agent` and `near` are 24 kHz mono; blocks are mono at the devices' own rates.
    """
    random = np.random.default_rng(room.seed + 1)
    played = _at_rate(agent, speaker.rate)
    echo = _Heard(_convolve(played, room.response(speaker.rate)), speaker)
    voice = _Heard(near, Card()) if near is not None else None
    events: list[tuple[float, int, Played | Recorded]] = []
    order = 0
    size = round(speaker.block * speaker.rate)
    for start in range(0, len(played) - size, size):
        true = speaker.time(start)
        said = speaker.said(true, random)
        block = Played(_pcm(played[start : start + size]), said)
        events.append((true - speaker.latency, order, block))
        order += 1
    size = round(microphone.block * microphone.rate)
    last = len(agent) / SAMPLE_RATE
    start = 0
    while (true := microphone.time(start)) < last:
        times = np.array([true, microphone.time(start + size - 1)])
        times = np.linspace(times[0], times[1], size)
        sound = echo.at(times - room.delay)
        if voice is not None:
            sound = sound + voice.at(times)
        noise = 10 ** (room.noise / 20) * random.standard_normal(size)
        said = microphone.said(true, random)
        recorded = Recorded(_pcm((sound + noise).astype(np.float32)), said)
        events.append((times[-1] + microphone.latency, order, recorded))
        order += 1
        start += size
    heapq.heapify(events)
    while events:
        yield heapq.heappop(events)[2]


class OpenCard:
    """A card that is open until it is not."""

    def __init__(self) -> None:
        self.is_open = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None: ...

    def raise_if_lost(self) -> None: ...


def listen(
    blocks: Iterable[Played | Recorded],
    front_end: AudioProcessor | None,
    speaker: Card,
    microphone: Card,
) -> Samples:
    """Return what a sound card's microphone makes of these blocks, at 24 kHz."""
    return asyncio.run(_listen(blocks, front_end, speaker.rate, microphone.rate))


async def _listen(
    blocks: Iterable[Played | Recorded],
    front_end: AudioProcessor | None,
    speaker_rate: int,
    microphone_rate: int,
) -> Samples:
    card, frames = OpenCard(), []
    microphone = CardMicrophone(card, front_end)
    microphone.attach(SoundDevice(0, "Mic", "input", "ALSA", microphone_rate, 1))
    if front_end is not None:
        front_end.attach(speaker_rate, 1)

    async def read() -> None:
        async for frame in microphone.frames():
            frames.append(frame)

    reading = asyncio.create_task(read())
    for block in blocks:
        if isinstance(block, Recorded):
            if microphone.capture(block.pcm, block.at):
                microphone.wake()
            await asyncio.sleep(0)  # the reader is woken
            await asyncio.sleep(0)
        elif front_end is not None:
            front_end.played(block.pcm, block.at)
    assert not microphone.dropped_ms
    card.is_open = False
    microphone.wake()
    await reading
    return to_samples(b"".join(frames))


class _Heard:
    """Audio that can be looked up at any time."""

    def __init__(self, samples: Samples, card: Card) -> None:
        self._finer = soxr.resample(samples, card.rate, card.rate * _FINER)
        self._card = card

    def at(self, times: np.ndarray) -> np.ndarray:
        pause, length = self._card.pause
        moved = np.where(times >= pause + length, times - length, times)
        places = moved * self._card.true_rate() * _FINER
        if length:
            still = (times >= pause) & (times < pause + length)
            places = np.where(still, -1.0, places)
        first = int(max(0, np.floor(places.min())))
        until = int(np.ceil(places.max())) + 2
        piece = self._finer[first:until]
        if not len(piece):
            return np.zeros(len(times))
        index = np.arange(len(piece)) + first
        heard: np.ndarray = np.interp(places, index, piece, left=0.0, right=0.0)
        return heard


def speechlike(seconds: float, seed: int = 1, level: float = -20.0) -> Samples:
    """Return noise with the spectrum and the syllables of speech, at this dBFS."""
    random = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE)
    spectrum = np.fft.rfft(random.standard_normal(count))
    hertz = np.fft.rfftfreq(count, 1 / SAMPLE_RATE)
    # Speech: flat from 120 to 600 Hz, from there down by 9 dB an octave.
    shape = np.where(
        hertz < 120, 0.0, np.minimum(1.0, (600 / np.maximum(hertz, 1)) ** 1.5)
    )
    sound = np.fft.irfft(spectrum * shape, count)
    # Syllables of 100 to 300 ms, with a gap between words now and then.
    envelope = np.zeros(count)
    at = 0
    while at < count:
        length = int(random.uniform(0.1, 0.3) * SAMPLE_RATE)
        loud = random.uniform(0.3, 1.0)
        end = min(at + length, count)
        envelope[at:end] = loud * np.hanning(length)[: end - at]
        at += length + int(
            (random.random() < 0.2) * random.uniform(0.1, 0.3) * SAMPLE_RATE
        )
    sound *= envelope
    sound *= 10 ** (level / 20) / np.sqrt(np.mean(sound**2))
    return np.clip(sound, -0.99, 0.99).astype(np.float32)


def decibels(samples: Samples) -> float:
    """Return the level of this audio."""
    return float(10 * np.log10(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))


def _convolve(sound: Samples, response: Samples) -> Samples:
    count = len(sound) + len(response)
    product = np.fft.rfft(sound, count) * np.fft.rfft(response, count)
    return np.fft.irfft(product, count)[: len(sound)].astype(np.float32)


def _at_rate(samples: Samples, rate: int) -> Samples:
    if rate == SAMPLE_RATE:
        return samples
    resampled: Samples = soxr.resample(samples, SAMPLE_RATE, rate)
    return resampled


def _pcm(samples: Samples) -> bytes:
    return np.rint(np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
