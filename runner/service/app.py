"""The embedded server's door: sockets in, conversations behind; knows websockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.errors import TransportError, os_error_text
from runner.server.gate import Authenticator, HttpResponse, credential
from runner.server.journal import Report
from runner.server.larynx import SpeechSynthesizer
from runner.server.preparation import warm_up
from runner.server.reception import ConnectionHandler
from runner.server.wire import ABNORMAL_CLOSURE, FaultySocket
from runner.service.connection import Outbox
from runner.service.conversation import ServerContext
from runner.service.faults.model import Fault, RejectConnection
from runner.service.sessions import default_max_sessions
from runner.service.workers import Workers
from runner.speech.interfaces import SpeechStack

PATH = "/v1/ws"
_TOKEN_PATH = "/v1/token"
# The largest message that is read; the service's limit is not known.
_MAX_MESSAGE_BYTES = 4 * 2**20
# How often a client is asked whether it is still there; the library's own default.
_PING_SECONDS = 20.0


class EmbeddedServer:
    """Serves the wire on this machine; an asynchronous context.

    Takes `speech` but does not close it. `report` gets what the operator should know,
    as a type that begins with `vagent.` and its facts. Port 0 picks a free one.
    """

    def __init__(
        self,
        speech: SpeechStack,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        max_sessions: int | None = None,
        report: Report | None = None,
        faults: Sequence[Fault] = (),
        fault_seed: int = 0,
    ) -> None:
        self._address = (host, port)
        self._gate = Authenticator(key)
        self._most = max_sessions or default_max_sessions()
        # A reply thinks and speaks, the ears hear and recognise; and some for loading.
        workers = Workers(4 * self._most + 4)
        self._house = ServerContext(
            speech,
            workers,
            SpeechSynthesizer(speech, workers),
            report or _report_nothing,
        )
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._faults = (tuple(faults), fault_seed)
        self._reception: ConnectionHandler | None = None

    @property
    def url(self) -> str:
        """Where clients connect to; only once the server has been entered."""
        assert self._server is not None, "the server has not been started"
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{f'[{host}]' if ':' in host else host}:{port}{PATH}"

    async def __aenter__(self) -> Self:
        """Raises TransportError when the address cannot be had."""
        host, port = self._address
        faults, seed = self._faults
        self._reception = ConnectionHandler(
            self._house, self._most, faults=faults, fault_seed=seed
        )
        try:
            self._server = await self._stack.enter_async_context(
                serve(
                    self._serve,
                    host,
                    port,
                    process_request=self._answer_request,
                    # Base64 of sound does not compress; trying costs time.
                    compression=None,
                    max_size=_MAX_MESSAGE_BYTES,
                    # A half-open connection must stay silent.
                    ping_interval=None if faults else _PING_SECONDS,
                    logger=_quiet_logger(),
                )
            )
        except OSError as error:
            raise TransportError(
                f"cannot listen on {host}:{port}: {os_error_text(error)}",
                hint="choose another port with --port; --port 0 takes a free one",
            ) from error
        preparing = asyncio.create_task(warm_up(self._house))
        self._stack.callback(preparing.cancel)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.sessions.leave()
        await self._stack.aclose()
        self._house.workers.close()

    # ------------------------------------------------------------------ connections

    @property
    def _open(self) -> ConnectionHandler:
        assert self._reception is not None, "the server has not been started"
        return self._reception

    def _answer_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer what is no WebSocket request; a wrong key is told over the socket."""
        away = self._open.knock()
        if away is not None:
            return _turn_away(connection, away)
        address = urlsplit(request.path)
        if address.path == PATH:
            return None
        if address.path == _TOKEN_PATH:
            now = asyncio.get_running_loop().time()
            authorization = request.headers.get("Authorization")
            return _http(self._gate.issue_token(authorization, address.query, now))
        return _http(HttpResponse(404, {"detail": "Not Found"}))

    async def _serve(self, connection: ServerConnection) -> None:
        socket, is_admitted = _Socket(connection), self._admits(connection)
        await self._open.attend(socket, is_admitted=is_admitted)

    def _admits(self, connection: ServerConnection) -> bool:
        request = connection.request
        assert request is not None  # there is one once the handshake is over
        authorization = request.headers.get("Authorization")
        resumes = self._open.sessions.knows(credential(authorization))
        now = asyncio.get_running_loop().time()
        query = urlsplit(request.path).query
        return self._gate.admits(authorization, query, now, resume_tokens=resumes)


class _Socket:
    """A WebSocket as the reception sees it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    @property
    def transport(self) -> asyncio.Transport:
        return self._connection.transport

    async def messages(self) -> AsyncIterator[str | bytes]:
        with contextlib.suppress(ConnectionClosed):
            async for data in self._connection:
                yield data

    async def write_all(self, line: Outbox | FaultySocket) -> None:
        connection = self._connection
        with contextlib.suppress(ConnectionClosed):
            async for text in line:
                await connection.send(text)
            if line.code == ABNORMAL_CLOSURE:
                connection.transport.abort()
            else:
                await connection.close(line.code)


def _turn_away(connection: ServerConnection, away: RejectConnection) -> Response:
    """Answer as a proxy would, or reset the connection: then nobody reads this."""
    if away.status is None:
        connection.transport.abort()
    status = HTTPStatus(away.status or HTTPStatus.SERVICE_UNAVAILABLE)
    return connection.respond(status, f"{status.phrase} (injected)\n")


def _http(answer: HttpResponse) -> Response:
    body = answer.text.encode()
    headers = Headers()
    headers["Content-Type"] = "application/json"
    headers["Content-Length"] = str(len(body))
    headers["Connection"] = "close"
    return Response(answer.status, HTTPStatus(answer.status).phrase, headers, body)


def _quiet_logger() -> logging.Logger:
    """The library's own log would show tracebacks of every client that gives up."""
    logger = logging.getLogger("vagent.server.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger


def _report_nothing(kind: str, facts: Mapping[str, Any]) -> None:
    del kind, facts
