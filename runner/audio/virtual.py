"""Devices with nothing behind them that keep real time: no input, no output."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Self

from runner.audio.devices import FRAME_BYTES, FRAME_MS
from runner.audio.pace import Clock, LoopClock, Ticker
from runner.audio.speaker import ClockedSpeaker


class SilentMicrophone:
    """Gives silence at real-time pace for as long as it is asked; `--input none`."""

    def __init__(self, *, pace: Clock | None = None) -> None:
        self.dropped_ms = 0.0
        self._pace = pace or LoopClock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield silent frames without end."""
        ticker = Ticker(self._pace, FRAME_MS / 1000)
        while True:
            await ticker.tick()
            yield bytes(FRAME_BYTES)


class NullSpeaker(ClockedSpeaker):
    """Plays to nobody in real time; `--output null`."""

    def __init__(self, *, pace: Clock | None = None) -> None:
        super().__init__(pace=pace)
