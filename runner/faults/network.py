"""What holds for all lines for a while: outages, refusals, slowness, bursts."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from random import Random
from typing import TypeAlias

from runner.faults.fault import Burst, Direction, Fault, Outage, Refuse, Slow
from runner.faults.steps import TurnAway

Lasting: TypeAlias = Outage | Refuse | Slow | Burst


@dataclass(slots=True)
class _Spell:
    """An effect at work from `begins` until `ends`, on the plan's clock."""

    fault: Fault
    effect: Lasting
    begins: float
    ends: float
    lots: Random
    used: int = 0


class Network:
    """The state of the whole network; a plan asks it about clients and messages."""

    def __init__(self) -> None:
        self._spells: list[_Spell] = []

    def begin(self, fault: Fault, effect: Lasting, now: float, lots: Random) -> None:
        """Let an effect hold from now on, for as long as it says."""
        ends = inf if effect.seconds is None else now + effect.seconds
        self._spells.append(_Spell(fault, effect, now, ends, lots))

    def turn_away(self, now: float) -> tuple[Fault, TurnAway] | None:
        """Say how a client that knocks is turned away, and by which fault."""
        for spell in self._current(now):
            effect = spell.effect
            if isinstance(effect, Outage):
                return spell.fault, TurnAway(None)
            if isinstance(effect, Refuse):
                if effect.times is not None and spell.used >= effect.times:
                    continue
                spell.used += 1
                return spell.fault, TurnAway(effect.status)
        return None

    def arrival(self, direction: Direction, now: float) -> float:
        """Return when a message that is sent now arrives; draws its jitter."""
        due = now
        for spell in self._current(now):
            effect = spell.effect
            if isinstance(effect, Slow) and direction in effect.directions:
                due += effect.by + effect.jitter * spell.lots.random()
        for spell in self._current(now):
            effect = spell.effect
            if isinstance(effect, Burst) and direction in effect.directions:
                periods = ceil((due - spell.begins) / effect.period)
                due = max(due, spell.begins + periods * effect.period)
        return due

    def _current(self, now: float) -> list[_Spell]:
        self._spells = [spell for spell in self._spells if now < spell.ends]
        return self._spells


def told(effect: Lasting) -> str:
    """Return what the effect does, for the operator."""
    match effect:
        case Outage(seconds=seconds):
            return f"dropped every line, for {seconds:g} s"
        case Refuse(status=status):
            return f"answers new connections with HTTP {status} from now on"
        case Slow(by=by):
            return f"slows messages by {by:g} s from now on"
        case Burst(period=period):
            return f"delivers in bursts every {period:g} s from now on"
