"""The two halves of a card, each on a device or on a stand-in that keeps its time."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from runner.audio.devices import SAMPLE_RATE
from runner.audio.opening import StreamSession
from runner.audio.pace import Clock, Ticker
from runner.audio.portaudio.library import Direction, SoundDevice
from runner.audio.portaudio.microphone import CardMicrophone
from runner.audio.portaudio.speaker import CardSpeaker

_STEP = 0.02  # seconds of sound at a time
_STEP_BYTES = 2 * round(SAMPLE_RATE * _STEP)
_NOTHING = SoundDevice(-1, "", "input", "", SAMPLE_RATE, 1)


class DeviceRouter:
    """Joins the halves to what is there; they stay the same objects for a whole call.

    A stand-in gives silence and takes sound by the clock, so that the session at the
    other end of the halves goes on.
    """

    def __init__(
        self, microphone: CardMicrophone, speaker: CardSpeaker, pace: Clock
    ) -> None:
        self._microphone = microphone
        self._speaker = speaker
        self.pace = pace
        self._standing_in: dict[Direction, asyncio.Task[None]] = {}

    def join(self, opening: StreamSession, side: Direction) -> None:
        """Let the sound of this side pass between its half and its device."""
        self._dismiss(side)
        device = opening.devices[side]
        if side == "input":
            self._microphone.attach(device)
        else:
            self._speaker.attach(device, opening.latency(side))
        opening.let_through(side)

    def stand_in(self, side: Direction) -> None:
        """Put a stand-in in the place of this side's device, unless there is one."""
        if side in self._standing_in:
            return
        # At the half's own rate and channels where it matters: what the speaker was
        # yet to play goes on, unheard, and what is played later finds its place.
        work = self._give_silence() if side == "input" else self._take_sound()
        self._standing_in[side] = asyncio.create_task(work, name=f"no {side}")

    def close(self) -> None:
        """Dismiss the stand-ins."""
        for side in list(self._standing_in):
            self._dismiss(side)

    def _dismiss(self, side: Direction) -> None:
        task = self._standing_in.pop(side, None)
        if task is not None:
            task.cancel()

    async def _give_silence(self) -> None:
        self._microphone.attach(_NOTHING)
        ticker = Ticker(self.pace, _STEP)
        while True:
            now = await ticker.tick()
            if self._microphone.capture(bytes(_STEP_BYTES), now - _STEP):
                self._microphone.wake()

    async def _take_sound(self) -> None:
        self._speaker.attach(replace(_NOTHING, direction="output"), 0.0)
        ticker = Ticker(self.pace, _STEP)
        while True:
            now = await ticker.tick()
            self._speaker.render(_STEP_BYTES, now)
