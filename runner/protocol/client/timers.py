"""Named deadlines on a clock that the driver owns."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """What a session can be waiting for."""

    PHASE = auto()  # what the phase waits for: connection, ready, drain, ended
    RETRY = auto()  # the pause between two tries
    FLOOR = auto()  # a reply
    SOUND = auto()  # the next sound, or the end, of a reply that has started
    GOODBYE = auto()  # the agent's last words, after it asked to hang up
    ANNOUNCE = auto()  # a word of the agent's own while a tool runs
    NUDGE = auto()  # a word from a caller who is quiet
    IDLE = auto()  # the same, before the agent hangs up
    LAST_MINUTE = auto()  # the announcement of the session's limit
    MAX_DURATION = auto()  # the session's limit


# What only makes sense while the conversation goes on.
CONVERSATIONAL = (
    Timer.FLOOR,
    Timer.SOUND,
    Timer.GOODBYE,
    Timer.ANNOUNCE,
    Timer.NUDGE,
    Timer.IDLE,
)


class Timers:
    """At most one deadline a name; times are whatever clock `now` is on."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}
        # When the next timer is due, or None; asked for after every event.
        self.next: float | None = None

    def set(self, timer: Timer, at: float) -> None:
        """Start a timer, or move it."""
        self._due[timer] = at
        self._find_next()

    def is_set(self, timer: Timer) -> bool:
        """Whether a timer runs."""
        return timer in self._due

    def clear(self, *timers: Timer) -> None:
        """Stop timers; stopping one that does not run is fine."""
        for timer in timers:
            self._due.pop(timer, None)
        self._find_next()

    def clear_all(self) -> None:
        """Stop everything."""
        self._due.clear()
        self.next = None

    def take_due(self, now: float) -> Timer | None:
        """Return the earliest timer that is due, if any, and stop it.

        One at a time: what the first one causes may stop the others.
        """
        if self.next is None or self.next > now:
            return None
        _, value = min((at, timer.value) for timer, at in self._due.items())
        self.clear(timer := Timer(value))
        return timer

    def _find_next(self) -> None:
        self.next = min(self._due.values(), default=None)
