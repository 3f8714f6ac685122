"""One desk in one room, as a process of its own: an agent talks, everything is kept.

The card is opened as a call opens it, with echo cancellation; what the microphone gave
before it and after it are two branches of the same recording.
"""

from __future__ import annotations

import asyncio
import json
import random
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.desk.sounds import for_the_room, level_of, requests, story
from runner.audio.devices import SAMPLE_RATE
from runner.audio.echo import EchoCanceller
from runner.audio.pcm import Samples, to_pcm
from runner.audio.portaudio.soundcard import SoundCard
from tests.device.acoustics import Acoustics
from tests.device.room import Faults, Room, entered, open_room

_CHUNK_SECONDS = 0.05  # what a service sends at once
_LEAD_SECONDS = 0.2  # how far it is ahead of real time
_REPLY_SECONDS = 12.0
_BETWEEN_REPLIES = 0.6
_SETTLING_SECONDS = 3.0  # before anybody is listened to: the greeting
# With near speech: how long after its onset the agent falls silent, and from the
# beginning of one utterance to that of the next.
_CUT_AFTER = 1.0
_TURN_SECONDS = 6.5


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be captured; handed to the process as JSON.

    With `is_continuous` the agent's reply has no end and comes at exactly real time.
    `utterances` are numbers of requests that a person says at `near_db` next to the
    echo (next to what the echo would be at `near_level`, where there is none).
    """

    acoustics: Acoustics
    seconds: float
    is_continuous: bool = False
    utterances: Sequence[int] = ()
    near_db: float = 0.0
    near_level: float = -10.0


@dataclass(frozen=True, slots=True)
class Utterance:
    """Near speech: which, and when it began and ended, on CLOCK_MONOTONIC."""

    number: int
    began: float
    ended: float


@dataclass(frozen=True, slots=True)
class Standing:
    """How the card stood at a time."""

    at: float
    pending_ms: float
    underruns: int
    glitches: int
    dropped_ms: float


class Listening:
    """A front end that keeps what goes in and what comes out."""

    def __init__(self, inner: EchoCanceller) -> None:
        self._inner = inner
        self.raw: list[bytes] = []
        self.clean: list[bytes] = []
        # After each piece: samples in, samples out, and the time.
        self.stamps: list[tuple[int, int, float]] = []
        self.has_begun = asyncio.Event()
        self._counts = (0, 0)

    def attach(self, rate: int, channels: int, name: str = "") -> None:
        self._inner.attach(rate, channels, name)

    def played(self, pcm: bytes, at: float) -> None:
        self._inner.played(pcm, at)

    def process(self, samples: Samples, at: float) -> Samples:
        cleaned = self._inner.process(samples, at)
        self.raw.append(to_pcm(samples))
        self.clean.append(to_pcm(cleaned))
        self._counts = self._counts[0] + len(samples), self._counts[1] + len(cleaned)
        self.stamps.append((*self._counts, time.monotonic()))
        self.has_begun.set()
        return cleaned


@dataclass(slots=True)
class Capture:
    """All that one run left behind; `spoken` is what the agent said, and from when."""

    raw: NDArray[np.int16]
    clean: NDArray[np.int16]
    stamps: NDArray[np.float64]
    began: float
    ended: float
    standings: list[Standing] = field(default_factory=list)
    utterances: list[Utterance] = field(default_factory=list)
    faults: Faults = Faults(0, 0, 0.0)


class Talk:
    """The agent's voice, in real time, and the person's."""

    def __init__(self, card: SoundCard, room: Room, wanted: Wanted) -> None:
        self._card, self._room, self._wanted = card, room, wanted
        self._story = story()
        self._silent_until = 0.0
        self.standings: list[Standing] = []
        self.utterances: list[Utterance] = []

    async def run(self) -> None:
        """Go on for as long as is wanted."""
        work = [self._speak(), self._watch()]
        if self._wanted.utterances:
            work.append(self._interrupt())
        tasks = [asyncio.create_task(each) for each in work]
        await asyncio.sleep(self._wanted.seconds)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    async def _speak(self) -> None:
        speaker = self._card.speaker
        size = round(_CHUNK_SECONDS * SAMPLE_RATE)
        position = 0
        began, sent = time.monotonic() - _LEAD_SECONDS, 0.0
        while True:
            await asyncio.sleep(max(0.0, began + sent - time.monotonic()))
            if time.monotonic() < self._silent_until:
                speaker.stop()
                await asyncio.sleep(self._silent_until - time.monotonic())
                began, sent = time.monotonic() - _LEAD_SECONDS, 0.0
            speaker.play(to_pcm(self._story[position : position + size]))
            position = (position + size) % (len(self._story) // size * size)
            sent += _CHUNK_SECONDS
            if not self._wanted.is_continuous and sent >= _REPLY_SECONDS:
                await speaker.drained()
                await asyncio.sleep(_BETWEEN_REPLIES)
                began, sent = time.monotonic() - _LEAD_SECONDS, 0.0

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(1.0)
            speaker, microphone = self._card.speaker, self._card.microphone
            self.standings.append(
                Standing(
                    time.monotonic(),
                    speaker.pending_ms,
                    speaker.counts.underruns,
                    self._card.glitches,
                    microphone.dropped_ms,
                )
            )

    async def _interrupt(self) -> None:
        level = self._wanted.acoustics.level
        beside = self._wanted.near_level if level is None else level
        target = level_of(self._story) * 10 ** ((beside + self._wanted.near_db) / 20)
        said, lot = requests(), random.Random(5)
        await asyncio.sleep(_SETTLING_SECONDS + 2)
        for number in self._wanted.utterances:
            samples = said[number % len(said)][1]
            began = time.monotonic() + 0.1
            gain = target / level_of(samples)
            self._room.speak(for_the_room(samples), at=began, gain=gain)
            ended = began + len(samples) / SAMPLE_RATE
            self.utterances.append(Utterance(number, began, ended))
            await asyncio.sleep(began + _CUT_AFTER - time.monotonic())
            self._silent_until = ended + 0.8
            rest = _TURN_SECONDS + lot.random() * 0.4
            await asyncio.sleep(began + rest - time.monotonic())


async def capture(room: Room, wanted: Wanted) -> Capture:
    """Talk in this room for as long as is wanted."""
    listening = Listening(EchoCanceller())
    async with SoundCard(front_end=listening) as card:
        reading = asyncio.create_task(_read(card))
        await listening.has_begun.wait()
        before = room.check()
        talk = Talk(card, room, wanted)
        began = time.monotonic()
        await talk.run()
        ended, after = time.monotonic(), room.check()
        reading.cancel()
    return Capture(
        raw=np.frombuffer(b"".join(listening.raw), "<i2"),
        clean=np.frombuffer(b"".join(listening.clean), "<i2"),
        stamps=np.array(listening.stamps),
        began=began,
        ended=ended,
        standings=talk.standings,
        utterances=talk.utterances,
        faults=Faults(
            after.missing - before.missing,
            after.refused - before.refused,
            after.longest_wait,
        ),
    )


async def _read(card: SoundCard) -> None:
    async for _ in card.microphone.frames():
        pass


def seconds_for(utterances: int) -> float:
    """Return how long so many utterances take."""
    return _SETTLING_SECONDS + 4 + (_TURN_SECONDS + 0.2) * utterances


def ears_open(capture: Capture) -> float:
    """Returns the time after the first seconds of the greeting."""
    return capture.began + _SETTLING_SECONDS


def main(text: str) -> None:
    """Capture, judge, and print one JSON object: the process that is started."""
    from benchmarks.desk.judging import judge

    read = json.loads(text)
    words: bool = read.pop("words", False)
    wanted = Wanted(**{**read, "acoustics": Acoustics(**read["acoustics"])})
    with open_room(wanted.acoustics) as room, entered(room):
        captured = asyncio.run(capture(room, wanted))
        log = room.played(captured.began, captured.ended - 0.1)
        heard = room.heard(captured.began, captured.ended - 0.1)
    result = judge(captured, log, heard, wanted, with_words=words)
    json.dump(asdict(result), sys.stdout)
