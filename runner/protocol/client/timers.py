"""Named timers of a client session, on the clock of its driver."""

from __future__ import annotations

from enum import Enum, auto


class Timer(Enum):
    """The timers of a session, named by what happens when they expire."""

    PHASE = auto()  # no connection, session.ready, end of playback or session.ended
    RETRY = auto()  # the delay between two attempts is over
    FLOOR = auto()  # no reply
    REPLY_AUDIO = auto()  # no further audio, and no end, of a reply that has started
    GOODBYE = auto()  # no goodbye after the agent hung up without one
    ANNOUNCE = auto()  # a running tool is announced
    NUDGE = auto()  # a silent caller is asked
    IDLE = auto()  # the agent hangs up on a silent caller
    LAST_MINUTE = auto()  # the limit of the call is announced
    MAX_DURATION = auto()  # the call reaches its limit


# Timers that only apply while the session is live.
CONVERSATIONAL = (
    Timer.FLOOR,
    Timer.REPLY_AUDIO,
    Timer.GOODBYE,
    Timer.ANNOUNCE,
    Timer.NUDGE,
    Timer.IDLE,
)


class Timers:
    """At most one deadline for each timer, on the clock of `now`."""

    def __init__(self) -> None:
        self._due: dict[Timer, float] = {}
        # The earliest deadline, or None; kept, because it is read after every event.
        self.next: float | None = None

    def set(self, timer: Timer, at: float) -> None:
        """Starts or restarts a timer."""
        self._due[timer] = at
        self._find_next()

    def is_set(self, timer: Timer) -> bool:
        """True if a timer runs."""
        return timer in self._due

    def clear(self, *timers: Timer) -> None:
        """Stops timers, also those that do not run."""
        for timer in timers:
            self._due.pop(timer, None)
        self._find_next()

    def clear_all(self) -> None:
        """Stops all timers."""
        self._due.clear()
        self.next = None

    def take_due(self, now: float) -> Timer | None:
        """Stops and returns the earliest timer that is due, or None."""
        # One at a time: the effects of the first one may stop the others.
        if self.next is None or self.next > now:
            return None
        _, value = min((at, timer.value) for timer, at in self._due.items())
        self.clear(timer := Timer(value))
        return timer

    def _find_next(self) -> None:
        self.next = min(self._due.values(), default=None)
