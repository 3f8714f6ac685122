"""A line that a scenario can cut, whatever service is at its other end."""

from __future__ import annotations

import asyncio

from runner.engine.connection import Dial, Transport, TransportListener
from runner.errors import ConnectionLost, TransportError


class CuttableConnection:
    """Dials as it was told to, except while the line is cut; itself a `Dial`."""

    def __init__(self, dial: Dial) -> None:
        self._dial = dial
        self._ears: list[_Ear] = []
        self._away_until: float | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        """Open a connection; raises TransportError while the line is cut."""
        now = asyncio.get_running_loop().time()
        if self._away_until is not None and now < self._away_until:
            raise TransportError("cannot reach the service (the line is cut)")
        ear = _Ear(listener)
        self._ears = [each for each in self._ears if each.transport is not None]
        self._ears.append(ear)
        await self._dial(token, ear)

    def cut(self, seconds: float) -> None:
        """Break every connection, and refuse new ones for so long."""
        self._away_until = asyncio.get_running_loop().time() + seconds
        for ear in self._ears:
            transport = ear.cut()
            if transport is not None:
                task = asyncio.create_task(transport.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)


class _Ear:
    """Passes on what is heard on one connection, until it is cut."""

    def __init__(self, listener: TransportListener) -> None:
        self.transport: Transport | None = None  # while the connection stands
        self._listener = listener
        self._is_cut = False

    def cut(self) -> Transport | None:
        """Tell that the line is lost; return what is to be closed, if anything."""
        transport, self.transport = self.transport, None
        if transport is not None:
            self._is_cut = True
            self._listener.lost(ConnectionLost("the line was lost"))
        return transport

    def opened(self, transport: Transport) -> None:
        self.transport = transport
        self._listener.opened(transport)

    def received(self, text: str | bytes) -> None:
        if not self._is_cut:
            self._listener.received(text)

    def writable(self) -> None:
        if not self._is_cut:
            self._listener.writable()

    def lost(self, error: ConnectionLost) -> None:
        self.transport = None
        if not self._is_cut:
            self._listener.lost(error)
