"""A listener that keeps what a transport reports, and servers for it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from websockets.asyncio.server import ServerConnection, serve

from runner.engine.connection import Transport
from runner.errors import ConnectionLost

TEXT, CONTINUATION, CLOSE, PING, PONG = 1, 0, 8, 9, 10


class Ear:
    """Notes what a transport reports; waits for it to report more."""

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
        """Wait until something is true of what was given."""
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


def frame(opcode: int, data: bytes, *, fin: bool = True) -> bytes:
    """Return a frame as a server sends it."""
    assert len(data) < 65_536
    head = opcode | (0x80 if fin else 0)
    if len(data) < 126:
        return struct.pack("!BB", head, len(data)) + data
    return struct.pack("!BBH", head, 126, len(data)) + data


async def accept(reader: asyncio.StreamReader) -> bytes:
    """Read a handshake; return the answer to it."""
    request = await reader.readuntil(b"\r\n\r\n")
    lines = dict(line.split(b": ", 1) for line in request.split(b"\r\n")[1:-2])
    key = lines[b"Sec-WebSocket-Key"] + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return (
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
        b"Connection: Upgrade\r\nSec-WebSocket-Accept: "
        + base64.b64encode(hashlib.sha1(key).digest())
        + b"\r\n\r\n"
    )


async def frames(reader: asyncio.StreamReader) -> AsyncIterator[tuple[int, bytes]]:
    """Yield the opcode and the data of each frame of a client, up to its close."""
    while head := await reader.read(1):
        length = (await reader.readexactly(1))[0] & 0x7F
        if length == 126:
            (length,) = struct.unpack("!H", await reader.readexactly(2))
        mask = await reader.readexactly(4)
        data = await reader.readexactly(length)
        opcode = head[0] & 0x0F
        yield opcode, bytes(b ^ mask[i % 4] for i, b in enumerate(data))
        if opcode == CLOSE:
            return
