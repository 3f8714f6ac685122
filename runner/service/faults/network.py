"""The network under faults: triggers, messages in flight, outages and slowness."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from math import ceil, inf
from random import Random
from typing import Generic, TypeAlias, TypeVar

from runner.service.faults.model import (
    ANY,
    Close,
    Data,
    Deliver,
    Direction,
    Fault,
    RejectConnection,
    Trigger,
)

T = TypeVar("T")
# The messages of a reply, once it has started.
_REPLY_MESSAGES = {
    "reply.audio",
    "reply.done",
    "reply.error",
    "tool.call",
    "transcript.agent",
    "transcript.agent.delta",
}


class TriggerState:
    """Decides when one trigger fires; the plan reports messages and time to it.

    `due` is when it fires next by time, in seconds since the first client connected, or
    None.
    """

    def __init__(self, trigger: Trigger, rng: Random) -> None:
        self.due = trigger.at
        self._trigger = trigger
        self._rng = rng
        self._seen = 0
        self._fired = 0

    def matches(self, direction: Direction, kind: str) -> bool:
        """Counts a message; returns True if the fault happens to it."""
        trigger = self._trigger
        if trigger.on is None or direction not in trigger.directions:
            return False
        if trigger.on not in (ANY, kind):
            return False
        self._seen += 1
        past = self._seen - trigger.nth
        step = int(trigger.every or 1)
        return past >= 0 and past % step == 0 and self._fire()

    def fire(self) -> bool:
        """Uses the occasion that is due now; returns True if the fault happens."""
        assert self.due is not None, "called only when it is due"
        happens = self._fire()
        if self._trigger.every is None or self._is_spent:
            self.due = None
        else:
            self.due += self._trigger.every
        return happens

    def skip(self, elapsed: float) -> None:
        """Skips the occasions before `elapsed`, except for the last."""
        every = self._trigger.every
        if self.due is not None and every is not None and self.due < elapsed:
            self.due += (elapsed - self.due) // every * every

    @property
    def _is_spent(self) -> bool:
        times = self._trigger.times
        return times is not None and self._fired >= times

    def _fire(self) -> bool:
        if self._is_spent:
            return False
        if self._trigger.chance < 1.0 and self._rng.random() >= self._trigger.chance:
            return False
        self._fired += 1
        return True


class ActiveFault:
    """A fault with the state of its trigger and a random generator of its own."""

    # Its own generator, so that adding a fault changes nothing for the others.
    def __init__(self, fault: Fault, rng: Random) -> None:
        self.fault = fault
        self.trigger = TriggerState(fault.trigger, rng)
        self.rng = rng


@dataclass(frozen=True, slots=True)
class TriggeredFault:
    """A fault due after a message on its connection, or (None) on all connections."""

    active: ActiveFault
    connection: int | None
    data: Data | None


Item: TypeAlias = Deliver | Close | TriggeredFault


@dataclass(slots=True)
class MessageTransit:
    """One message and the changes that faults make to its delivery, in seconds."""

    delivery: Deliver
    is_lost: bool = False
    silences: bool = False
    late: float = 0.0
    held: float | None = None
    copies: list[float] = field(default_factory=list)  # the delay of each copy
    after: list[TriggeredFault] = field(default_factory=list)


class MessageQueue(Generic[T]):
    """The items in flight in one direction, in groups that arrive together.

    The caller gives the time.
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Sequence[T]]] = []
        self._held: list[tuple[float, Sequence[T]]] = []  # until the next group
        self._last = 0.0  # when the last group that keeps its place arrives
        self._count = 0  # orders groups that arrive at the same time

    @property
    def due(self) -> float | None:
        """When the next group arrives."""
        times = [until for until, _ in self._held]
        if self._heap:
            times.append(self._heap[0][0])
        return min(times, default=None)

    def earliest(self, due: float) -> float:
        """Returns when a group for `due` arrives if it keeps its place."""
        return max(self._last, due)

    def put(self, group: Sequence[T], due: float) -> None:
        """Adds a group that arrives at `due`, and not before earlier groups."""
        self._last = self.earliest(due)
        self._push(group, self._last)
        for _, held in self._held:
            self._push(held, self._last)
        self._held.clear()

    def put_late(self, group: Sequence[T], due: float) -> None:
        """Adds a group that later groups can overtake."""
        self._push(group, due)

    def hold(self, group: Sequence[T], until: float) -> None:
        """Holds a group until the next one has arrived, or until the given time."""
        self._held.append((until, group))

    def arrive(self, now: float) -> list[T]:
        """Removes and returns the items that are due, in order."""
        for until, group in [each for each in self._held if each[0] <= now]:
            self._held.remove((until, group))
            self._push(group, until)
        arrived: list[T] = []
        while self._heap and self._heap[0][0] <= now:
            arrived += heapq.heappop(self._heap)[2]
        return arrived

    def flush(self) -> list[T]:
        """Removes and returns all items, in order."""
        return self.arrive(inf)

    def _push(self, group: Sequence[T], due: float) -> None:
        self._count += 1
        heapq.heappush(self._heap, (due, self._count, group))


class LinkState:
    """One open connection: its messages in flight and the faults that apply to it."""

    def __init__(self) -> None:
        self.up: MessageQueue[Item] = MessageQueue()
        self.down: MessageQueue[Item] = MessageQueue()
        self.resets_at: float | None = None  # set while half open
        self._is_silent = False  # within a reply that `silence` applies to

    @property
    def is_frozen(self) -> bool:
        """True if the connection is half open."""
        return self.resets_at is not None

    def times(self) -> Iterator[float]:
        """Yields when the connection needs attention."""
        if self.resets_at is not None:
            yield self.resets_at
            return
        for queue in (self.up, self.down):
            if queue.due is not None:
                yield queue.due

    def send(self, transit: MessageTransit, kind: str, due: float) -> None:
        """Queues a message of type `kind` for `due`, as changed by its faults."""
        queue = self.up if transit.delivery.direction is Direction.UP else self.down
        is_lost = transit.is_lost or self._suppresses(transit, kind)
        message: list[Item] = [] if is_lost else [transit.delivery]
        repeats = 1 + transit.copies.count(0.0)
        group = [*message * repeats, *transit.after]
        due = queue.earliest(due)
        if transit.held is not None:
            queue.hold(group, due + transit.held)
        elif transit.late:
            queue.put_late(group, due + transit.late)
        elif group:
            queue.put(group, due)
        for delay in transit.copies:
            if delay and message:
                queue.put_late(message, due + transit.late + delay)

    def _suppresses(self, transit: MessageTransit, kind: str) -> bool:
        """Returns True if the message belongs to a reply that is silenced."""
        if transit.delivery.direction is Direction.UP:
            return False
        if kind == "reply.started":
            self._is_silent = transit.silences
        return self._is_silent and kind in _REPLY_MESSAGES


@dataclass(slots=True)
class _Condition:
    """A fault that applies to all connections from `begins` until `ends`."""

    fault: Fault
    begins: float
    ends: float
    rng: Random
    used: int = 0


class Network:
    """The faults that apply to all connections: outage, refuse, slow and burst."""

    KINDS = ("outage", "refuse", "slow", "burst")

    def __init__(self) -> None:
        self._conditions: list[_Condition] = []

    def begin(self, fault: Fault, now: float, rng: Random) -> None:
        """Applies a fault from now on, for as long as it says."""
        seconds = fault.parameters["for"]
        ends = inf if seconds is None else now + seconds
        self._conditions.append(_Condition(fault, now, ends, rng))

    def reject(self, now: float) -> tuple[Fault, RejectConnection] | None:
        """Returns how a new connection is rejected and by which fault, if it is."""
        for condition in self._current(now):
            fault = condition.fault
            if fault.kind == "outage":
                return fault, RejectConnection(None)
            if fault.kind == "refuse":
                times = fault.parameters["times"]
                if times is None or condition.used < times:
                    condition.used += 1
                    return fault, RejectConnection(fault.parameters["status"])
        return None

    def arrival(self, direction: Direction, now: float) -> float:
        """Returns when a message sent now arrives; the jitter is random."""
        due = now
        for condition in self._current(now, "slow", direction):
            parameters = condition.fault.parameters
            due += parameters["by"] + parameters["jitter"] * condition.rng.random()
        for condition in self._current(now, "burst", direction):
            period = condition.fault.parameters["period"]
            periods = ceil((due - condition.begins) / period)
            due = max(due, condition.begins + periods * period)
        return due

    def _current(
        self, now: float, kind: str = "", direction: Direction | None = None
    ) -> list[_Condition]:
        self._conditions = [each for each in self._conditions if now < each.ends]
        return [
            each
            for each in self._conditions
            if not kind
            or (each.fault.kind == kind)
            and direction in each.fault.parameters["direction"]
        ]
