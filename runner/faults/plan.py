"""Says what goes wrong with every message and at every time, from faults and a seed.

A plan is fed with what happens on the lines and answers with steps; it reads no clock
and knows no sockets, so the same inputs always give the same steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from random import Random

from runner.faults import network, strikes
from runner.faults.fault import (
    Burst,
    Direction,
    Duplicate,
    Error,
    Fault,
    HalfOpen,
    Late,
    Lose,
    Outage,
    Refuse,
    Reorder,
    Silence,
    Slow,
)
from runner.faults.occasions import Occasions
from runner.faults.passage import Armed, Line, Passage, Struck
from runner.faults.rubbish import type_of
from runner.faults.steps import Abort, Close, Data, Deliver, Freeze, Noted, Step

Steps = Iterator[Step]


class Plan:
    """The faults of one server; whoever holds its lines performs the steps, in order.

    `now` never goes back. The driver must call `tick` once `now` reaches `deadline`.
    Lines are known by numbers that the driver gives. `epoch` is what to add to `now`
    to get seconds since 1970, for the timestamps of what is made up.
    """

    def __init__(
        self, faults: Sequence[Fault], seed: int = 0, *, epoch: float = 0.0
    ) -> None:
        self._armed = [
            _arm(fault, Random(f"{seed}/{place}")) for place, fault in enumerate(faults)
        ]
        self._network = network.Network()
        self._lines: dict[int, Line] = {}
        self._began: float | None = None
        self._epoch = epoch

    @property
    def deadline(self) -> float | None:
        """When to call `tick`; None while no line is open."""
        return self._next() if self._lines else None

    def knock(self, now: float) -> list[Step]:
        """A client asks to come in: the steps say if it is turned away."""
        steps = self._advance(now)
        turned = self._network.turn_away(now)
        if turned is not None:
            fault, away = turned
            did = (
                "reset a new connection"
                if away.status is None
                else f"answered HTTP {away.status}"
            )
            steps += [self._note(fault, did, now), away]
        return steps

    def open(self, line: int, now: float) -> list[Step]:
        """A line is up."""
        steps = self._advance(now)
        self._lines[line] = Line()
        return steps

    def carry(
        self, line: int, direction: Direction, data: Data, now: float
    ) -> list[Step]:
        """A message goes over the line; it has passed once a step delivers it."""
        steps = self._advance(now)
        way = self._lines.get(line)
        if way is None or way.is_frozen:
            return steps
        kind = type_of(data)
        passage = Passage(Deliver(line, direction, data))
        for armed in self._armed:
            if armed.occasions.meets(direction, kind):
                steps += self._disturb(armed, passage, now)
        due = self._network.arrival(direction, now)
        way.send(passage, kind, due)
        return steps + self._advance(now)

    def finish(self, line: int, code: int, now: float) -> list[Step]:
        """The service closes the line: it does after what is still on its way down."""
        steps = self._advance(now)
        way = self._lines.get(line)
        if way is None:
            return [*steps, Close(line, code)]  # nothing is on its way any more
        if way.is_frozen:
            del self._lines[line]
            return [*steps, Abort(line)]
        due = self._network.arrival(Direction.DOWN, now)
        way.down.put([Close(line, code)], due)
        return steps + self._advance(now)

    def forget(self, line: int, now: float) -> list[Step]:
        """The line is gone: what the client sent before still arrives, at once."""
        steps = self._advance(now)
        way = self._lines.pop(line, None)
        if way is not None and not way.is_frozen:
            steps += [item for item in way.up.flush() if isinstance(item, Deliver)]
        return steps

    def tick(self, now: float) -> list[Step]:
        """Time has passed."""
        return self._advance(now)

    # ------------------------------------------------------------------------- time

    def _next(self) -> float | None:
        """When something happens by itself."""
        times = [time for way in self._lines.values() for time in way.times()]
        if self._began is not None:
            times += [
                self._began + armed.occasions.due
                for armed in self._armed
                if armed.occasions.due is not None
            ]
        return min(times, default=None)

    def _advance(self, now: float) -> list[Step]:
        """Let happen what is due, in its order."""
        if self._began is None:
            self._began = now
        if not self._lines:
            for armed in self._armed:
                armed.occasions.skip(now - self._began)
        steps: list[Step] = []
        while (due := self._next()) is not None and due <= now:
            steps += self._happen(due, self._began)
        return steps

    def _happen(self, now: float, began: float) -> Steps:
        for line in list(self._lines):
            yield from self._arrive(line, now)
        for armed in self._armed:
            due = armed.occasions.due
            if due is not None and began + due <= now and armed.occasions.strike():
                yield from self._strike(Struck(armed, None, None), now)
        for line, way in list(self._lines.items()):
            if way.resets_at is not None and way.resets_at <= now:
                del self._lines[line]
                yield Abort(line)

    def _arrive(self, line: int, now: float) -> Steps:
        way = self._lines.get(line)
        if way is None:
            return
        for item in [*way.up.arrive(now), *way.down.arrive(now)]:
            if self._lines.get(line) is not way or way.is_frozen:
                return  # what was still on its way went down with the line
            if isinstance(item, Struck):
                yield from self._strike(item, now)
                continue
            if isinstance(item, Close):
                del self._lines[line]
            yield item

    # ----------------------------------------------------------------------- faults

    def _disturb(self, armed: Armed, passage: Passage, now: float) -> Steps:
        """Let a fault happen to a message, or after it."""
        delivery = passage.delivery
        kind = type_of(delivery.data) or "message"
        match armed.fault.effect:
            case Late(by=by):
                passage.late += by
                did = f"held {kind} back for {by:g} s"
            case Duplicate(by=by):
                passage.copies.append(by)
                did = f"sent {kind} twice"
            case Reorder(within=within):
                passage.held = within
                did = f"let {kind} change places with the next"
            case Lose():
                passage.is_lost = True
                did = f"lost {kind}"
            case Silence():
                passage.silences = True
                did = "let a reply fall silent"
            case effect:
                if isinstance(effect, Error) and delivery.direction is Direction.UP:
                    passage.is_lost = True  # the error is its answer
                passage.after.append(Struck(armed, delivery.line, delivery.data))
                return
        yield self._note(armed.fault, did, now)

    def _strike(self, struck: Struck, now: float) -> Steps:
        """Let a fault happen to the lines it is meant for: one, or all of them."""
        fault, effect = struck.armed.fault, struck.armed.fault.effect
        hit = list(self._lines) if struck.line is None else [struck.line]
        match effect:
            case Outage() | Refuse() | Slow() | Burst():
                self._network.begin(fault, effect, now, struck.armed.lots)
                yield self._note(fault, network.told(effect), now)
                if isinstance(effect, Outage):
                    for line in list(self._lines):
                        del self._lines[line]
                        yield Abort(line)
                return
        standing = [line for line in hit if self._stands(line)]
        if standing:
            yield self._note(fault, strikes.told(effect), now)
        for line in standing:
            if isinstance(effect, HalfOpen):
                self._lines[line].resets_at = now + effect.seconds
                yield Freeze(line)
                continue
            for step in strikes.steps_of(struck, line, self._epoch + now):
                if isinstance(step, Abort | Close):
                    del self._lines[line]
                yield step

    def _stands(self, line: int) -> bool:
        way = self._lines.get(line)
        return way is not None and not way.is_frozen

    def _note(self, fault: Fault, did: str, now: float) -> Noted:
        began = now if self._began is None else self._began
        return Noted(fault.spec, did, round(now - began, 3))


def _arm(fault: Fault, lots: Random) -> Armed:
    return Armed(fault, Occasions(fault.trigger, lots), lots)
