"""When a fault's trigger goes off: it counts messages, keeps times and draws lots."""

from __future__ import annotations

from random import Random

from runner.faults.fault import ANY, Direction, Trigger


class Occasions:
    """One trigger at work; told of every message and of time by the plan.

    `due` is when it goes off next by itself, in seconds since the beginning, or None.
    """

    def __init__(self, trigger: Trigger, lots: Random) -> None:
        self.due = trigger.at
        self._trigger = trigger
        self._lots = lots
        self._seen = 0
        self._taken = 0

    def meets(self, direction: Direction, kind: str) -> bool:
        """Count a message that passes; whether the fault happens to it."""
        trigger = self._trigger
        if trigger.on is None or direction not in trigger.directions:
            return False
        if trigger.on not in (ANY, kind):
            return False
        self._seen += 1
        past = self._seen - trigger.nth
        step = int(trigger.every or 1)
        return past >= 0 and past % step == 0 and self._take()

    def strike(self) -> bool:
        """Take the occasion that is due now; whether the fault happens."""
        assert self.due is not None, "only called when it is due"
        happens = self._take()
        if self._trigger.every is None or self._is_spent:
            self.due = None
        else:
            self.due += self._trigger.every
        return happens

    def skip(self, elapsed: float) -> None:
        """Let pass what nobody was there for, but for the last occasion until now."""
        every = self._trigger.every
        if self.due is not None and every is not None and self.due < elapsed:
            self.due += (elapsed - self.due) // every * every

    @property
    def _is_spent(self) -> bool:
        times = self._trigger.times
        return times is not None and self._taken >= times

    def _take(self) -> bool:
        if self._is_spent:
            return False
        if self._trigger.chance < 1.0 and self._lots.random() >= self._trigger.chance:
            return False
        self._taken += 1
        return True
