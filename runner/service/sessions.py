"""All sessions of one server, live and dropped: opened, found, counted, ended."""

from __future__ import annotations

import asyncio
import os

from runner.protocol.messages import SessionResume, SessionUpdate
from runner.protocol.server.events import Received, ServerEvent, ShutDown
from runner.protocol.server.session import Phase
from runner.service.conversation import ClientConnection, Conversation, ServerContext

# How long a session may take to say goodbye when the server leaves.
_FAREWELL_SECONDS = 2.0
# Dropped sessions that are kept for each one that can be live: somebody who opens and
# drops them at will must not fill the memory.
_DROPPED_PER_CALL = 8


class Sessions:
    """Keeps every conversation until it is over; asked by the door."""

    def __init__(self, house: ServerContext, most: int) -> None:
        self._house = house
        self._most = most
        self._conversations: dict[str, Conversation] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self, line: ClientConnection) -> Conversation:
        """Begin a session over this line."""
        self._shed()
        conversation = Conversation(self._house)
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
        """Whether the token is that of a session that can be resumed."""
        return any(
            conversation.session.resume_token == resume_token
            for conversation in self._conversations.values()
        )

    def is_full(self, event: ServerEvent) -> bool:
        """Whether the first message asks for a session that the machine cannot hold."""
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
        """Forget the oldest of too many sessions that nobody has come back to."""
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
            self._house.report("vagent.internal_error", {"message": repr(error)})
            conversation.hang_up(1011)
        finally:
            self._conversations.pop(conversation.session.session_id, None)


def default_max_sessions() -> int:
    """Return how many calls the machine holds: one for each two cores, at least two."""
    return max(2, (os.cpu_count() or 1) // 2)
