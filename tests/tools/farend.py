"""A real HTTP server on the loopback interface that answers as a test scripts it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Handler = Callable[["Received"], bytes | Awaitable[bytes]]


@dataclass
class Received:
    """A received request, and the stream for handlers that write the response."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    writer: asyncio.StreamWriter


@dataclass
class FarEnd:
    """The server's address, what it received, and how it answers."""

    url: str = ""
    handler: Handler = lambda received: answer(b"{}")
    requests: list[Received] = field(default_factory=list)


def answer(
    body: bytes,
    *,
    status: str = "200 OK",
    kind: str | None = "application/json",
    headers: str = "",
) -> bytes:
    """Return a response in full, as bytes."""
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n"
    if kind is not None:
        head += f"Content-Type: {kind}\r\n"
    return f"{head}{headers}Connection: close\r\n\r\n".encode() + body


@asynccontextmanager
async def far_end() -> AsyncIterator[FarEnd]:
    """Serve until the block ends."""
    end = FarEnd()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            first, *lines = head.strip().split("\r\n")
            method, target, _ = first.split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in lines)
            }
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            received = Received(method, target, headers, body, writer)
            end.requests.append(received)
            said = end.handler(received)
            writer.write(said if isinstance(said, bytes) else await said)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left: some tests are about that
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    end.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield end
    finally:
        server.close()
        await server.wait_closed()
