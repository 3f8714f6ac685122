"""What a fault does to a line at its moment, and how the operator is told."""

from __future__ import annotations

from collections.abc import Iterator

from runner.faults.fault import (
    CloseWith,
    Direction,
    Drop,
    Effect,
    Error,
    Flood,
    Garbage,
    HalfOpen,
)
from runner.faults.passage import Struck
from runner.faults.rubbish import flood, garbage
from runner.faults.steps import Abort, Close, Deliver, Step
from runner.protocol.codec import encode
from runner.protocol.messages import SessionError


def steps_of(struck: Struck, line: int, timestamp: float) -> Iterator[Step]:
    """Yield what is done to one line; `timestamp` is seconds since 1970."""
    match struck.armed.fault.effect:
        case Drop(resets=resets):
            yield Abort(line, resets)
        case CloseWith(code=code):
            yield Close(line, code)
        case Error(code=code, text=text, close=close):
            message = SessionError(code, text, timestamp=timestamp)
            yield Deliver(line, Direction.DOWN, encode(message))
            if close is not None:
                yield Close(line, close)
        case Garbage() as effect:
            data = garbage(effect, struck.armed.lots)
            yield Deliver(line, Direction.DOWN, data)
        case Flood() as effect:
            for data in flood(effect, struck.data):
                yield Deliver(line, Direction.DOWN, data)


def told(effect: Effect) -> str:
    """Return what the effect did to a line, for the operator."""
    match effect:
        case Drop(resets=resets):
            return "reset the line" if resets else "dropped the line"
        case CloseWith(code=code):
            return f"closed the line with {code}"
        case HalfOpen(seconds=seconds):
            return f"left the line half open, for {seconds:g} s"
        case Error(code=code):
            return f"sent session.error {code}"
        case Garbage():
            return "sent garbage"
        case Flood(count=count):
            return f"sent {count} messages at once"
        case _:
            raise AssertionError(f"{effect} does not happen to one line")
