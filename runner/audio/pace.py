"""Real time for devices that have no clock of their own, on the loop's clock.

`Clock` is the seam: tests, and whoever wants a call faster than real time, give another.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


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
