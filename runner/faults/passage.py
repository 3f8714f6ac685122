"""A line as a plan sees it, and one message's way over it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import TypeAlias

from runner.faults.fault import Direction, Fault
from runner.faults.lane import Lane
from runner.faults.occasions import Occasions
from runner.faults.steps import Close, Data, Deliver

# What belongs to a reply, once it has started.
_OF_A_REPLY = {
    "reply.audio",
    "reply.done",
    "reply.error",
    "tool.call",
    "transcript.agent",
    "transcript.agent.delta",
}


@dataclass(frozen=True, slots=True)
class Armed:
    """A fault with its trigger at work and lots of its own.

    Of its own, so that a fault more or less changes nothing for the others.
    """

    fault: Fault
    occasions: Occasions
    lots: Random


@dataclass(frozen=True, slots=True)
class Struck:
    """A fault about to happen: after a message on its line, or (None) to all lines."""

    armed: Armed
    line: int | None
    data: Data | None


Item: TypeAlias = Deliver | Close | Struck


@dataclass(slots=True)
class Passage:
    """One message and what the faults make of it."""

    delivery: Deliver
    is_lost: bool = False
    silences: bool = False
    late: float = 0.0
    held: float | None = None
    copies: list[float] = field(default_factory=list)  # how much later each comes
    after: list[Struck] = field(default_factory=list)


class Line:
    """One open connection: what is on its way up and down, and its afflictions."""

    def __init__(self) -> None:
        self.up: Lane[Item] = Lane()
        self.down: Lane[Item] = Lane()
        self.resets_at: float | None = None  # set while half open
        self._is_mute = False  # within a reply that has fallen silent

    @property
    def is_frozen(self) -> bool:
        """Whether it is half open."""
        return self.resets_at is not None

    def times(self) -> Iterator[float]:
        """Yield when something happens on it by itself."""
        if self.resets_at is not None:
            yield self.resets_at
            return
        for lane in (self.up, self.down):
            if lane.due is not None:
                yield lane.due

    def send(self, passage: Passage, kind: str, due: float) -> None:
        """Put a message on its way, to arrive then if nothing else is wrong with it."""
        lane = self.up if passage.delivery.direction is Direction.UP else self.down
        if self._swallows(passage, kind):
            passage.is_lost = True
        here: list[Item] = [] if passage.is_lost else [passage.delivery]
        now = [by for by in passage.copies if not by]
        parcel = [*here, *(here * len(now)), *passage.after]
        due = lane.place(due)
        if passage.held is not None:
            lane.hold(parcel, due + passage.held)
        elif passage.late:
            lane.put_late(parcel, due + passage.late)
        elif parcel:
            lane.put(parcel, due)
        for by in passage.copies:
            if by and here:
                lane.put_late(here, due + passage.late + by)

    def _swallows(self, passage: Passage, kind: str) -> bool:
        """Whether the message belongs to a reply that has fallen silent."""
        if passage.delivery.direction is Direction.UP:
            return False
        if kind == "reply.started":
            self._is_mute = passage.silences
        return self._is_mute and kind in _OF_A_REPLY
