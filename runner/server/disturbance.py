"""Performs a plan of faults on the server's connections; knows no websockets."""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

from runner.faults.fault import Direction, Fault
from runner.faults.plan import Plan
from runner.faults.steps import (
    Abort,
    Close,
    Data,
    Deliver,
    Freeze,
    Noted,
    Step,
    TurnAway,
)
from runner.server.journal import Report
from runner.server.outbox import Outbox
from runner.server.wire import ABNORMAL_CLOSURE, Wire

# How long a line that breaks on purpose waits for a client that does not read.
_UNREAD_SECONDS = 1.0
# Closing a socket that does not linger sends a reset; Windows has shorter numbers.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Transport(Protocol):
    """The part of a socket's transport that faults are done to."""

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> Any: ...


@dataclass(slots=True)
class _End:
    """One connection: where its messages go when the plan delivers them."""

    transport: Transport
    wire: Wire = field(default_factory=Wire)
    arrived: asyncio.Queue[Data | None] = field(default_factory=asyncio.Queue)
    reading: asyncio.Task[None] | None = None


class Disturbance:
    """Stands between the sockets and the conversations of one server.

    The door asks it about every client that knocks, and lets it carry every message.
    Made within a running loop. `epoch` is what to add to its clock to get seconds since
    1970.
    """

    def __init__(
        self, faults: Sequence[Fault], seed: int, report: Report, epoch: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan = Plan(faults, seed, epoch=epoch)
        self._report = report
        self._ends: dict[int, _End] = {}
        self._numbers = count(1)
        self._alarm: asyncio.TimerHandle | None = None

    def knock(self) -> TurnAway | None:
        """Whether a client that asks to come in is turned away, and how."""
        steps = self._plan.knock(self._loop.time())
        away = [step for step in steps if isinstance(step, TurnAway)]
        self._perform(steps)
        return away[0] if away else None

    @asynccontextmanager
    async def between(
        self, transport: Transport, messages: AsyncIterator[Data], line: Outbox
    ) -> AsyncIterator[tuple[AsyncIterator[Data], Wire]]:
        """Carry one connection's messages, both ways, until the context is left.

        Takes what the socket reads and what the conversation sends; yields what
        arrives at the conversation, and what is to be written to the socket.
        """
        number = next(self._numbers)
        end = _End(transport)
        self._ends[number] = end
        self._perform(self._plan.open(number, self._loop.time()))
        try:
            async with asyncio.TaskGroup() as tasks:
                end.reading = tasks.create_task(self._carry_up(number, messages, end))
                sending = tasks.create_task(self._carry_down(number, line, end.wire))
                yield _arrivals(end), end.wire
                end.reading.cancel()
                sending.cancel()
        finally:
            self._ends.pop(number)
            self._perform(self._plan.forget(number, self._loop.time()))

    async def _carry_up(
        self, number: int, messages: AsyncIterator[Data], end: _End
    ) -> None:
        async for data in messages:
            now = self._loop.time()
            self._perform(self._plan.carry(number, Direction.UP, data, now))
        self._perform(self._plan.forget(number, self._loop.time()))
        end.arrived.put_nowait(None)
        end.wire.close(ABNORMAL_CLOSURE)  # the socket is gone: nothing is written

    async def _carry_down(self, number: int, line: Outbox, wire: Wire) -> None:
        async for data in line:
            await wire.room()
            now = self._loop.time()
            self._perform(self._plan.carry(number, Direction.DOWN, data, now))
        self._perform(self._plan.finish(number, line.code, self._loop.time()))

    def _perform(self, steps: Iterable[Step]) -> None:
        for step in steps:
            match step:
                case Noted(fault=fault, did=did, at=at):
                    facts = {"fault": fault, "did": did, "at": at}
                    self._report("vagent.fault", facts)
                case TurnAway():
                    pass  # the door does it
                case Deliver() | Abort() | Close() | Freeze():
                    end = self._ends.get(step.line)
                    if end is not None:
                        self._perform_on(end, step)
        self._set_alarm()

    def _perform_on(self, end: _End, step: Deliver | Abort | Close | Freeze) -> None:
        match step:
            case Deliver(direction=Direction.UP, data=data):
                end.arrived.put_nowait(data)
            case Deliver(data=data):
                end.wire.send(data)
            case Close(code=code):
                end.wire.close(code)
            case Abort(resets=resets):
                sock = end.transport.get_extra_info("socket")
                if resets and sock is not None:
                    _forbid_to_linger(sock)
                # What was delivered before goes out first, if the client reads at all.
                end.wire.close(ABNORMAL_CLOSURE)
                self._loop.call_later(_UNREAD_SECONDS, end.transport.abort)
                end.arrived.put_nowait(None)
            case Freeze():
                if end.reading is not None:
                    end.reading.cancel()
                end.transport.pause_reading()

    def _set_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        deadline = self._plan.deadline
        if deadline is not None:
            self._alarm = self._loop.call_at(deadline, self._ring)

    def _ring(self) -> None:
        # The loop rings up to its clock's resolution early.
        now = max(self._loop.time(), self._plan.deadline or 0.0)
        self._perform(self._plan.tick(now))


def _forbid_to_linger(sock: socket.socket) -> None:
    # The client may have closed it this very moment: then there is nothing to reset.
    with suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)


async def _arrivals(end: _End) -> AsyncIterator[Data]:
    while (data := await end.arrived.get()) is not None:
        yield data
