"""A person's desk in a simulated room: echo, interruptions, clocks that drift."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import numpy as np
import pytest
from numpy.typing import NDArray

from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import EchoCanceller, is_canceller_available
from runner.audio.pcm import Samples, to_pcm
from runner.audio.playback import FADE_MS
from runner.audio.portaudio.soundcard import SoundCard
from tests.device.acoustics import RATE, Acoustics, living_room
from tests.device.room import Room

_CHUNK = SAMPLE_RATE // 20


def talk(seconds: float) -> Samples:
    """Return something like speech: syllables of a voice whose pitch wanders, and
    hisses; nothing in it repeats."""
    lot = np.random.default_rng(4)
    syllables: list[Samples] = []
    while sum(map(len, syllables)) < seconds * SAMPLE_RATE:
        count = int(SAMPLE_RATE * lot.uniform(0.08, 0.3))
        times = np.arange(count) / SAMPLE_RATE
        pitch = lot.uniform(90, 180) * (1 + lot.uniform(-0.2, 0.2) * times)
        phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
        colour = lot.uniform(0.2, 1.0, 25) / np.arange(1, 26) ** 0.7
        voice = sum(c * np.sin(n * phase) for n, c in enumerate(colour, 1))
        sound = voice + lot.uniform(0, 0.6) * lot.standard_normal(count)
        syllables.append((sound * np.hanning(count)).astype(np.float32))
        if lot.random() < 0.2:
            syllables.append(np.zeros(int(SAMPLE_RATE * 0.15), np.float32))
    spoken = np.concatenate(syllables)
    quieter: Samples = (spoken * (0.5 / np.abs(spoken).max())).astype(np.float32)
    return quieter


@dataclass
class Kept:
    """A front end that keeps what goes into another one and what comes out."""

    inner: EchoCanceller = field(default_factory=EchoCanceller)
    raw: list[Samples] = field(default_factory=list)
    clean: list[Samples] = field(default_factory=list)

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        self.inner.attach(rate, channels, name)

    def played(self, pcm: bytes, at: float) -> None:
        self.inner.played(pcm, at)

    def process(self, samples: Samples, at: float) -> Samples:
        self.raw.append(samples)
        self.clean.append(self.inner.process(samples, at))
        return self.clean[-1]

    def echo_db(self, since: float) -> float:
        """Return by how much the echo is quieter behind it, from this second on."""
        first = round(since * SAMPLE_RATE)
        raw, clean = np.concatenate(self.raw), np.concatenate(self.clean)
        power = [float(np.mean(each[first:] ** 2)) + 1e-12 for each in (raw, clean)]
        return 10 * float(np.log10(power[0] / power[1]))


@contextlib.asynccontextmanager
async def open_card(front_end: Kept | None = None) -> AsyncIterator[SoundCard]:
    """Open the card and listen, as a call does."""

    async def listen() -> None:
        async for _ in card.microphone.frames():
            heard.set()

    heard = asyncio.Event()
    async with SoundCard(front_end=front_end) as card:
        listening = asyncio.create_task(listen())
        await heard.wait()
        yield card
    await listening


async def speak(card: SoundCard, sound: Samples) -> None:
    """Play audio as a service sends it: 0.2 s ahead, in pieces, in real time."""
    began = time.monotonic() - 0.2
    for start in range(0, len(sound), _CHUNK):
        await asyncio.sleep(began + start / SAMPLE_RATE - time.monotonic())
        card.speaker.play(to_pcm(sound[start : start + _CHUNK]))
    await card.speaker.drained()


def largest_step(samples: NDArray[np.int16]) -> float:
    return float(np.abs(np.diff(samples.astype(np.int32))).max()) / 32_768


@pytest.mark.skipif(not is_canceller_available(), reason="needs the desk extra")
async def test_the_agents_voice_is_gone_from_the_microphone(room: Room) -> None:
    room.be(living_room(delay=0.08, level=-10))
    kept = Kept()
    async with open_card(kept) as card:
        await speak(card, talk(30))
    assert kept.echo_db(since=8) > 10


async def test_a_cut_is_silent_soon_and_without_a_step(room: Room) -> None:
    times = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
    rise = np.minimum(times / 0.05, 1)
    tone = 0.4 * rise * np.sin(2 * np.pi * 440 * times)
    async with open_card() as card:
        speaking = asyncio.create_task(speak(card, tone.astype(np.float32)))
        await asyncio.wait([speaking], timeout=1.0)
        speaking.cancel()
        card.speaker.stop()
        stopped = time.monotonic()
        await card.speaker.drained()
        await asyncio.sleep(0.3)  # the device plays on what it holds
        log = room.played(stopped - 0.5, stopped + 0.3)
    audible = np.flatnonzero(np.abs(log.samples) > 33)
    # What the device holds (60 ms asked for, two pages of the FIFO), a block, the fade.
    assert 0 < log.time_of(int(audible[-1])) - stopped < 0.2
    steepest = 0.4 * 2 * np.sin(np.pi * 440 / RATE) + 0.4 / (FADE_MS * RATE / 1000)
    assert largest_step(log.samples) < steepest


@pytest.mark.parametrize("ppm", [2000, -2000])
async def test_a_loudspeaker_whose_clock_is_off_neither_clicks_nor_falls_behind(
    room: Room, ppm: float
) -> None:
    """Ten times what sound cards do: in 60 s it comes to 120 ms."""
    room.be(Acoustics(level=None, output_ppm=ppm))
    times = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    rise = np.minimum(times / 0.05, 1)
    tone = (0.4 * rise * np.sin(2 * np.pi * 440 * times)).astype(np.float32)
    pending: list[float] = []

    async def watch(card: SoundCard) -> None:
        while True:
            await asyncio.sleep(1.0)
            pending.append(card.speaker.pending_ms)

    async with open_card() as card:
        watching = asyncio.create_task(watch(card))
        began = time.monotonic()
        await speak(card, tone)
        watching.cancel()
        log = room.played(began + 2, began + 55)
        assert card.speaker.counts.underruns == 0
    assert max(pending) < 500
    own = 0.4 * 2 * np.sin(np.pi * 440 / RATE)
    assert largest_step(log.samples) < 1.1 * own
