"""Where lines become conversations: opened, resumed, turned away; knows no sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from typing import Protocol

from runner.errors import RemoteProtocolError
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import SessionError
from runner.protocol.server.events import (
    Malformed,
    Received,
    ServerEvent,
)
from runner.protocol.server.session import Phase
from runner.server.wire import FaultySocket
from runner.service.connection import Outbox
from runner.service.conversation import ServerContext
from runner.service.faults.injector import FaultInjector, Transport
from runner.service.faults.model import Fault, RejectConnection
from runner.service.sessions import Sessions


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
        house: ServerContext,
        most_sessions: int,
        *,
        faults: Sequence[Fault] = (),
        fault_seed: int = 0,
    ) -> None:
        self.sessions = Sessions(house, most_sessions)
        epoch = house.epoch
        if epoch is None:
            epoch = time.time() - asyncio.get_running_loop().time()
        self._epoch = epoch
        self._fault_injector = (
            FaultInjector(faults, fault_seed, house.report, self._epoch)
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
