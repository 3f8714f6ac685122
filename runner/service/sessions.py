"""All sessions of one server, live and dropped: opened, found, counted, ended."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Protocol

from runner.errors import RemoteProtocolError
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import SessionError, SessionResume, SessionUpdate
from runner.protocol.server.events import (
    Malformed,
    Received,
    ServerEvent,
    ShutDown,
)
from runner.protocol.server.session import Phase
from runner.service.connection import FaultySocket, Outbox
from runner.service.conversation import ClientConnection, Conversation, ServerContext
from runner.service.faults.injector import FaultInjector, Transport
from runner.service.faults.model import Fault, RejectConnection

# How long a session may take to say goodbye when the server leaves.
_FAREWELL_SECONDS = 2.0
# Dropped sessions that are kept for each one that can be live: a client that opens and
# drops them at will must not fill the memory.
_DROPPED_PER_CALL = 8


class Sessions:
    """Keeps every conversation until it is over; asked by the door."""

    def __init__(self, context: ServerContext, most: int) -> None:
        self._context = context
        self._most = most
        self._conversations: dict[str, Conversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, line: ClientConnection) -> Conversation:
        """Begin a session over this line."""
        self._shed()
        conversation = Conversation(self._context)
        conversation.attach(line)
        self._conversations[conversation.session.session_id] = conversation
        task = asyncio.create_task(self._run(conversation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return conversation

    def find(self, event: ServerEvent) -> Conversation | None:
        """Return the session that the first message asks to resume."""
        if not isinstance(event, Received):
            return None
        if not isinstance(event.message, SessionResume):
            return None
        known = self._conversations.get(event.message.session_id)
        if known is None or known.session.phase in (Phase.OPENING, Phase.CLOSED):
            return None
        return known

    def latest(self) -> Conversation | None:
        """Return the session that was opened last, of those that have a line."""
        live = [
            conversation
            for conversation in self._conversations.values()
            if conversation.session.phase is Phase.LIVE
        ]
        return live[-1] if live else None

    def knows(self, resume_token: str) -> bool:
        """True if the token is that of a session that can be resumed."""
        return any(
            conversation.session.resume_token == resume_token
            for conversation in self._conversations.values()
        )

    def is_full(self, event: ServerEvent) -> bool:
        """True if the first message asks for a session that the machine cannot hold."""
        if not isinstance(event, Received):
            return False
        if not isinstance(event.message, SessionUpdate):
            return False
        live = [
            conversation
            for conversation in self._conversations.values()
            if conversation.session.phase is Phase.LIVE
        ]
        return len(live) >= self._most

    async def leave(self) -> None:
        """End every session, politely while there is time."""
        for conversation in self._conversations.values():
            conversation.post(ShutDown())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_FAREWELL_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _shed(self) -> None:
        """Forget the oldest of too many dropped sessions."""
        dropped = [
            conversation
            for conversation in self._conversations.values()
            if conversation.session.phase is Phase.DROPPED
        ]
        too_many = max(0, len(dropped) - _DROPPED_PER_CALL * self._most)
        for conversation in dropped[:too_many]:
            conversation.post(ShutDown())

    async def _run(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        # The outermost edge of one session: a bug ends it and no other.
        except Exception as error:
            self._context.report("vagent.internal_error", {"message": repr(error)})
            conversation.hang_up(1011)
        finally:
            self._conversations.pop(conversation.session.session_id, None)


def default_max_sessions() -> int:
    """Return how many calls the machine holds: one for each two cores, at least two."""
    return max(2, (os.cpu_count() or 1) // 2)


# Where lines become conversations: opened, resumed, turned away; knows no sockets.


class Connection(Protocol):
    """One line to a client, whatever carries it."""

    @property
    def transport(self) -> Transport: ...

    def messages(self) -> AsyncIterator[str | bytes]:
        """Yield what comes until the line is gone, however it goes."""
        ...

    async def write_all(self, line: Outbox | FaultySocket) -> None:
        """Send what is said on this line until it is closed from either side."""
        ...


class ConnectionHandler:
    """Receives every client of one server; made within a running loop."""

    def __init__(
        self,
        context: ServerContext,
        most_sessions: int,
        *,
        faults: Sequence[Fault] = (),
        fault_seed: int = 0,
    ) -> None:
        self.sessions = Sessions(context, most_sessions)
        epoch = context.epoch
        if epoch is None:
            epoch = time.time() - asyncio.get_running_loop().time()
        self._epoch = epoch
        self._fault_injector = (
            FaultInjector(faults, fault_seed, context.report, self._epoch)
            if faults
            else None
        )

    def knock(self) -> RejectConnection | None:
        """Returns how a new connection is rejected, or None if it is accepted."""
        return None if self._fault_injector is None else self._fault_injector.request()

    async def attend(self, connection: Connection, *, is_admitted: bool = True) -> None:
        """Serve one client until its line is gone."""
        line = Outbox(connection.transport.abort)
        if self._fault_injector is None:
            messages = connection.messages()
            await self._attend(connection, messages, line, line, is_admitted)
            return
        async with self._fault_injector.between(
            connection.transport, connection.messages(), line
        ) as (arriving, wire):
            await self._attend(connection, arriving, line, wire, is_admitted)

    async def _attend(
        self,
        connection: Connection,
        arriving: AsyncIterable[str | bytes],
        line: Outbox,
        wire: Outbox | FaultySocket,
        is_admitted: bool,
    ) -> None:
        """Serve one client; `wire` is written, and is `line` unless faults are made."""
        writing = asyncio.create_task(connection.write_all(wire))
        try:
            if is_admitted:
                await self._receive(arriving, line)
            else:
                self._refuse(line, "unauthorized", "Authentication failed")
            if line.is_closing or wire.is_closing:
                await writing
        finally:
            writing.cancel()

    async def _receive(
        self, arriving: AsyncIterable[str | bytes], line: Outbox
    ) -> None:
        conversation = self.sessions.open(line)
        try:
            async for data in arriving:
                event = _read(data)
                if conversation.session.phase is Phase.OPENING:
                    known = self.sessions.find(event)
                    if known is not None:
                        conversation.detach(line)
                        conversation = known
                        conversation.resume(line)
                        continue
                    if self.sessions.is_full(event):
                        self._refuse(line, "at_capacity", "The server is at capacity")
                        break
                conversation.post(event)
        finally:
            conversation.detach(line)

    def _refuse(self, line: Outbox, code: str, text: str) -> None:
        now = self._epoch + asyncio.get_running_loop().time()
        line.send(encode(SessionError(code, text, timestamp=now)))
        line.close(1008)


def _read(data: str | bytes) -> ServerEvent:
    if isinstance(data, bytes):
        # The wire is text; sound travels inside it.
        return Malformed(
            RemoteProtocolError("Invalid audio data", code="invalid_audio")
        )
    try:
        return Received(decode_client(data))
    except RemoteProtocolError as error:
        return Malformed(error)
