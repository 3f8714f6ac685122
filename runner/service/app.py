"""The WebSocket server of the local service."""

from __future__ import annotations

import asyncio
import contextlib
import hmac
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.errors import SpeechError, TransportError, os_error_text
from runner.service.connection import ABNORMAL_CLOSURE, FaultySocket, Outbox
from runner.service.conversation import Report, ServerContext
from runner.service.faults.model import Fault, RejectConnection
from runner.service.responses import FILLER, SpeechSynthesizer
from runner.service.sessions import ConnectionHandler, default_max_sessions
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
        self._context = ServerContext(
            speech,
            workers,
            SpeechSynthesizer(speech, workers),
            report or _report_nothing,
        )
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._faults = (tuple(faults), fault_seed)
        self._handler: ConnectionHandler | None = None

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
        self._handler = ConnectionHandler(
            self._context, self._most, faults=faults, fault_seed=seed
        )
        try:
            self._server = await self._stack.enter_async_context(
                serve(
                    self._serve,
                    host,
                    port,
                    process_request=self._answer_request,
                    # Base64 of audio does not compress; trying costs time.
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
        preparing = asyncio.create_task(warm_up(self._context))
        self._stack.callback(preparing.cancel)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.sessions.leave()
        await self._stack.aclose()
        self._context.workers.close()

    # ------------------------------------------------------------------ connections

    @property
    def _open(self) -> ConnectionHandler:
        assert self._handler is not None, "the server has not been started"
        return self._handler

    def _answer_request(
        self, connection: ServerConnection, request: Request
    ) -> Response | None:
        """Answer plain HTTP requests; a wrong key is reported over the socket."""
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
    """Adapts a WebSocket to `Connection`."""

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
    """Answer as a proxy would, or reset the connection without a response."""
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


# Who may come in: keys and temporary tokens, and the answers of GET /v1/token.
#
# Answers are the service's own, as measured: a wrong key is a 404 there, and a missing
# parameter a list of findings.


# Name, lowest, highest, required.
_PARAMETERS = (
    ("expires_in_seconds", 1, 600, True),
    ("max_session_duration_seconds", 60, 10_800, False),
)


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP answer with a JSON body."""

    status: int
    body: Mapping[str, Any]

    @property
    def text(self) -> str:
        return json.dumps(self.body)


class Authenticator:
    """Checks credentials; without a key of its own it admits every client."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._tokens: dict[str, float] = {}  # token: when it can no longer be used

    def admits(
        self, authorization: str | None, query: str, now: float, *, resume_tokens: bool
    ) -> bool:
        """Whether a connection with these credentials may have a session.

        The key comes raw, as a bearer, or as a temporary token in the query. With
        `resume_tokens` the credential has been found among those of live sessions.
        """
        if self._key is None or resume_tokens:
            return True
        if _same(credential(authorization), self._key):
            return True
        token = parse_qs(query).get("token", [""])[-1]
        # Tokens work as often as wanted until they expire, whatever is documented.
        return self._tokens.get(token, -1.0) > now or _same(token, self._key)

    def issue_token(
        self, authorization: str | None, query: str, now: float
    ) -> HttpResponse:
        """Answer GET /v1/token."""
        if authorization is None:
            return HttpResponse(422, {"detail": [_missing("header", "authorization")]})
        if self._key is not None and not _same(credential(authorization), self._key):
            return HttpResponse(404, {"detail": "Invalid API key"})
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        findings = [
            finding
            for name, low, high, required in _PARAMETERS
            if (finding := _check(given.get(name), name, low, high, required))
        ]
        if findings:
            return HttpResponse(422, {"detail": findings})
        seconds = int(given["expires_in_seconds"])
        self._tokens = {t: end for t, end in self._tokens.items() if end > now}
        token = secrets.token_urlsafe(48)
        self._tokens[token] = now + seconds
        return HttpResponse(200, {"token": token, "expires_in_seconds": seconds})


def credential(authorization: str | None) -> str:
    """Return the bare key of an Authorization header; the scheme may be left out."""
    text = (authorization or "").strip()
    scheme, _, rest = text.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text


def _same(given: str, wanted: str) -> bool:
    # A header that is no ASCII arrives with its bytes as surrogates.
    return hmac.compare_digest(
        given.encode("utf-8", "surrogatepass"), wanted.encode("utf-8", "surrogatepass")
    )


def _missing(where: str, name: str) -> dict[str, Any]:
    return {
        "type": "missing",
        "loc": [where, name],
        "msg": "Field required",
        "input": None,
    }


def _check(
    value: str | None, name: str, low: int, high: int, required: bool
) -> dict[str, Any] | None:
    if value is None:
        return _missing("query", name) if required else None
    place = {"loc": ["query", name], "input": value}
    try:
        number = int(value)
    except ValueError:
        text = "Input should be a valid integer, unable to parse string as an integer"
        return {"type": "int_parsing", "msg": text, **place}
    if number < low:
        text = f"Input should be greater than or equal to {low}"
        return {"type": "greater_than_equal", "msg": text, "ctx": {"ge": low}, **place}
    if number > high:
        text = f"Input should be less than or equal to {high}"
        return {"type": "less_than_equal", "msg": text, "ctx": {"le": high}, **place}
    return None


# What a server does before it is asked: saying what is missing, warming the voice.


async def warm_up(context: ServerContext) -> None:
    """Report every missing part, and have the filler ready before it is needed."""
    try:
        missing = await context.workers.run("loading", context.speech.missing)
        for part in missing:
            facts = {
                "part": part.part,
                "reason": part.reason,
                "instead": part.instead,
                "command": part.command,
            }
            context.report("vagent.missing", facts)
        await context.synthesizer.prepare(FILLER)
    except SpeechError as error:
        context.report("vagent.warning", {"message": error.message})


# How long a server serves: until Ctrl-C, or until the process that owns it is gone.


async def serve_until_stopped(
    server: EmbeddedServer, report: Report, *, exit_with_parent: bool = False
) -> None:
    """Serve, and report `vagent.listening` with the address once the door is open.

    With `exit_with_parent`, standard input's end is the end: it closes on every system
    however the owner ends. Ctrl-C in the terminal is then the owner's to handle.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    if exit_with_parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _watch_stdin(loop, stopped)
    # Windows knows no handlers for this; there the process simply ends.
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with server:
        report("vagent.listening", {"url": server.url})
        await stopped.wait()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Set the event once stdin closes: the parent is gone, however it went."""

    def watch() -> None:
        # Not through sys.stdin: its lock, held by this thread, would be asked for at
        # the interpreter's end.
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has ended before
            loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=watch, name="watch-stdin", daemon=True).start()
