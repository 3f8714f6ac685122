"""One connection's way out: messages wait here, in order, for the socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

# A client that does not read: with more than this (a minute of sound) its line is cut.
_MAX_UNREAD_MESSAGES = 6_000
# The same for what is large: every update is echoed whole, up to 4 MB at a time.
_MAX_UNREAD_CHARACTERS = 32 * 2**20


class Outbox:
    """Takes messages at once and gives them to whoever writes the socket."""

    def __init__(self, abort: Callable[[], None]) -> None:
        self.code = 1000  # what to close with once everything has been taken
        self.is_closing = False
        self._abort = abort
        self._waiting: asyncio.Queue[str | None] = asyncio.Queue()
        self._unread = 0  # characters that wait

    def send(self, text: str) -> None:
        """Put a message on its way."""
        unread = self._unread + len(text)
        fits = unread <= _MAX_UNREAD_CHARACTERS
        if fits and self._waiting.qsize() < _MAX_UNREAD_MESSAGES:
            self._unread = unread
            self._waiting.put_nowait(text)
        else:
            self._abort()

    def close(self, code: int) -> None:
        """End after everything that was sent before."""
        if not self.is_closing:
            self.is_closing = True
            self.code = code
            self._waiting.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[str]:
        while (text := await self._waiting.get()) is not None:
            self._unread -= len(text)
            yield text


# One connection's last stretch where faults are made: what the plan lets out.


# What a client sees where no closing frame came; as a code here: send none.
ABNORMAL_CLOSURE = 1006
# With more than this unread, the conversation's own outbox fills, and cuts the line.
_MAX_UNREAD = 100


class FaultySocket:
    """Takes messages at once, a flood too, and gives them to whoever writes the socket.

    Whoever fills it waits for `room` before the next message.
    """

    def __init__(self) -> None:
        self.code = 1000  # what to close with once everything has been taken
        self.is_closing = False
        self._waiting: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def send(self, data: str | bytes) -> None:
        """Put a message on its way."""
        self._waiting.put_nowait(data)
        if self._waiting.qsize() > _MAX_UNREAD:
            self._has_room.clear()

    def close(self, code: int) -> None:
        """End after everything that was sent before."""
        if not self.is_closing:
            self.is_closing = True
            self.code = code
            self._waiting.put_nowait(None)

    async def room(self) -> None:
        """Return once the client has read most of it."""
        await self._has_room.wait()

    async def __aiter__(self) -> AsyncIterator[str | bytes]:
        while (data := await self._waiting.get()) is not None:
            if self._waiting.qsize() <= _MAX_UNREAD:
                self._has_room.set()
            yield data
