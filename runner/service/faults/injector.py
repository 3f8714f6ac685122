"""Performs the actions of a fault plan on the connections of a server."""

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

from runner.service.connection import ABNORMAL_CLOSURE, FaultySocket, Outbox
from runner.service.conversation import Report
from runner.service.faults.model import (
    Abort,
    Action,
    Close,
    Data,
    Deliver,
    Direction,
    Fault,
    FaultReported,
    Freeze,
    RejectConnection,
)
from runner.service.faults.plan import Plan

# How long an injected drop waits for a client that does not read.
_UNREAD_SECONDS = 1.0
# Closing a socket with SO_LINGER 0 sends a reset. The fields are shorter on Windows.
_NO_LINGER = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)


class Transport(Protocol):
    """The part of a socket's transport that faults are applied to."""

    def abort(self) -> None: ...

    def pause_reading(self) -> None: ...

    def get_extra_info(self, name: str) -> Any: ...


@dataclass(slots=True)
class _Endpoint:
    """One connection: the targets of the messages that the plan delivers."""

    transport: Transport
    wire: FaultySocket = field(default_factory=FaultySocket)
    arrived: asyncio.Queue[Data | None] = field(default_factory=asyncio.Queue)
    reading: asyncio.Task[None] | None = None


class FaultInjector:
    """Applies faults between the sockets and the conversations of one server.

    Create it in a running event loop. `epoch` is the offset from the clock of the loop
    to seconds since 1970.
    """

    def __init__(
        self, faults: Sequence[Fault], seed: int, report: Report, epoch: float
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan = Plan(faults, seed, epoch=epoch)
        self._report = report
        self._endpoints: dict[int, _Endpoint] = {}
        self._numbers = count(1)
        self._timer: asyncio.TimerHandle | None = None

    def request(self) -> RejectConnection | None:
        """Returns how a new connection is rejected, or None if it is accepted."""
        actions = self._plan.request(self._loop.time())
        self._perform(actions)
        rejections = [each for each in actions if isinstance(each, RejectConnection)]
        return rejections[0] if rejections else None

    @asynccontextmanager
    async def between(
        self, transport: Transport, messages: AsyncIterator[Data], outbox: Outbox
    ) -> AsyncIterator[tuple[AsyncIterator[Data], FaultySocket]]:
        """Carries the messages of one connection in both directions, as a context.

        Takes the messages from the socket and the outbox of the conversation; yields
        the messages for the conversation, and those to write to the socket.
        """
        number = next(self._numbers)
        endpoint = _Endpoint(transport)
        self._endpoints[number] = endpoint
        self._perform(self._plan.open(number, self._loop.time()))
        try:
            async with asyncio.TaskGroup() as tasks:
                endpoint.reading = tasks.create_task(
                    self._receive(number, messages, endpoint)
                )
                sending = tasks.create_task(self._send(number, outbox, endpoint.wire))
                yield _arrivals(endpoint), endpoint.wire
                endpoint.reading.cancel()
                sending.cancel()
        finally:
            self._endpoints.pop(number)
            self._perform(self._plan.disconnect(number, self._loop.time()))

    async def _receive(
        self, number: int, messages: AsyncIterator[Data], endpoint: _Endpoint
    ) -> None:
        async for data in messages:
            now = self._loop.time()
            self._perform(self._plan.transmit(number, Direction.UP, data, now))
        self._perform(self._plan.disconnect(number, self._loop.time()))
        endpoint.arrived.put_nowait(None)
        endpoint.wire.close(ABNORMAL_CLOSURE)  # the socket is gone: nothing is written

    async def _send(self, number: int, outbox: Outbox, wire: FaultySocket) -> None:
        async for data in outbox:
            await wire.room()
            now = self._loop.time()
            self._perform(self._plan.transmit(number, Direction.DOWN, data, now))
        self._perform(self._plan.close(number, outbox.code, self._loop.time()))

    def _perform(self, actions: Iterable[Action]) -> None:
        for action in actions:
            match action:
                case FaultReported(fault=fault, did=did, at=at):
                    facts = {"fault": fault, "did": did, "at": at}
                    self._report("vagent.fault", facts)
                case RejectConnection():
                    pass  # performed by the caller of `request`
                case Deliver() | Abort() | Close() | Freeze():
                    endpoint = self._endpoints.get(action.connection)
                    if endpoint is not None:
                        self._perform_on(endpoint, action)
        self._set_timer()

    def _perform_on(
        self, endpoint: _Endpoint, action: Deliver | Abort | Close | Freeze
    ) -> None:
        match action:
            case Deliver(direction=Direction.UP, data=data):
                endpoint.arrived.put_nowait(data)
            case Deliver(data=data):
                endpoint.wire.send(data)
            case Close(code=code):
                endpoint.wire.close(code)
            case Abort(resets=resets):
                sock = endpoint.transport.get_extra_info("socket")
                if resets and sock is not None:
                    # The client may have closed it already: nothing to reset then.
                    with suppress(OSError):
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                # Messages delivered before go out first, if the client reads at all.
                endpoint.wire.close(ABNORMAL_CLOSURE)
                self._loop.call_later(_UNREAD_SECONDS, endpoint.transport.abort)
                endpoint.arrived.put_nowait(None)
            case Freeze():
                if endpoint.reading is not None:
                    endpoint.reading.cancel()
                endpoint.transport.pause_reading()

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._plan.deadline
        if deadline is not None:
            self._timer = self._loop.call_at(deadline, self._tick)

    def _tick(self) -> None:
        # The loop calls up to the resolution of its clock early.
        now = max(self._loop.time(), self._plan.deadline or 0.0)
        self._perform(self._plan.tick(now))


async def _arrivals(endpoint: _Endpoint) -> AsyncIterator[Data]:
    while (data := await endpoint.arrived.get()) is not None:
        yield data
