"""The real PortAudio, playing into its own microphone."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import numpy as np
import pytest

from runner.audio.pcm import to_pcm, to_samples
from runner.audio.playback import FADE_MS
from runner.audio.portaudio.soundcard import SoundCard

RATE = 24_000
pytestmark = pytest.mark.usefixtures("room")


def chirp(seconds: float) -> np.ndarray:
    """Audio in which every moment differs, so that a gap or a repeat shows."""
    times = np.arange(round(RATE * seconds)) / RATE
    pitch = 300 * times + 400 * times**2 / seconds
    return (0.4 * np.sin(2 * np.pi * pitch)).astype(np.float32)


class Ear:
    """Listens to a card, frame by frame."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.heard_more = asyncio.Event()

    async def listen(self, card: SoundCard) -> None:
        async for frame in card.microphone.frames():
            self.frames.append(frame)
            self.heard_more.set()

    async def wait_for(self, frames: int) -> None:
        """Wait until so many more frames have come."""
        wanted = len(self.frames) + frames
        while len(self.frames) < wanted:
            self.heard_more.clear()
            await self.heard_more.wait()

    @property
    def samples(self) -> np.ndarray:
        return to_samples(b"".join(self.frames))


@contextlib.asynccontextmanager
async def open_card() -> AsyncIterator[tuple[SoundCard, Ear]]:
    ear = Ear()
    async with SoundCard() as card:
        listening = asyncio.create_task(ear.listen(card))
        await ear.wait_for(4)  # the card is awake
        yield card, ear
    await listening


async def test_what_is_played_is_heard_whole() -> None:
    sound = chirp(2.0)
    async with open_card() as (card, ear):
        pcm = to_pcm(sound)
        for start in range(0, len(pcm), 480):
            card.speaker.play(pcm[start : start + 480])
        await card.speaker.drained()
        await ear.wait_for(10)
        assert card.speaker.counts.underruns == 0
        assert card.microphone.dropped_ms == 0
    heard = ear.samples
    lag = np.argmax(np.correlate(heard, sound[: RATE // 2], "valid"))
    copy = heard[lag : lag + len(sound)]
    likeness = np.dot(copy, sound) / np.linalg.norm(copy) / np.linalg.norm(sound)
    assert likeness > 0.99
    assert np.linalg.norm(copy) == pytest.approx(np.linalg.norm(sound), rel=0.05)


async def test_stopping_cuts_the_audio_short_without_a_click() -> None:
    sound = chirp(5.0)
    async with open_card() as (card, ear):
        card.speaker.play(to_pcm(sound))
        await ear.wait_for(20)
        card.speaker.stop()
        await card.speaker.drained()
        await ear.wait_for(20)
    heard = ear.samples
    loud = np.flatnonzero(np.abs(heard) > 0.01)
    assert loud[-1] - loud[0] < 2 * RATE
    steepest = 0.4 * 2 * np.pi * 1_100 / RATE + 0.4 / (FADE_MS * RATE / 1000)
    around = heard[loud[-1] - RATE // 10 : loud[-1] + RATE // 10]
    assert np.abs(np.diff(around)).max() < steepest


async def test_opening_and_closing_again_works() -> None:
    for _ in range(2):
        async with open_card() as (_, ear):
            pass
        assert ear.frames
