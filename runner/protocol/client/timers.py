"""Named deadlines on a clock that the driver owns."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """What a session can be waiting for."""

    PHASE = auto()  # what the phase waits for: connection, ready, drain, ended
    RETRY = auto()  # the pause between two tries
    FLOOR = auto()  # a reply to what the caller said
    GOODBYE = auto()  # the agent's last words, after it asked to hang up
    MAX_DURATION = auto()  # the session's limit


class Timers:
    """At most one deadline a name; times are whatever clock `now` is on."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}

    def set(self, timer: Timer, at: float) -> None:
        """Start a timer, or move it."""
        self._due[timer] = at

    def is_set(self, timer: Timer) -> bool:
        """Whether a timer runs."""
        return timer in self._due

    def clear(self, *timers: Timer) -> None:
        """Stop timers; stopping one that does not run is fine."""
        for timer in timers:
            self._due.pop(timer, None)

    def clear_all(self) -> None:
        """Stop everything."""
        self._due.clear()

    @property
    def next(self) -> float | None:
        """When the next timer is due, or None."""
        return min(self._due.values(), default=None)

    def take_due(self, now: float) -> list[Timer]:
        """Return the timers that are due, earliest first, and stop them."""
        due = sorted((at, timer.value) for timer, at in self._due.items() if at <= now)
        timers = [Timer(value) for _, value in due]
        self.clear(*timers)
        return timers
