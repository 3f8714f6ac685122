"""A line without a network: what one end writes, the other reads a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from runner.engine.connection import TransportListener
from runner.engine.transports import PING_SECONDS, PONG_SECONDS
from runner.errors import ConnectionLost
from runner.server.wire import ABNORMAL_CLOSURE, FaultySocket
from runner.service.connection import Outbox


class InMemoryTransport:
    """One connection, seen from both ends.

    To the client it is a `Transport` with a listener; to the reception it is a
    `Connection` and, for faults that are done to sockets, the transport under it.
    """

    def __init__(self, listener: TransportListener) -> None:
        self.is_writable = True
        self.is_open = True
        self._listener = listener
        self._up: asyncio.Queue[str | None] = asyncio.Queue()

    # ------------------------------------------------------------- the client's end

    def open(self) -> None:
        """Stand, as far as the listener knows."""
        self._listener.opened(self)

    def write(self, text: str) -> None:
        """Send a text frame; does nothing once the connection is gone."""
        if self.is_open:
            self._up.put_nowait(text)

    async def close(self) -> None:
        """Let the other end read what was written, and then the end."""
        self._end()

    # --------------------------------------------------------------- the server's end

    @property
    def transport(self) -> InMemoryTransport:
        """What faults are done to."""
        return self

    async def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what the client writes until the line is gone."""
        while (text := await self._up.get()) is not None:
            yield text

    async def write_all(self, line: Outbox | FaultySocket) -> None:
        """Give the client what is said on this line until it is closed."""
        async for text in line:
            if not self.is_open:
                return
            self._listener.received(text)
        if line.code == ABNORMAL_CLOSURE:
            self.cut()
        elif self._end():
            reason = f"the service closed the line (code {line.code})"
            self._listener.lost(ConnectionLost(reason, line.code))

    def abort(self) -> None:
        """Break the line from this end."""
        self.cut()

    def cut(self) -> None:
        """Break the line: both ends notice, and nobody says why."""
        if self._end():
            self._listener.lost(ConnectionLost("the line was lost"))

    def pause_reading(self) -> None:
        """Fall silent without closing; the client's own pings find out."""
        silent = PING_SECONDS + PONG_SECONDS
        asyncio.get_running_loop().call_later(silent, self.cut)

    def get_extra_info(self, name: str) -> Any:
        """There is no socket below."""
        del name
        return None

    def _end(self) -> bool:
        """Close both ways; false when they were closed before."""
        was_open, self.is_open, self.is_writable = self.is_open, False, False
        if was_open:
            self._up.put_nowait(None)
        return was_open
