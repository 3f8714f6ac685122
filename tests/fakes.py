"""Fakes for the engine's interfaces: transport, dialer, microphone and speaker."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Self

from runner.engine.connection import TransportListener
from runner.errors import ConnectionLost, TransportError
from runner.protocol.codec import encode
from runner.protocol.messages import Message


def _receive(text: str, listener: TransportListener) -> None:
    listener.received(text)


class FakeTransport:
    """A connection to a peer that the test simulates: `peer_says`, `sent`, `drop`."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.is_closed = False
        self.is_writable = True
        self._listener: TransportListener | None = None
        self._said = asyncio.Event()

    def open(self, listener: TransportListener) -> None:
        """Reports to the listener that the connection is open."""
        self._listener = listener
        listener.opened(self)

    def write(self, text: str) -> None:
        self.sent.append(json.loads(text))
        self._said.set()

    async def close(self) -> None:
        self.is_closed = True

    def peer_says(self, *messages: Message | str) -> None:
        """Delivers messages or raw text of the peer on the next loop iteration."""
        for message in messages:
            text = message if isinstance(message, str) else encode(message)
            self._soon(partial(_receive, text))

    def drop(self, code: int | None = None) -> None:
        """Cuts the connection."""
        error = ConnectionLost("the line was lost", code)
        self._soon(lambda listener: listener.lost(error))

    def stall(self) -> None:
        """Accepts no more data, like a slow network."""
        self.is_writable = False

    def flow(self) -> None:
        """Accepts data again."""
        self.is_writable = True
        assert self._listener is not None, "flowing before it is open"
        self._listener.writable()

    async def heard(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Waits for the count-th message of a type and returns it."""
        async with asyncio.timeout(5):
            while True:
                found = [message for message in self.sent if message["type"] == kind]
                if len(found) >= count:
                    return found[count - 1]
                self._said.clear()
                await self._said.wait()

    def _soon(self, notify: Callable[[TransportListener], None]) -> None:
        assert self._listener is not None, "the peer speaks before it is open"
        asyncio.get_running_loop().call_soon(notify, self._listener)


class FakeDialer:
    """Returns prepared connections in order and keeps the tokens of the calls."""

    def __init__(self, *connections: FakeTransport | TransportError) -> None:
        self.tokens: list[str | None] = []
        self._connections = list(connections)

    async def __call__(self, token: str | None, listener: TransportListener) -> None:
        self.tokens.append(token)
        connection = self._connections.pop(0)
        if isinstance(connection, TransportError):
            raise connection
        connection.open(listener)


class _Opened:
    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        return None


class FakeMicrophone(_Opened):
    """Yields the frames that the test puts in."""

    dropped_ms = 0.0

    def __init__(self) -> None:
        self._frames: asyncio.Queue[bytes | Exception | None] = asyncio.Queue()

    def put(self, frame: bytes | Exception | None) -> None:
        """Adds a frame, an error, or (None) the end."""
        self._frames.put_nowait(frame)

    async def frames(self) -> AsyncIterator[bytes]:
        while (frame := await self._frames.get()) is not None:
            if isinstance(frame, Exception):
                raise frame
            yield frame


class FakeSpeaker(_Opened):
    """Buffers audio until the test calls `play_all`."""

    def __init__(self) -> None:
        self.log: list[bytes | str] = []
        self.buffer = b""
        self.played = asyncio.Event()
        self.stopped = asyncio.Event()
        self.drain_awaited = asyncio.Event()
        self._empty = asyncio.Event()
        self._empty.set()

    @property
    def pending_ms(self) -> float:
        return len(self.buffer) / 48

    def play(self, pcm: bytes) -> None:
        self.log.append(pcm)
        self.played.set()
        self.buffer += pcm
        self._empty.clear()

    def stop(self) -> float:
        dropped_ms = self.pending_ms
        self.log.append("stop")
        self.stopped.set()
        self.play_all()
        return dropped_ms

    def play_all(self) -> None:
        """Plays the whole buffer."""
        self.buffer = b""
        self._empty.set()

    async def drained(self) -> None:
        self.drain_awaited.set()
        await self._empty.wait()


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a tool call as the engine uses it."""

    text: str
    is_error: bool = False
