"""What the agent is made to say on our account, while nobody else has the word: that
the caller is quiet, that the call ends in a minute.

Both are said only when nobody owes anybody anything; a remark that becomes due earlier
waits. The quiet of a caller is counted from the end of the last sound on either side,
and our own remarks do not end it.
"""

from __future__ import annotations

from collections import deque

from runner.protocol.client.config import IdlePolicy
from runner.protocol.client.timers import Timer, Timers

LAST_MINUTE_SECONDS = 60.0
STILL_THERE = "Ask the caller in one short sentence whether they are still there."


def remark_verbatim(line: str) -> str:
    """Return the instruction to say a line as it stands."""
    return f'Say exactly this and nothing else: "{line}"'


class IdlePrompter:
    """Times remarks; its methods return the instruction to be followed, if any."""

    def __init__(
        self, timers: Timers, idle: IdlePolicy, one_minute_left: str | None
    ) -> None:
        self._timers = timers
        self._idle = idle
        self._one_minute_left = one_minute_left
        self._due: deque[str] = deque()
        self._is_quiet = False  # nobody owes anybody anything
        self._is_ours = False  # the reply that is awaited or under way is a remark

    def begin(self, now: float, max_duration: float | None) -> None:
        """The call begins."""
        if self._one_minute_left is not None and max_duration is not None:
            wait = max_duration - LAST_MINUTE_SECONDS
            if wait > 0:
                self._timers.set(Timer.LAST_MINUTE, now + wait)

    def stir(self) -> None:
        """The caller speaks: not idle any more."""
        self._is_quiet = self._is_ours = False
        self._timers.clear(Timer.NUDGE, Timer.IDLE)

    def look(self, is_settled: bool, quiet_from: float) -> str | None:
        """Take note of the state of things after an event."""
        if not is_settled:
            if self._is_quiet and not self._is_ours:
                self.stir()
            self._is_quiet = False
            return None
        if self._is_quiet:
            return None
        self._is_quiet = True
        was_ours, self._is_ours = self._is_ours, False
        if self._due:
            return self._remark()
        if not was_ours:
            self._count_from(quiet_from)
        return None

    def last_minute(self) -> str | None:
        """The last minute begins."""
        if self._one_minute_left is None:
            return None
        self._due.append(remark_verbatim(self._one_minute_left))
        return self._remark() if self._is_quiet else None

    def nudge(self) -> str | None:
        """The caller has been quiet for long."""
        say = self._idle.say
        self._due.append(STILL_THERE if say is None else remark_verbatim(say))
        return self._remark() if self._is_quiet else None

    def _remark(self) -> str:
        self._is_quiet, self._is_ours = False, True
        return self._due.popleft()

    def _count_from(self, quiet_from: float) -> None:
        if self._idle.nudge_after is not None:
            self._timers.set(Timer.NUDGE, quiet_from + self._idle.nudge_after)
        if self._idle.end_after is not None:
            self._timers.set(Timer.IDLE, quiet_from + self._idle.end_after)
