"""The sessions of one server, and the handler that connects clients to them."""

from __future__ import annotations

import asyncio
import gc
import hmac
import os
import time
from collections.abc import AsyncIterable, AsyncIterator, Sequence
from dataclasses import dataclass
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
from runner.service.connection import (
    CpuBudget,
    FaultySocket,
    Outbox,
    WrongKeyDelay,
)
from runner.service.conversation import ClientConnection, Conversation, ServerContext
from runner.service.faults.injector import FaultInjector, Transport
from runner.service.faults.model import Fault, RejectConnection

# Time for the sessions to end when the server closes.
_CLOSE_SECONDS = 2.0
# Time from a connection to its session. A page may first ask for the microphone.
_OPENING_SECONDS = 30.0
# Dropped sessions kept per session that can be live: a client that opens and drops many
# must not fill the memory.
_MAX_DROPPED_PER_LIVE = 8
# The same for their prompts, tools and histories.
_MAX_DROPPED_CHARACTERS = 32 * 2**20
# After a session with more, its memory is collected at once.
_LARGE_CHARACTERS = 2**20


class Sessions:
    """All sessions of one server, live and dropped, until they are closed."""

    def __init__(self, context: ServerContext, max_sessions: int) -> None:
        self._context = context
        self._max_sessions = max_sessions
        self._conversations: dict[str, Conversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, connection: ClientConnection) -> Conversation:
        """Starts a session over this connection."""
        self._close_oldest_dropped()
        conversation = Conversation(self._context)
        conversation.attach(connection)
        self._conversations[conversation.session.session_id] = conversation
        task = asyncio.create_task(self._run(conversation))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return conversation

    def find(self, event: ServerEvent) -> Conversation | None:
        """Returns the session that the first message of a client asks to resume."""
        if not isinstance(event, Received):
            return None
        if not isinstance(event.message, SessionResume):
            return None
        found = self._conversations.get(event.message.session_id)
        if found is None or found.session.phase in (Phase.OPENING, Phase.CLOSED):
            return None
        return found

    def latest(self) -> Conversation | None:
        """Returns the live session that was opened last."""
        live = self._in_phase(Phase.LIVE)
        return live[-1] if live else None

    def can_resume_with(self, resume_token: str) -> bool:
        """Returns True if a session has this resume token."""
        return any(
            is_same_secret(resume_token, conversation.session.resume_token)
            for conversation in self._conversations.values()
        )

    def is_full(self, event: ServerEvent) -> bool:
        """Returns True if the first message asks for one session too many."""
        return (
            isinstance(event, Received)
            and isinstance(event.message, SessionUpdate)
            and len(self._in_phase(Phase.LIVE)) >= self._max_sessions
        )

    async def close(self) -> None:
        """Ends every session; after two seconds, cancels those that are left."""
        for conversation in self._conversations.values():
            conversation.post(ShutDown())
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_CLOSE_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _close_oldest_dropped(self) -> None:
        size = 0
        newest_first = reversed(self._in_phase(Phase.DROPPED))
        for index, conversation in enumerate(newest_first):
            size += conversation.size
            if (
                index >= _MAX_DROPPED_PER_LIVE * self._max_sessions
                or size > _MAX_DROPPED_CHARACTERS
            ):
                conversation.post(ShutDown())

    def _in_phase(self, phase: Phase) -> list[Conversation]:
        """Returns the sessions in this phase, oldest first."""
        return [
            conversation
            for conversation in self._conversations.values()
            if conversation.session.phase is phase
        ]

    async def _run(self, conversation: Conversation) -> None:
        try:
            await conversation.run()
        # A bug ends this session, and no other.
        except Exception as error:
            self._context.report("vagent.internal_error", {"message": repr(error)})
            conversation.hang_up(1011)
        finally:
            self._conversations.pop(conversation.session.session_id, None)
            if conversation.size > _LARGE_CHARACTERS:
                # Its cycles would hold the memory until the next full collection, which
                # an idle server does not reach.
                asyncio.get_running_loop().call_later(_CLOSE_SECONDS, gc.collect)


def default_max_sessions() -> int:
    """Returns the session limit of this machine: one per two cores, at least two."""
    return max(2, (os.cpu_count() or 1) // 2)


def is_same_secret(given: str, expected: str) -> bool:
    """Returns True if two secrets are equal, in a time that does not depend on them."""
    # Bytes of a header that are not ASCII arrive as surrogates.
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"),
        expected.encode("utf-8", "surrogatepass"),
    )


class Connection(Protocol):
    """One connection to a client, over any transport."""

    @property
    def transport(self) -> Transport: ...

    def messages(self) -> AsyncIterator[str | bytes]:
        """Yields the messages of the client until the connection ends or is lost."""
        ...

    async def write_all(self, outbox: Outbox | FaultySocket) -> None:
        """Sends the messages of `outbox` until either side closes."""
        ...


@dataclass(frozen=True, slots=True)
class _Client:
    """One client; `socket` is the outbox, or what faults let through."""

    arriving: AsyncIterable[str | bytes]
    outbox: Outbox
    socket: Outbox | FaultySocket
    credentials: Sequence[str]
    is_limited: bool


class ConnectionHandler:
    """Connects the clients of one server to sessions. Create it in a running loop."""

    def __init__(
        self,
        context: ServerContext,
        max_sessions: int,
        *,
        faults: Sequence[Fault] = (),
        fault_seed: int = 0,
    ) -> None:
        self.sessions = Sessions(context, max_sessions)
        self.wrong_key_delay = WrongKeyDelay()
        self._epoch = context.current_epoch()
        self._fault_injector = (
            FaultInjector(faults, fault_seed, context.report, self._epoch)
            if faults
            else None
        )

    def check_connection(self) -> RejectConnection | None:
        """Returns how a fault rejects a new connection, or None if it is accepted."""
        return None if self._fault_injector is None else self._fault_injector.request()

    async def serve(
        self,
        connection: Connection,
        *,
        outbox: Outbox | None = None,
        is_authorized: bool = True,
        credentials: Sequence[str] = (),
        is_limited: bool = False,
    ) -> None:
        """Serves one client until its connection ends.

        `outbox` is a new one by default. `credentials` are the keys and tokens of the
        client, one of which may be a resume token. `is_limited` bounds the CPU time for
        its messages, for the sake of the other clients.
        """
        outbox = outbox or Outbox(connection.transport.abort)
        if self._fault_injector is None:
            arriving = connection.messages()
            client = _Client(arriving, outbox, outbox, credentials, is_limited)
            await self._serve(connection, client, is_authorized=is_authorized)
            return
        async with self._fault_injector.between(
            connection.transport, connection.messages(), outbox
        ) as (arriving, socket):
            client = _Client(arriving, outbox, socket, credentials, is_limited)
            await self._serve(connection, client, is_authorized=is_authorized)

    async def _serve(
        self, connection: Connection, client: _Client, *, is_authorized: bool
    ) -> None:
        """Serves one client."""
        outbox, socket = client.outbox, client.socket
        writing = asyncio.create_task(connection.write_all(socket))
        try:
            if is_authorized:
                await self._receive(client)
            else:
                now = asyncio.get_running_loop().time()
                await asyncio.sleep(self.wrong_key_delay.seconds(now))
                self._refuse(outbox, "unauthorized", "Authentication failed")
            if outbox.is_closing or socket.is_closing:
                await writing
        finally:
            writing.cancel()

    async def _receive(self, client: _Client) -> None:
        outbox = client.outbox
        conversation = self.sessions.open(outbox)
        loop = asyncio.get_running_loop()
        budget, spent, handled = CpuBudget(loop.time()), 0.0, 0.0
        timer = loop.call_later(_OPENING_SECONDS, self._give_up, conversation, outbox)
        try:
            async for data in client.arriving:
                began = time.thread_time()
                event = _read(data)
                spent += time.thread_time() - began
                if conversation.session.phase is Phase.OPENING:
                    resumed = self.sessions.find(event)
                    if resumed is not None:
                        if not _may_resume(resumed, client.credentials):
                            text = "The session has a connection"
                            self._refuse(outbox, "session_forbidden", text)
                            break
                        conversation.detach(outbox)
                        conversation = resumed
                        conversation.resume(outbox)
                        handled = conversation.cpu_seconds
                        continue
                    if self.sessions.is_full(event):
                        text = "The server is at capacity"
                        self._refuse(outbox, "at_capacity", text)
                        break
                conversation.post(event)
                if client.is_limited:
                    await asyncio.sleep(0)  # the conversation handles the event
                    spent += conversation.cpu_seconds - handled
                    handled = conversation.cpu_seconds
                    await asyncio.sleep(budget.pause_seconds(spent, loop.time()))
                    spent = 0.0
        finally:
            timer.cancel()
            conversation.detach(outbox)

    def _give_up(self, conversation: Conversation, outbox: Outbox) -> None:
        if conversation.session.phase is Phase.OPENING:
            text = f"No session was opened within {_OPENING_SECONDS:.0f} s"
            self._refuse(outbox, "session_expired", text)

    def _refuse(self, outbox: Outbox, code: str, text: str) -> None:
        now = self._epoch + asyncio.get_running_loop().time()
        outbox.send(encode(SessionError(code, text, timestamp=now)))
        outbox.close(1008)


def _may_resume(conversation: Conversation, credentials: Sequence[str]) -> bool:
    """Returns True if a client that knows the ID of a session may resume it."""
    # IDs are in logs and recordings. The ID is enough for a session without a
    # connection; for a connected one, the resume token proves that it is its client.
    token = conversation.session.resume_token
    return not conversation.is_connected or any(
        is_same_secret(each, token) for each in credentials
    )


def _read(data: str | bytes) -> ServerEvent:
    if isinstance(data, bytes):  # audio is sent as text, in Base64
        return Malformed(
            RemoteProtocolError("Invalid audio data", code="invalid_audio")
        )
    try:
        return Received(decode_client(data))
    except RemoteProtocolError as error:
        return Malformed(error)
