"""The WebSocket server of the local service."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import secrets
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from http import HTTPStatus
from typing import Any, Self, cast
from urllib.parse import parse_qs

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from runner.errors import SpeechError, TransportError, os_error_text
from runner.protocol.messages import JsonObject
from runner.service.connection import (
    ABNORMAL_CLOSURE,
    ConnectionLimit,
    FaultySocket,
    Outbox,
)
from runner.service.conversation import Report, ServerContext
from runner.service.faults.model import Fault
from runner.service.http import AccessPolicy, HttpAnswer, HttpRequest, RequestReader
from runner.service.responses import FILLER, SpeechSynthesizer
from runner.service.sessions import (
    ConnectionHandler,
    default_max_sessions,
    is_same_secret,
)
from runner.service.stored_agents import PATH as AGENTS_PATH
from runner.service.stored_agents import StoredAgents
from runner.service.workers import Workers
from runner.speech.interfaces import SpeechStack
from runner.speech.models import DEFAULT_VOICE

PATH = "/v1/ws"
_TOKEN_PATH = "/v1/token"
# Maximum size of a message from a client; the limit of the real service is unknown.
_MAX_MESSAGE_BYTES = 4 * 2**20
_MAX_IDLE_CONNECTIONS = 128
# Interval of pings to a client; the default of `websockets`.
_PING_SECONDS = 20.0


class LocalService:
    """A voice-agent service on this machine, as an asynchronous context.

    Does not close `speech`. `report` receives log events: a type that begins with
    `vagent.`, and its fields. Port 0 selects a free port. Web pages of `origins` may
    connect, in addition to those of this machine. `agents` are `session` objects that
    clients name by their `agent_id`.
    """

    def __init__(  # noqa: PLR0913
        self,
        speech: SpeechStack,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        key: str | None = None,
        max_sessions: int | None = None,
        origins: Sequence[str] = (),
        report: Report | None = None,
        faults: Sequence[Fault] = (),
        fault_seed: int = 0,
        agents: Mapping[str, JsonObject] | None = None,
    ) -> None:
        self._agents = StoredAgents(agents)
        self._address = (host, port)
        self._access = AccessPolicy(host, origins)
        self._authenticator = Authenticator(key)
        self._max_sessions = max_sessions or default_max_sessions()
        # Four per session (language model, synthesizer, VAD, recognizer), and four for
        # loading.
        workers = Workers(4 * self._max_sessions + 4)
        self._context = ServerContext(
            speech,
            workers,
            SpeechSynthesizer(speech, workers),
            report or (lambda kind, fields: None),
            voices=(DEFAULT_VOICE,),
            find_agent=self._agents.find,
        )
        self._stack = AsyncExitStack()
        self._server: Server | None = None
        self._faults = (tuple(faults), fault_seed)
        self._handler: ConnectionHandler | None = None

    @property
    def url(self) -> str:
        """The URL for clients; available once the service has been entered."""
        assert self._server is not None, "the service has not been entered"
        host, port = next(iter(self._server.sockets)).getsockname()[:2]
        return f"ws://{f'[{host}]' if ':' in host else host}:{port}{PATH}"

    async def __aenter__(self) -> Self:
        """Raises TransportError if it cannot listen on the address."""
        host, port = self._address
        faults, seed = self._faults
        self._handler = ConnectionHandler(
            self._context, self._max_sessions, faults=faults, fault_seed=seed
        )
        limit = ConnectionLimit(self._max_sessions + max_idle_connections())
        try:
            self._server = await self._stack.enter_async_context(
                serve(
                    self._serve,
                    host,
                    port,
                    create_connection=cast(
                        type[ServerConnection],
                        partial(
                            _HttpConnection, answer=self._answer_request, limit=limit
                        ),
                    ),
                    process_response=_answer_in_json,
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
        await self._connections.sessions.close()
        await self._stack.aclose()
        self._context.workers.close()

    @property
    def _connections(self) -> ConnectionHandler:
        assert self._handler is not None, "the service has not been entered"
        return self._handler

    def _answer_request(self, request: HttpRequest) -> HttpAnswer | None:
        """Answers a request; None: it opens a WebSocket, which reports a wrong key."""
        rejection = self._connections.check_connection()
        if rejection is not None:
            if rejection.status is None:
                return _NO_ANSWER
            phrase = HTTPStatus(rejection.status).phrase
            return HttpAnswer(rejection.status, {"detail": f"{phrase} (injected)"})
        refusal = self._access.check(request)
        if refusal is not None:
            return refusal
        if request.path == AGENTS_PATH or request.path.startswith(f"{AGENTS_PATH}/"):
            return self._answer_about_agents(request)
        if request.path not in (PATH, _TOKEN_PATH):
            return HttpAnswer(404, {"detail": "Not Found"})
        cross_origin = _cross_origin_headers(request)
        if request.method == "OPTIONS":
            return HttpAnswer(204, headers={"Allow": "GET", **cross_origin})
        if request.method != "GET":
            detail = {"detail": "Method Not Allowed"}
            return HttpAnswer(405, detail, {"Allow": "GET", **cross_origin})
        if request.path == PATH:
            if request.is_upgrade:
                return None
            detail = {"detail": f"{PATH} is a WebSocket; connect with ws://"}
            return HttpAnswer(426, detail, {"Upgrade": "websocket"})
        now = asyncio.get_running_loop().time()
        authorization = request.get("authorization")
        status, body = self._authenticator.issue_token(
            authorization, request.query, now
        )
        wait = self._connections.wrong_key_delay.seconds(now) if status == 404 else 0.0
        return HttpAnswer(status, body, cross_origin, delay_seconds=wait)

    def _answer_about_agents(self, request: HttpRequest) -> HttpAnswer:
        refusal = self._authenticator.check_key(request.get("authorization"))
        if refusal is not None:
            now = asyncio.get_running_loop().time()
            wait = self._connections.wrong_key_delay.seconds(now)
            return HttpAnswer(*refusal, delay_seconds=wait)
        return self._agents.answer(request, self._context.voices)

    async def _serve(self, connection: ServerConnection) -> None:
        assert isinstance(connection, _HttpConnection), "see `create_connection`"
        await self._connections.serve(
            _Socket(connection),
            outbox=connection.outbox,
            is_authorized=self._is_authorized(connection),
            credentials=connection.credentials,
            is_limited=True,
        )

    def _is_authorized(self, connection: _HttpConnection) -> bool:
        sessions = self._connections.sessions
        now = asyncio.get_running_loop().time()
        return any(
            self._authenticator.is_authorized(
                each, now, can_resume=sessions.can_resume_with(each)
            )
            for each in connection.credentials
        )


def max_idle_connections() -> int:
    """Returns the limit of connections without a session, by the open-file limit."""
    try:
        import resource
    except ImportError:  # Windows
        return _MAX_IDLE_CONNECTIONS
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if files == resource.RLIM_INFINITY:
        return _MAX_IDLE_CONNECTIONS
    return max(4, min(_MAX_IDLE_CONNECTIONS, files // 4))


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

    async def write_all(self, outbox: Outbox | FaultySocket) -> None:
        connection = self._connection
        with contextlib.suppress(ConnectionClosed):
            async for text in outbox:
                await connection.send(text)
            if outbox.code == ABNORMAL_CLOSURE:
                connection.transport.abort()
            else:
                await connection.close(outbox.code)


# Closes the connection instead of answering.
_NO_ANSWER = HttpAnswer(503)


class _HttpConnection(ServerConnection):
    """Answers the first request of a connection, or has it opened as a WebSocket.

    `websockets` drops requests with a body, and what is not a request, unanswered.
    """

    def __init__(
        self,
        *args: Any,
        answer: Callable[[HttpRequest], HttpAnswer | None],
        limit: ConnectionLimit,
        **options: Any,
    ) -> None:
        super().__init__(*args, **options)
        self.outbox = Outbox(self.abort)
        self.credentials: Sequence[str] = ()
        self._answer = answer
        self._limit = limit
        # None once the request is read.
        self._reader: RequestReader | None = RequestReader()
        self._is_answered = False

    @property
    def has_session(self) -> bool:
        """True while a session uses the connection."""
        return self.outbox.has_session

    def abort(self) -> None:
        """Closes the connection at once."""
        self.transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._limit.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._limit.remove(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._is_answered:
            return  # the rest of a body
        if self._reader is None:
            super().data_received(data)
        else:
            self._read(self._reader, data)

    def eof_received(self) -> None:
        if self._reader is not None:
            self._read(self._reader, b"")
        if not self._is_answered:
            super().eof_received()

    def _read(self, reader: RequestReader, data: bytes) -> None:
        reader.feed(data)
        if not reader.is_complete:
            return
        self._reader = None
        request = reader.request
        answer = reader.error
        if answer is None and request is not None:
            answer = self._answer(request)
        if answer is not None:
            is_head = request is not None and request.method == "HEAD"
            self._send_answer(answer, is_head=is_head)
        elif request is not None:
            self.credentials = credentials_of(request)
            super().data_received(reader.data)

    def _send_answer(self, answer: HttpAnswer, *, is_head: bool) -> None:
        self._is_answered = True
        if answer is _NO_ANSWER:
            self.abort()
            return
        data = answer.encode(with_body=not is_head)
        if answer.delay_seconds:
            self.loop.call_later(answer.delay_seconds, self._write_last, data)
        else:
            self._write_last(data)

    def _write_last(self, data: bytes) -> None:
        if self.transport.is_closing():
            return
        self.transport.write(data)
        # A close would reset a connection on which a body still arrives, and the client
        # would lose the answer. The client closes it, or the handshake times out.
        if self.transport.can_write_eof():
            self.transport.write_eof()


def _answer_in_json(
    connection: ServerConnection, request: Request, response: Response
) -> Response | None:
    """Replaces the text with which `websockets` refuses a handshake."""
    del connection, request
    if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS:
        return None
    detail = response.body.decode("utf-8", "replace").strip()
    body = json.dumps({"detail": detail}).encode()
    for name, value in (
        ("Content-Type", "application/json"),
        ("Content-Length", str(len(body))),
    ):
        del response.headers[name]
        response.headers[name] = value
    response.body = body
    return response


def _cross_origin_headers(request: HttpRequest) -> dict[str, str]:
    """Returns the headers that let a page of an allowed origin read the answer."""
    origin = request.get("origin")
    if origin is None:
        return {}
    return {
        "Access-Control-Allow-Origin": origin,
        "Access-Control-Allow-Methods": "GET",
        "Access-Control-Allow-Headers": "Authorization",
        "Vary": "Origin",
    }


def _quiet_logger() -> logging.Logger:
    """Returns a silent logger: `websockets` logs tracebacks of lost connections."""
    logger = logging.getLogger("vagent.server.websockets")
    logger.setLevel(logging.CRITICAL)
    return logger


# Parameters of GET /v1/token: name, minimum, maximum, required. All responses are those
# of the real service, as measured: 404 for a wrong key, a list of parameter errors.
_PARAMETERS = (
    ("expires_in_seconds", 1, 600, True),
    ("max_session_duration_seconds", 60, 10_800, False),
)


class Authenticator:
    """Checks keys and temporary tokens; without a key, accepts every client."""

    def __init__(self, key: str | None = None) -> None:
        self._key = key
        self._tokens: dict[str, float] = {}  # expiry by token

    def is_authorized(self, given: str, now: float, *, can_resume: bool) -> bool:
        """Returns True if a client with this credential may have a session.

        It is the key or a temporary token. `can_resume`: it is the resume token of a
        session.
        """
        if self._key is None or can_resume or is_same_secret(given, self._key):
            return True
        # Measured: a token can be used several times until it expires.
        return self._tokens.get(given, -1.0) > now

    def check_key(
        self, authorization: str | None
    ) -> tuple[int, Mapping[str, Any]] | None:
        """Returns status and body of the refusal of a key, None if it is right."""
        if self._key is None or is_same_secret(credential(authorization), self._key):
            return None
        return 404, {"detail": "Invalid API key"}

    def issue_token(
        self, authorization: str | None, query: str, now: float
    ) -> tuple[int, Mapping[str, Any]]:
        """Returns status and JSON body of the answer to GET /v1/token."""
        if authorization is None:
            return 422, {"detail": [_missing("header", "authorization")]}
        if refusal := self.check_key(authorization):
            return refusal
        given = {name: values[-1] for name, values in parse_qs(query).items()}
        errors = [
            error
            for name, low, high, required in _PARAMETERS
            if (error := _check(given.get(name), name, low, high, required))
        ]
        if errors:
            return 422, {"detail": errors}
        seconds = int(given["expires_in_seconds"])
        self._tokens = {t: end for t, end in self._tokens.items() if end > now}
        token = secrets.token_urlsafe(48)
        self._tokens[token] = now + seconds
        return 200, {"token": token, "expires_in_seconds": seconds}


def credential(authorization: str | None) -> str:
    """Returns the key in an Authorization header, with or without `Bearer`."""
    text = (authorization or "").strip()
    scheme, _, rest = text.partition(" ")
    return rest.strip() if scheme.lower() == "bearer" else text


def credentials_of(request: HttpRequest) -> Sequence[str]:
    """Returns the key or token in the header, and the one in the query."""
    token = parse_qs(request.query).get("token", [""])[-1]
    return credential(request.get("authorization")), token


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


async def warm_up(context: ServerContext) -> None:
    """Reports the missing components, and synthesizes the filler."""
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


async def serve_until_stopped(
    service: LocalService, report: Report, *, exit_with_parent: bool = False
) -> None:
    """Runs until Ctrl-C or SIGTERM; reports the URL as `vagent.listening`.

    With `exit_with_parent`, it stops when standard input closes, which happens on every
    system however the parent ends; Ctrl-C is then for the parent.
    """
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    if exit_with_parent:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        _watch_stdin(loop, stopped)
    # Windows has no signal handlers in the loop; there the process ends at once.
    with contextlib.suppress(NotImplementedError):
        loop.add_signal_handler(signal.SIGTERM, stopped.set)
    async with service:
        report("vagent.listening", {"url": service.url})
        await stopped.wait()


def _watch_stdin(loop: asyncio.AbstractEventLoop, stopped: asyncio.Event) -> None:
    """Sets the event when standard input closes: the parent has ended."""

    def watch() -> None:
        # Not through sys.stdin: this thread would hold its lock, which the interpreter
        # acquires at exit.
        with contextlib.suppress(OSError, ValueError):
            while os.read(sys.stdin.fileno(), 4096):
                pass
        with contextlib.suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(stopped.set)

    threading.Thread(target=watch, name="watch-stdin", daemon=True).start()
