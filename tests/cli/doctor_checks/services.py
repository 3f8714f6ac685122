"""Services that accept a session, or reject it in different ways."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from http import HTTPStatus

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.protocol.codec import encode
from runner.protocol.messages import SessionEnded, SessionReady, SessionUpdated


class FakeService:
    """Answers as configured; `heard` are the types of the received messages."""

    def __init__(
        self,
        *,
        status: int = 0,
        close: tuple[int, str] | None = None,
        says: str | None = None,
        is_silent: bool = False,
    ) -> None:
        self.heard: list[str] = []
        self.keys: list[str | None] = []
        self._status = status
        self._close = close
        self._says = says
        self._is_silent = is_silent

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.keys.append(request.headers.get("Authorization"))
        if self._status:
            return connection.respond(HTTPStatus(self._status), "no\n")
        return None

    async def attend(self, connection: ServerConnection) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for text in connection:
                kind = json.loads(text)["type"]
                self.heard.append(kind)
                if kind == "session.end":
                    await connection.send(encode(SessionEnded(0.1)))
                elif self._close:
                    await connection.close(*self._close)
                elif self._says:
                    await connection.send(self._says)
                elif not self._is_silent:
                    await connection.send(encode(SessionUpdated()))
                    await connection.send(encode(SessionReady("sess_1")))


@contextlib.asynccontextmanager
async def running(fake: FakeService) -> AsyncIterator[str]:
    """Runs on a free port; yields the address."""
    async with serve(fake.attend, "127.0.0.1", 0, process_request=fake.admit) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/v1/ws"
