"""The line to the service: one connection at a time, its reader and its writer.

Reading feeds the session at once, so a slow session slows the socket down; writing goes
through an outbox in which sound gives way and control messages never do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from runner.errors import (
    ConnectionLost,
    RemoteProtocolError,
    TransportError,
    VagentError,
)
from runner.protocol.client.events import (
    Connected,
    Disconnected,
    Event,
    Garbled,
    Received,
)
from runner.protocol.codec import decode_server, encode
from runner.protocol.messages import ClientMessage, InputAudio

# Sound that waits to be sent: beyond this the oldest goes, counted. What is said now
# must be sent now.
OUTBOX_AUDIO_FRAMES = 6  # of 50 ms


class Transport(Protocol):
    """One open connection that carries text frames both ways.

    `send` and `receive` raise `ConnectionLost` when it is gone.
    """

    async def send(self, text: str) -> None: ...

    async def receive(self) -> str | bytes: ...

    async def close(self) -> None: ...


Dial: TypeAlias = Callable[[str | None], Awaitable[Transport]]
Post: TypeAlias = Callable[[Event], None]


class Outbox:
    """Messages on their way out, in order."""

    def __init__(self) -> None:
        self.dropped_frames = 0
        self._messages: deque[ClientMessage] = deque()
        self._audio_frames = 0
        self._filled = asyncio.Event()

    def put(self, message: ClientMessage) -> None:
        """Append a message; drop the oldest sound if there is too much of it."""
        if isinstance(message, InputAudio):
            if self._audio_frames >= OUTBOX_AUDIO_FRAMES:
                self._drop_oldest_audio()
            self._audio_frames += 1
        self._messages.append(message)
        self._filled.set()

    async def take(self) -> ClientMessage:
        """Return the next message, waiting for one."""
        while not self._messages:
            self._filled.clear()
            await self._filled.wait()
        message = self._messages.popleft()
        if isinstance(message, InputAudio):
            self._audio_frames -= 1
        return message

    def clear(self) -> None:
        """Forget everything: it was meant for a connection that is gone."""
        self._messages.clear()
        self._audio_frames = 0

    def _drop_oldest_audio(self) -> None:
        for index, message in enumerate(self._messages):
            if isinstance(message, InputAudio):
                del self._messages[index]
                self._audio_frames -= 1
                self.dropped_frames += 1
                return


class Line:
    """Holds at most one connection; what happens on it is posted as events."""

    def __init__(self, dial: Dial, post: Post) -> None:
        self.outbox = Outbox()
        self._dial = dial
        self._post = post
        self._holding: asyncio.Task[None] | None = None

    def open(self, token: str | None, tasks: asyncio.TaskGroup) -> None:
        """Connect in the background, dropping any earlier connection silently."""
        if self._holding is not None:
            self._holding.cancel()
        self.outbox.clear()
        self._holding = tasks.create_task(self._hold(token))

    async def _hold(self, token: str | None) -> None:
        try:
            transport = await self._dial(token)
        except TransportError as error:
            self._post(Disconnected(error.message, status=error.status))
            return
        except VagentError as error:
            self._post(Disconnected(error.message))
            return
        writer = asyncio.create_task(self._write(transport))
        try:
            self._post(Connected())
            await self._read(transport)
        finally:
            writer.cancel()
            await transport.close()

    async def _read(self, transport: Transport) -> None:
        while True:
            try:
                text = await transport.receive()
            except ConnectionLost as error:
                self._post(Disconnected(error.message, error.code))
                return
            try:
                message = decode_server(text)
            except RemoteProtocolError as error:
                self._post(Garbled(error.message))
            else:
                self._post(Received(message))

    async def _write(self, transport: Transport) -> None:
        while True:
            message = await self.outbox.take()
            try:
                await transport.send(encode(message))
            except TransportError:
                return  # the reader learns of it too, with the reason
