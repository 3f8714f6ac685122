"""Where sound comes from and goes to, as the engine sees it.

Everything on this side of the seam is 24 kHz mono PCM16 little-endian; adapters
resample on their own side. A microphone's frames are all of one length: 50 ms (2,400
bytes), which costs the least, or 20 ms where a person waits for the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Protocol, Self

SAMPLE_RATE = 24_000
SAMPLE_BYTES = 2
BYTES_PER_SECOND = SAMPLE_RATE * SAMPLE_BYTES
BYTES_PER_MS = BYTES_PER_SECOND // 1000
FRAME_MS = 50
CARD_FRAME_MS = 20  # of a sound card's microphone
FRAME_BYTES = BYTES_PER_SECOND * FRAME_MS // 1000
CARD_FRAME_BYTES = BYTES_PER_SECOND * CARD_FRAME_MS // 1000
# A microphone's backlog: more than this and the oldest frames go, counted.
MICROPHONE_BACKLOG_MS = 300


class Microphone(Protocol):
    """Gives the caller's sound in real time; opened and closed as a context."""

    @property
    def dropped_ms(self) -> float:
        """How much was thrown away because nobody took it in time, in milliseconds."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def frames(self) -> AsyncIterator[bytes]:
        """Yield frames at the pace of the sound; ends when the input ends."""
        ...


class Speaker(Protocol):
    """Plays the agent's sound; `play` and `stop` return at once."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def play(self, pcm: bytes) -> None:
        """Append sound to the playback buffer."""
        ...

    def stop(self) -> float:
        """Empty the playback buffer: silence within one block of the device.

        Returns how much sound was thrown away by that, in milliseconds.
        """
        ...

    @property
    def pending_ms(self) -> float:
        """How much is buffered and not yet played, in milliseconds."""
        ...

    async def drained(self) -> None:
        """Return once everything handed to `play` has been heard or stopped."""
        ...


# Real time for devices that have no clock of their own, on the loop's clock.
#
# `Clock` is the seam: tests, and whoever wants a call faster than real time, give
# another.


class Clock(Protocol):
    """A clock in seconds, and a way to wait for a time on it."""

    def now(self) -> float: ...

    async def wait_until(self, due: float) -> None:
        """Return at `due` or soon after; a time that is past still lets others run."""
        ...


class LoopClock:
    """The running event loop's clock."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def wait_until(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - self.now()))


class Ticker:
    """Fires once a period, the first time one period after the first `tick`.

    Deadlines follow one another from the first, so waking up late does not add up.
    After a stall of more than a period the rest is delayed by it: firing in a burst
    would hand the far end sound faster than real time.
    """

    def __init__(self, pace: Clock, period: float) -> None:
        self._pace = pace
        self._period = period
        self._due: float | None = None

    async def tick(self) -> float:
        """Wait for the next deadline; return the clock's time after it."""
        now = self._pace.now()
        due = (now if self._due is None else self._due) + self._period
        if now - due > self._period:
            due = now
        self._due = due
        await self._pace.wait_until(due)
        return self._pace.now()
