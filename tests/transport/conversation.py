"""A listener that notes what it is told, and servers to be told by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from runner.errors import ConnectionLost
from runner.line import Transport


class Ear:
    """Notes what a transport tells; waits for it to tell more."""

    def __init__(self) -> None:
        self.transport: Transport | None = None
        self.texts: list[str | bytes] = []
        self.errors: list[ConnectionLost] = []
        self.times_writable = 0
        self._told = asyncio.Event()

    def opened(self, transport: Transport) -> None:
        assert self.transport is None and not self.texts, "opened comes first, once"
        self.transport = transport

    def received(self, text: str | bytes) -> None:
        assert self.transport is not None and not self.errors
        self.texts.append(text)
        self._told.set()

    def writable(self) -> None:
        self.times_writable += 1
        self._told.set()

    def lost(self, error: ConnectionLost) -> None:
        assert self.transport is not None
        self.errors.append(error)
        self._told.set()

    def write(self, text: str) -> None:
        assert self.transport is not None
        self.transport.write(text)

    async def close(self) -> None:
        if self.transport is not None:
            await self.transport.close()

    async def until(self, met: Callable[[], bool]) -> None:
        """Wait until something is true of what was told."""
        async with asyncio.timeout(10):
            while not met():
                self._told.clear()
                await self._told.wait()

    async def loss(self) -> ConnectionLost:
        """Wait for the connection to be lost; return why."""
        await self.until(lambda: bool(self.errors))
        return self.errors[0]


@asynccontextmanager
async def server(
    talk: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> AsyncIterator[str]:
    """Serve on this machine; gives the address."""
    async with serve(talk, "127.0.0.1", 0, **options) as running:
        port = next(iter(running.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/"


@asynccontextmanager
async def raw_server(
    talk: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """Serve bare TCP on this machine; gives the address as a WebSocket's."""

    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await talk(reader, writer)
        finally:
            writer.close()

    held: list[asyncio.Task[None]] = []
    running = await asyncio.start_server(
        lambda reader, writer: held.append(asyncio.create_task(hold(reader, writer))),
        "127.0.0.1",
        0,
    )
    async with running:
        port = running.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/"
        for task in held:
            task.cancel()
        await asyncio.gather(*held, return_exceptions=True)
