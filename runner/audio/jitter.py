"""How unevenly sound arrives, and what to do about it. Pure.

Times are seconds on any steady clock, levels milliseconds of sound.
"""

from __future__ import annotations

import math

# The bounds of what is laid ahead of a reply: less is a gap at the first hiccup of the
# network or of the program, more is a delay that is noticed.
LEAST_MS = 40.0
MOST_MS = 120.0
# What is kept beyond the worst that was seen.
MARGIN_MS = 30.0
_FIRST_LATENESS_MS = 30.0
# What comes later than this was not meant to follow: it is another reply.
PAUSE_MS = 300.0
# The worst is forgotten in so many seconds of sound, to about a third.
_MEMORY_SECONDS = 30.0

# A level that was more than this came faster than real time, and is meant to be there.
_BACKLOG_MS = 300.0
# So far off the level is left alone; beyond, it is closed at a fiftieth a second, and
# never so fast that anybody hears it: a twentieth of a percent is less than a cent.
_STILL_MS = 5.0
_GAIN = 0.02
_MOST_STEERING = 0.0005
_WINDOW_SECONDS = 1.0


class JitterEstimator:
    """The worst lateness of sound behind the first piece of its run, slowly forgotten.

    A run is what is played without a gap. A piece that comes as fast as it is spoken,
    or faster, is not late, however the pieces are bundled.
    """

    def __init__(self) -> None:
        self._worst_ms = _FIRST_LATENESS_MS
        self._began: float | None = None  # None before the first run
        self._sound = 0.0  # seconds of the run so far

    @property
    def cushion_ms(self) -> float:
        """How much is to be laid ahead of the next run."""
        return min(max(self._worst_ms + MARGIN_MS, LEAST_MS), MOST_MS)

    @property
    def run_ms(self) -> float:
        """How much sound the run has had so far."""
        return self._sound * 1000

    def begin(self, at: float) -> None:
        """A run begins with the next piece."""
        self._began, self._sound = at, 0.0

    def note(self, at: float, seconds: float) -> None:
        """Take in a piece of this length."""
        if self._began is None:
            return
        late_ms = (at - self._began - self._sound) * 1000
        faded = self._worst_ms * math.exp(-seconds / _MEMORY_SECONDS)
        # What no cushion bridges is not remembered as more than the largest one.
        worst_ms = min(late_ms, MOST_MS - MARGIN_MS) if late_ms < PAUSE_MS else 0.0
        self._worst_ms = max(faded, worst_ms)
        self._sound += seconds


class ClockDriftController:
    """Keeps the level of a buffer by playing a very little faster or slower.

    A sound card's clock is some parts in a million off the service's: without this, a
    long reply would run dry, or its delay grow.
    """

    def __init__(self) -> None:
        self.faster = 0.0  # as a share of one
        self._lowest_ms = math.inf
        self._since: float | None = None

    def begin(self) -> None:
        """A run begins: what was seen of the level is of the past."""
        self._since, self._lowest_ms = None, math.inf

    def note(self, at: float, level_ms: float) -> None:
        """Take in the level before a piece is added."""
        if self._since is None:
            self._since = at
        self._lowest_ms = min(self._lowest_ms, level_ms)
        if at - self._since < _WINDOW_SECONDS:
            return
        error_ms = self._lowest_ms - MARGIN_MS
        self._since, self._lowest_ms = at, math.inf
        is_meant = abs(error_ms) < _STILL_MS or error_ms > _BACKLOG_MS
        wanted = 0.0 if is_meant else error_ms / 1000 * _GAIN
        self.faster = min(max(wanted, -_MOST_STEERING), _MOST_STEERING)
