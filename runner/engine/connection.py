"""The connection to the service, with an outbox for messages that cannot be sent yet.

Nothing here awaits. A transport calls the listener for each message, and the session
has processed it when the call returns, so a slow session slows the socket down.
Messages are written immediately while the socket accepts them, else they wait in the
outbox, which drops old audio but no control message.
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

# Limit of the audio that waits to be sent. Beyond it the oldest is dropped and counted,
# so that the audio stays current.
OUTBOX_AUDIO_BYTES = 6 * FRAME_BYTES  # 300 ms


class Transport(Protocol):
    """One open connection that carries text frames both ways."""

    @property
    def is_writable(self) -> bool:
        """True if the socket accepts more; else `writable` of the listener follows."""
        ...

    def write(self, text: str) -> None:
        """Sends a text frame; has no effect after the connection was lost."""
        ...

    async def close(self) -> None:
        """Sends the written messages, then closes; a second call has no effect."""
        ...


class TransportListener(Protocol):
    """Callbacks of a transport, on the thread of the event loop."""

    def opened(self, transport: Transport) -> None:
        """The connection is open; called once, before the other methods."""

    def received(self, text: str | bytes) -> None:
        """A complete message was received."""

    def writable(self) -> None:
        """The socket accepts more again."""

    def lost(self, error: ConnectionLost) -> None:
        """The connection was lost or closed; the last call."""


# Opens a connection, authorized by the token or else by the key; raises VagentError.
# Returns after `opened` of the listener was called.
Dial: TypeAlias = Callable[[str | None, TransportListener], Awaitable[None]]
Post: TypeAlias = Callable[[Event], None]


@dataclass(slots=True)
class ConnectionStats:
    """Counters over all connections of a session."""

    connections: int = 0
    stalls: int = 0  # times that messages had to wait for the socket
    # Microphone audio that was too late to be sent.
    dropped_frames: int = 0
    dropped_bytes: int = 0
    malformed_messages: int = 0


class Outbox:
    """A queue of messages that wait for the socket."""

    def __init__(self, counts: ConnectionStats) -> None:
        self._counts = counts
        self._messages: deque[ClientMessage] = deque()
        self._audio_bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    def put(self, message: ClientMessage) -> None:
        """Appends a message; drops the oldest audio beyond `OUTBOX_AUDIO_BYTES`."""
        if isinstance(message, InputAudio):
            self._audio_bytes += len(message.pcm)
            while self._audio_bytes > max(OUTBOX_AUDIO_BYTES, len(message.pcm)):
                self._drop_oldest_audio()
        self._messages.append(message)

    def take(self) -> ClientMessage:
        """Removes and returns the first message; raises IndexError if there is none."""
        message = self._messages.popleft()
        if isinstance(message, InputAudio):
            self._audio_bytes -= len(message.pcm)
        return message

    def clear(self) -> Sequence[ClientMessage]:
        """Removes all messages; counts audio as dropped and returns the others."""
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


class _TransportListener:
    """The listener of one transport; posts nothing after it was dropped."""

    def __init__(self, post: Post, outbox: Outbox, counts: ConnectionStats) -> None:
        self.transport: Transport | None = None  # from `opened` on, for closing it
        self.open_transport: Transport | None = (
            None  # the same, from `opened` to `lost`
        )
        self.is_dropped = False
        self._post = post
        self._outbox = outbox
        self._counts = counts

    def opened(self, transport: Transport) -> None:
        self.transport = self.open_transport = transport
        if not self.is_dropped:
            self._counts.connections += 1
            self._post(Connected())

    def received(self, text: str | bytes) -> None:
        if self.is_dropped:
            return
        try:
            message = decode_server(text)
        except RemoteProtocolError as error:
            self._counts.malformed_messages += 1
            self._post(MalformedMessage(error.message))
        else:
            self._post(Received(message))

    def writable(self) -> None:
        open_transport = self.open_transport
        while open_transport and open_transport.is_writable and self._outbox:
            open_transport.write(encode(self._outbox.take()))

    def lost(self, error: ConnectionLost) -> None:
        self.open_transport = None
        if not self.is_dropped:
            unsent = self._outbox.clear()
            self._post(Disconnected(error.message, error.code, unsent=unsent))

    def failed(self, error: VagentError) -> None:
        """The connection could not be made."""
        if not self.is_dropped and self.transport is None:
            status = error.status if isinstance(error, TransportError) else None
            self._post(Disconnected(error.message, status=status))


class Connection:
    """Holds at most one open transport and posts its events."""

    def __init__(self, dial: Dial, post: Post) -> None:
        self.counts = ConnectionStats()
        self._outbox = Outbox(self.counts)
        self._dial = dial
        self._post = post
        self._connection = _TransportListener(post, self._outbox, self.counts)
        self._dialing: asyncio.Task[None] | None = None

    def open(self, token: str | None, tasks: asyncio.TaskGroup) -> None:
        """Connects in the background; drops an earlier connection without an event."""
        before = self._drop()
        if before is not None:
            tasks.create_task(before.close())
        self._outbox.clear()
        self._connection = _TransportListener(self._post, self._outbox, self.counts)
        self._dialing = tasks.create_task(self._connect(token, self._connection))

    def send(self, message: ClientMessage) -> None:
        """Writes a message, or queues it while the socket accepts no more."""
        open_transport = self._connection.open_transport
        if (
            open_transport is not None
            and open_transport.is_writable
            and not self._outbox
        ):
            open_transport.write(encode(message))
            return
        if open_transport is not None and not self._outbox:
            self.counts.stalls += 1
        self._outbox.put(message)

    async def close(self) -> None:
        """Closes the connection, if there is one, after the written messages."""
        transport = self._drop()
        if transport is not None:
            await transport.close()

    def _drop(self) -> Transport | None:
        if self._dialing is not None:
            self._dialing.cancel()
        self._connection.is_dropped = True
        return self._connection.transport

    async def _connect(self, token: str | None, connection: _TransportListener) -> None:
        try:
            await self._dial(token, connection)
        except VagentError as error:
            connection.failed(error)
