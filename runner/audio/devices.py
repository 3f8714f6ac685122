"""The engine's interface to audio devices: microphone, speaker and clock.

All audio here is 24 kHz mono PCM16 little-endian; adapters resample to and from the
rate of a device. The frames of a microphone all have the same length: 50 ms (2,400
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
CARD_FRAME_MS = 20  # for the microphone of a sound card
FRAME_BYTES = BYTES_PER_SECOND * FRAME_MS // 1000
CARD_FRAME_BYTES = BYTES_PER_SECOND * CARD_FRAME_MS // 1000
# Limit of a microphone's backlog; beyond it the oldest frames are dropped and counted.
MICROPHONE_BACKLOG_MS = 300


class Microphone(Protocol):
    """A source of the caller's audio in real time; an async context manager."""

    @property
    def dropped_ms(self) -> float:
        """Milliseconds of audio dropped because they were not read in time."""
        ...

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def frames(self) -> AsyncIterator[bytes]:
        """Yields frames in real time; ends when the input ends."""
        ...


class Speaker(Protocol):
    """Plays the agent's audio; `play` and `stop` return immediately."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *exc: object) -> None: ...

    def play(self, pcm: bytes) -> None:
        """Appends audio to the playback buffer."""
        ...

    def stop(self) -> float:
        """Empties the playback buffer: silence within one block of the device.

        Returns the length of the discarded audio in milliseconds.
        """
        ...

    @property
    def pending_ms(self) -> float:
        """Milliseconds of audio that are buffered and not yet played."""
        ...

    async def drained(self) -> None:
        """Returns once all audio passed to `play` was played or stopped."""
        ...


class Clock(Protocol):
    """A clock in seconds for devices without one, and a way to wait on it.

    Tests and calls in virtual time pass their own.
    """

    def now(self) -> float: ...

    async def wait_until(self, due: float) -> None:
        """Returns at `due` or soon after; yields to the loop if it has passed."""
        ...


class LoopClock:
    """The running event loop's clock."""

    def now(self) -> float:
        return asyncio.get_running_loop().time()

    async def wait_until(self, due: float) -> None:
        await asyncio.sleep(max(0.0, due - self.now()))


class Ticker:
    """Fires once per period, the first time one period after the first `tick`.

    Each deadline follows from the one before, so late wake-ups do not accumulate.
    """

    def __init__(self, clock: Clock, period: float) -> None:
        self._clock = clock
        self._period = period
        self._due: float | None = None

    async def tick(self) -> float:
        """Waits for the next deadline; returns the clock's time after it."""
        now = self._clock.now()
        due = (now if self._due is None else self._due) + self._period
        if now - due > self._period:
            # After a stall later deadlines move too: a burst of ticks would send the
            # service audio faster than real time.
            due = now
        self._due = due
        await self._clock.wait_until(due)
        return self._clock.now()
