"""The line to the service: one connection at a time, and what waits to go out on it.

Nothing here waits. A transport calls when a message has come, and the session has dealt
with it before the call returns, so a slow session slows the socket down; what is to be
sent is written at once while the socket takes it. When it does not, messages wait in an
outbox in which sound gives way and control messages never do.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from runner.audio.devices import FRAME_BYTES
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
    MalformedMessage,
    Received,
)
from runner.protocol.codec import decode_server, encode
from runner.protocol.messages import ClientMessage, InputAudio

# Sound that waits to be sent: beyond this the oldest goes, counted. What is said now
# must be sent now.
OUTBOX_AUDIO_BYTES = 6 * FRAME_BYTES  # 300 ms


class Transport(Protocol):
    """One open connection that carries text frames both ways."""

    @property
    def is_writable(self) -> bool:
        """Whether the socket takes more; if not, `Listener.writable` tells when."""
        ...

    def write(self, text: str) -> None:
        """Send a text frame; does nothing once the connection is gone."""
        ...

    async def close(self) -> None:
        """Send what was written, then close; closing a closed one is fine."""
        ...


class TransportListener(Protocol):
    """Whom a transport tells what happens, on the loop's thread; none of it waits."""

    def opened(self, transport: Transport) -> None:
        """The connection stands; called once, before anything else."""

    def received(self, text: str | bytes) -> None:
        """A whole message has come."""

    def writable(self) -> None:
        """The socket takes more again."""

    def lost(self, error: ConnectionLost) -> None:
        """The connection is gone; nothing is called after this."""


# Opens a connection, authorised by the token or else by the key; raises VagentError.
# Returns when the listener has been told that it is open.
Dial: TypeAlias = Callable[[str | None, TransportListener], Awaitable[None]]
Post: TypeAlias = Callable[[Event], None]


@dataclass(slots=True)
class ConnectionStats:
    """What happened at the wire, over all connections of a session."""

    connections: int = 0
    stalls: int = 0  # times that messages had to wait for the socket
    # Of the microphone, too late to be sent.
    dropped_frames: int = 0
    dropped_bytes: int = 0
    garbled_messages: int = 0


class Outbox:
    """Messages that wait for the socket, in order."""

    def __init__(self, counts: ConnectionStats) -> None:
        self._counts = counts
        self._messages: deque[ClientMessage] = deque()
        self._audio_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: ClientMessage) -> None:
        """Append a message; drop the oldest sound if there is too much of it."""
        if isinstance(message, InputAudio):
            self._audio_bytes += len(message.pcm)
            while self._audio_bytes > max(OUTBOX_AUDIO_BYTES, len(message.pcm)):
                self._drop_oldest_audio()
        self._messages.append(message)

    def take(self) -> ClientMessage:
        """Remove and return the first message; raises IndexError if there is none."""
        message = self._messages.popleft()
        if isinstance(message, InputAudio):
            self._audio_bytes -= len(message.pcm)
        return message

    def clear(self) -> Sequence[ClientMessage]:
        """Forget what was meant for a connection that is gone; return it but for sound.

        Sound is counted as dropped.
        """
        unsent = [each for each in self._messages if not isinstance(each, InputAudio)]
        self._counts.dropped_frames += len(self._messages) - len(unsent)
        self._counts.dropped_bytes += self._audio_bytes
        self._messages.clear()
        self._audio_bytes = 0
        return unsent

    def _drop_oldest_audio(self) -> None:
        for index, message in enumerate(self._messages):
            if isinstance(message, InputAudio):
                del self._messages[index]
                self._audio_bytes -= len(message.pcm)
                self._counts.dropped_frames += 1
                self._counts.dropped_bytes += len(message.pcm)
                return


class _Connection:
    """One connection of a line, as its transport's listener; mute once dropped."""

    def __init__(self, post: Post, outbox: Outbox, counts: ConnectionStats) -> None:
        self.transport: Transport | None = None  # from the opening on, for closing it
        self.way_out: Transport | None = None  # the same, from the opening to the loss
        self.is_dropped = False
        self._post = post
        self._outbox = outbox
        self._counts = counts

    def opened(self, transport: Transport) -> None:
        self.transport = self.way_out = transport
        if not self.is_dropped:
            self._counts.connections += 1
            self._post(Connected())

    def received(self, text: str | bytes) -> None:
        if self.is_dropped:
            return
        try:
            message = decode_server(text)
        except RemoteProtocolError as error:
            self._counts.garbled_messages += 1
            self._post(MalformedMessage(error.message))
        else:
            self._post(Received(message))

    def writable(self) -> None:
        way_out = self.way_out
        while way_out and way_out.is_writable and self._outbox:
            way_out.write(encode(self._outbox.take()))

    def lost(self, error: ConnectionLost) -> None:
        self.way_out = None
        if not self.is_dropped:
            unsent = self._outbox.clear()
            self._post(Disconnected(error.message, error.code, unsent=unsent))

    def failed(self, error: VagentError) -> None:
        """The connection could not be made."""
        if not self.is_dropped and self.transport is None:
            status = error.status if isinstance(error, TransportError) else None
            self._post(Disconnected(error.message, status=status))


class Connection:
    """Holds at most one connection; what happens on it is posted as events."""

    def __init__(self, dial: Dial, post: Post) -> None:
        self.counts = ConnectionStats()
        self._outbox = Outbox(self.counts)
        self._dial = dial
        self._post = post
        self._connection = _Connection(post, self._outbox, self.counts)
        self._dialing: asyncio.Task[None] | None = None

    def open(self, token: str | None, tasks: asyncio.TaskGroup) -> None:
        """Connect in the background, dropping any earlier connection silently."""
        before = self._drop()
        if before is not None:
            tasks.create_task(before.close())
        self._outbox.clear()
        self._connection = _Connection(self._post, self._outbox, self.counts)
        self._dialing = tasks.create_task(self._call(token, self._connection))

    def send(self, message: ClientMessage) -> None:
        """Write a message, or let it wait while the socket takes no more."""
        way_out = self._connection.way_out
        if way_out is not None and way_out.is_writable and not self._outbox:
            way_out.write(encode(message))
            return
        if way_out is not None and not self._outbox:
            self.counts.stalls += 1
        self._outbox.put(message)

    async def close(self) -> None:
        """Drop the connection, if there is one, after what was sent on it."""
        transport = self._drop()
        if transport is not None:
            await transport.close()

    def _drop(self) -> Transport | None:
        if self._dialing is not None:
            self._dialing.cancel()
        self._connection.is_dropped = True
        return self._connection.transport

    async def _call(self, token: str | None, connection: _Connection) -> None:
        try:
            await self._dial(token, connection)
        except VagentError as error:
            connection.failed(error)
