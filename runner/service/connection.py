"""Queues of the messages that are sent over one connection."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Generic, Protocol, TypeVar

# A connection whose client does not read is cut off above these limits: a minute of
# audio messages, or large messages (each `session.update` of up to 4 MB is echoed).
_MAX_UNREAD_MESSAGES = 6_000
_MAX_UNREAD_CHARACTERS = 32 * 2**20
# With more than this unread, a `FaultySocket` is full: the messages then wait in the
# outbox of the conversation, whose limits cut the connection off.
_MAX_UNREAD_BY_SOCKET = 100
# The close code that a client sees without a close frame; here: send none.
ABNORMAL_CLOSURE = 1006

Message = TypeVar("Message", str, str | bytes)


class MessageQueue(Generic[Message]):
    """Messages in order, and the close code after the last one. Never blocks."""

    def __init__(self) -> None:
        self.code = 1000  # close code, once all messages have been read
        self.is_closing = False
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()

    def send(self, message: Message) -> None:
        """Adds a message."""
        self._queue.put_nowait(message)

    def close(self, code: int) -> None:
        """Ends the queue after the messages sent before."""
        if not self.is_closing:
            self.is_closing = True
            self.code = code
            self._queue.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while (message := await self._queue.get()) is not None:
            self._was_read(message)
            yield message

    def _was_read(self, message: Message) -> None:
        """Called for each message that leaves the queue."""


class Outbox(MessageQueue[str]):
    """The messages of a conversation; calls `abort` if the client does not read."""

    def __init__(self, abort: Callable[[], None]) -> None:
        super().__init__()
        self.has_session = False  # set by the conversation
        self._abort = abort
        self._unread = 0  # characters

    def send(self, message: str) -> None:
        unread = self._unread + len(message)
        fits = unread <= _MAX_UNREAD_CHARACTERS
        if fits and self._queue.qsize() < _MAX_UNREAD_MESSAGES:
            self._unread = unread
            super().send(message)
        else:
            self._abort()

    def _was_read(self, message: str) -> None:
        self._unread -= len(message)


class FaultySocket(MessageQueue[str | bytes]):
    """The messages that a fault plan lets through, also a flood of them.

    The sender awaits `room` before each message.
    """

    def __init__(self) -> None:
        super().__init__()
        self._has_room = asyncio.Event()
        self._has_room.set()

    def send(self, message: str | bytes) -> None:
        super().send(message)
        if self._queue.qsize() > _MAX_UNREAD_BY_SOCKET:
            self._has_room.clear()

    async def room(self) -> None:
        """Returns once the client has read most of the messages."""
        await self._has_room.wait()

    def _was_read(self, message: str | bytes) -> None:
        if self._queue.qsize() <= _MAX_UNREAD_BY_SOCKET:
            self._has_room.set()


class Abortable(Protocol):
    """A connection that may be without a session."""

    @property
    def has_session(self) -> bool: ...

    def abort(self) -> None:
        """Closes the connection at once."""
        ...


class ConnectionLimit:
    """Bounds the open connections: the oldest one without a session makes room.

    So idle connections use up neither the descriptors nor the memory, and a new client
    always has a place.
    """

    def __init__(self, max_connections: int) -> None:
        self._max_connections = max_connections
        self._open: dict[Abortable, None] = {}  # oldest first

    def __len__(self) -> int:
        return len(self._open)

    def add(self, connection: Abortable) -> None:
        """Adds a new connection; aborts the oldest idle one if there are too many."""
        if len(self._open) >= self._max_connections:
            idle = (each for each in self._open if not each.has_session)
            oldest = next(idle, None)
            if oldest is not None:
                self.remove(oldest)
                oldest.abort()
        self._open[connection] = None

    def remove(self, connection: Abortable) -> None:
        """Removes a connection that is closed."""
        self._open.pop(connection, None)


# A wrong key is answered this late, and further ones after each other: keys cannot be
# guessed quickly, and clients with the right key do not wait.
_WRONG_KEY_SECONDS = 0.5
_MAX_WRONG_KEY_SECONDS = 5.0


class WrongKeyDelay:
    """Computes how long the answer to a wrong key is delayed."""

    def __init__(self) -> None:
        self._next = 0.0

    def seconds(self, now: float) -> float:
        """Returns the delay for a wrong key that arrives now."""
        due = max(now, self._next) + _WRONG_KEY_SECONDS
        self._next = min(due, now + _MAX_WRONG_KEY_SECONDS)
        return self._next - now


# A client may use this share of the event loop, and once so many seconds in advance.
# Audio in real time takes less than a hundredth.
_CPU_SHARE = 0.25
_CPU_BURST_SECONDS = 0.25


class CpuBudget:
    """Bounds the share of the event loop that the messages of one client take."""

    def __init__(self, now: float) -> None:
        self._credit = _CPU_BURST_SECONDS
        self._at = now

    def pause_seconds(self, spent: float, now: float) -> float:
        """Returns how long not to read after `spent` seconds of CPU for messages."""
        earned = _CPU_SHARE * (now - self._at)
        self._credit = min(_CPU_BURST_SECONDS, self._credit + earned) - spent
        self._at = now
        return max(0.0, -self._credit / _CPU_SHARE)
