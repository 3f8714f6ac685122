"""The embedded server's door: sockets in, conversations behind; knows websockets."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import (
    AsyncIterable,
    AsyncIterator,
    Mapping,
    Sequence,
)
from contextlib import AsyncExitStack
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.errors import RemoteProtocolError, TransportError
from runner.faults.fault import Fault
from runner.faults.steps import TurnAway
from runner.protocol.codec import decode_client, encode
from runner.protocol.messages import SessionError
from runner.protocol.server.events import (
    Malformed,
    Received,
    ServerEvent,
)
from runner.protocol.server.session import Phase
from runner.server.conversation import House
from runner.server.disturbance import Disturbance
from runner.server.gate import Answer, Gate, credential
from runner.server.journal import Report
from runner.server.larynx import Larynx
from runner.server.outbox import Outbox
from runner.server.preparation import prepare
from runner.server.sessions import Sessions, default_max_sessions
from runner.server.wire import ABNORMAL_CLOSURE, Wire
from runner.server.workers import Workers
from runner.speech.parts import Speech

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
        speech: Speech,
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
        self._gate = Gate(key)
        most = max_sessions or default_max_sessions()
        # A reply thinks and speaks, the ears hear and recognise; and some for loading.
        workers = Workers(4 * most + 4)
        self._house = House(
            speech, workers, Larynx(speech, workers), report or _report_nothing
        )
        self._sessions = Sessions(self._house, most)
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._faults = (tuple(faults), fault_seed)
        self._disturbance: Disturbance | None = None  # only with faults

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
        if faults:
            self._disturbance = Disturbance(faults, seed, self._house.report)
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
                    # A line that is half open on purpose must stay silent.
                    ping_interval=None if faults else _PING_SECONDS,
                    logger=_quiet_logger(),
                )
            )
        except OSError as error:
            raise TransportError(
                f"cannot listen on {host}:{port}: {error.strerror or error}",
                hint="choose another port with --port; --port 0 takes a free one",
            ) from error
        preparing = asyncio.create_task(prepare(self._house))
        self._stack.callback(preparing.cancel)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._sessions.leave()
        await self._stack.aclose()
        self._house.workers.close()

    # ------------------------------------------------------------------ connections

    def _answer_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer what is no WebSocket request; a wrong key is told over the socket."""
        if self._disturbance is not None:
            away = self._disturbance.knock()
            if away is not None:
                return _turn_away(connection, away)
        address = urlsplit(request.path)
        if address.path == PATH:
            return None
        if address.path == _TOKEN_PATH:
            now = asyncio.get_running_loop().time()
            authorization = request.headers.get("Authorization")
            return _http(self._gate.issue_token(authorization, address.query, now))
        return _http(Answer(404, {"detail": "Not Found"}))

    async def _serve(self, connection: ServerConnection) -> None:
        line = Outbox(connection.transport.abort)
        if self._disturbance is None:
            await self._attend(connection, connection, line, line)
            return
        async with self._disturbance.between(
            connection.transport, _messages(connection), line
        ) as (arriving, wire):
            await self._attend(connection, arriving, line, wire)

    async def _attend(
        self,
        connection: ServerConnection,
        arriving: AsyncIterable[str | bytes],
        line: Outbox,
        wire: Outbox | Wire,
    ) -> None:
        """Serve one client; `wire` is written, and is `line` unless faults are made."""
        writing = asyncio.create_task(_write(connection, wire))
        try:
            if self._admits(connection):
                await self._receive(arriving, line)
            else:
                _refuse(line, "unauthorized", "Authentication failed")
            if line.is_closing or wire.is_closing:
                await writing
        finally:
            writing.cancel()

    def _admits(self, connection: ServerConnection) -> bool:
        request = connection.request
        assert request is not None  # there is one once the handshake is over
        authorization = request.headers.get("Authorization")
        resumes = self._sessions.knows(credential(authorization))
        now = asyncio.get_running_loop().time()
        query = urlsplit(request.path).query
        return self._gate.admits(authorization, query, now, resume_tokens=resumes)

    async def _receive(
        self, arriving: AsyncIterable[str | bytes], line: Outbox
    ) -> None:
        conversation = self._sessions.open(line)
        try:
            async for data in arriving:
                event = _read(data)
                if conversation.session.phase is Phase.OPENING:
                    known = self._sessions.find(event)
                    if known is not None:
                        conversation.detach(line)
                        conversation = known
                        conversation.resume(line)
                        continue
                    if self._sessions.is_full(event):
                        _refuse(line, "at_capacity", "The server is at capacity")
                        break
                conversation.post(event)
        finally:
            conversation.detach(line)


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


async def _messages(connection: ServerConnection) -> AsyncIterator[str | bytes]:
    """Yield what comes until the line is gone, however it goes."""
    with contextlib.suppress(ConnectionClosed):
        async for data in connection:
            yield data


async def _write(connection: ServerConnection, line: Outbox | Wire) -> None:
    """Send what is said on this line until it is closed from either side."""
    with contextlib.suppress(ConnectionClosed):
        async for text in line:
            await connection.send(text)
        if line.code == ABNORMAL_CLOSURE:
            connection.transport.abort()
        else:
            await connection.close(line.code)


def _refuse(line: Outbox, code: str, text: str) -> None:
    line.send(encode(SessionError(code, text, timestamp=time.time())))
    line.close(1008)


def _turn_away(connection: ServerConnection, away: TurnAway) -> Response:
    """Answer as a proxy would, or reset the connection: then nobody reads this."""
    if away.status is None:
        connection.transport.abort()
    status = HTTPStatus(away.status or HTTPStatus.SERVICE_UNAVAILABLE)
    return connection.respond(status, f"{status.phrase} (on purpose)\n")


def _http(answer: Answer) -> Response:
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
