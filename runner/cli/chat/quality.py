"""How good the line is, from how late the agent's sound came and how often it broke."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Quality: TypeAlias = Literal["", "good", "uneven", "poor"]

# What is remembered: a person cares for the line of now.
_WINDOW_SECONDS = 60.0
# Sound that comes this much after the one before it has ended is a gap: less is evened
# out by the speaker's buffer (40 to 120 ms).
LATE_SECONDS = 0.06
# A gap that anybody hears as one.
_LONG_SECONDS = 0.25
_MANY_GAPS = 4
_MANY_DROPS = 2


@dataclass(slots=True)
class ConnectionQuality:
    """Watches arrivals; times are seconds of the engine's clock."""

    _gaps: deque[tuple[float, float]] = field(default_factory=deque)
    _drops: deque[float] = field(default_factory=deque)
    _reply: str | None = None
    _has_sound: bool = False

    def arrive(self, at: float, reply_id: str, plays_until: float) -> None:
        """Take note of sound, and of when all sound before it had been played."""
        is_first = reply_id != self._reply
        self._reply, self._has_sound = reply_id, True
        late = at - plays_until
        if not is_first and late > LATE_SECONDS:
            self._gaps.append((at, late))

    def drop(self, at: float) -> None:
        """Take note that the connection broke."""
        self._drops.append(at)
        self._reply = None  # what follows is late for a reason that is known

    def pause(self) -> None:
        """Take note that the agent's sound may rest: a reply is over, or waits."""
        self._reply = None

    def at(self, now: float) -> Quality:
        """Return what the last minute was like; nothing before there was any sound."""
        while self._gaps and self._gaps[0][0] < now - _WINDOW_SECONDS:
            self._gaps.popleft()
        while self._drops and self._drops[0] < now - _WINDOW_SECONDS:
            self._drops.popleft()
        is_long = any(late > _LONG_SECONDS for _, late in self._gaps)
        if len(self._gaps) >= _MANY_GAPS or len(self._drops) >= _MANY_DROPS:
            return "poor"
        if self._drops and is_long:
            return "poor"
        if self._gaps or self._drops:
            return "uneven"
        return "good" if self._has_sound else ""
