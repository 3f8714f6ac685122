"""The ASGI application of hosted agents: pages, tokens, sockets and the operator.

from fastapi import FastAPI
from vagent import hosting

voice = hosting.app(["agents/support.yaml"])
api = FastAPI(lifespan=voice.lifespan)
api.mount("/voice", voice)
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from runner.errors import RemoteProtocolError
from runner.hosting.access import Access, AccessRefused
from runner.hosting.call import HostedCall
from runner.hosting.host import Caller, CallHost
from runner.hosting.limits import MessageRate, Refusal
from runner.hosting.session import HostedEvent, Phase, PlaybackReport
from runner.observers.metrics import render
from runner.protocol.codec import decode_client, loads
from runner.protocol.messages import SessionResume
from runner.protocol.server.events import Malformed, Received
from runner.service.connection import ConnectionLimit, CpuBudget, Outbox

PAGE = Path(__file__).parent / "page"
# Scripts and styles of the server alone; the socket may be at another port of it.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; "
    "worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
_SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self)",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_TYPES = {
    ".js": "text/javascript",
    ".css": "text/css",
    ".html": "text/html",
    ".ts": "text/plain",
}
# Files that pages of other origins load, too.
_PUBLIC_FILES = ("widget.js", "call.js", "worklet.js", "call.d.ts")
# A refusal contains nothing private, and a page of any origin shows its reason: without
# this header, a browser reports a refusal like a server that cannot be reached.
_READABLE = {"Access-Control-Allow-Origin": "*"}
# A message of a client is at most a second of audio, or a text.
MAX_MESSAGE_BYTES = 256 * 1024
# Sockets without a call; one more closes the oldest.
_MAX_IDLE_SOCKETS = 256
_TOKEN_SECONDS = 60


@dataclass(slots=True)
class HostingApp:
    """An ASGI application; `lifespan` opens it, also within another application."""

    open_host: Callable[[], contextlib.AbstractAsyncContextManager[CallHost]]
    access: Access
    metrics: Any = None  # a CollectorRegistry
    _host: CallHost | None = None
    _routes: Starlette | None = None
    _opening: asyncio.Lock = field(default_factory=asyncio.Lock)
    _stack: contextlib.AsyncExitStack = field(default_factory=contextlib.AsyncExitStack)
    _sockets: ConnectionLimit = field(
        default_factory=lambda: ConnectionLimit(_MAX_IDLE_SOCKETS)
    )

    @property
    def host(self) -> CallHost:
        """The calls; available while the application is open."""
        assert self._host is not None, "the application is not open"
        return self._host

    @contextlib.asynccontextmanager
    async def lifespan(self, app: object = None) -> AsyncIterator[None]:
        """Loads the agents, and ends all calls on exit."""
        del app
        await self._open()
        try:
            yield
        finally:
            await self._stack.aclose()
            self._host = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._routes is None:
            self._routes = self._build_routes()
        if scope["type"] != "lifespan" and self._host is None:
            await self._open()  # mounted without the lifespan
        await self._routes(scope, receive, send)

    async def _open(self) -> None:
        async with self._opening:
            if self._host is None:
                self._host = await self._stack.enter_async_context(self.open_host())

    def _build_routes(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._list_page),
                Route("/healthz", self._health),
                Route("/readyz", self._ready),
                Route("/metrics", self._metrics),
                Route("/calls", self._calls),
                Route("/calls/{call_id}", self._hang_up, methods=["DELETE"]),
                Route("/v1/token", self._token, methods=["GET", "POST", "OPTIONS"]),
                Route("/v1/agents", self._agents),
                Route("/v1/agents/{agent_id}", self._agent),
                WebSocketRoute("/v1/ws", self._socket),
                Route("/{name}", self._page),
            ],
            lifespan=self.lifespan,
            exception_handlers={AccessRefused: _answer_refused},  # type: ignore[dict-item]  # the handler's exception type is narrower
        )

    # ------------------------------------------------------------------------- state

    async def _health(self, request: Request) -> Response:
        del request
        return JSONResponse({"status": "ok", "calls": len(self.host.live)})

    async def _ready(self, request: Request) -> Response:
        self.access.check_host(request)
        host = self.host
        seats = self.access.limits.calls
        is_full = seats is not None and len(host.live) >= seats
        state = "leaving" if host.is_leaving else "full" if is_full else "ready"
        body = {"status": state, "calls": len(host.live), "seats": seats}
        return JSONResponse(body, 200 if state == "ready" else 503)

    async def _metrics(self, request: Request) -> Response:
        self.access.check_host(request)
        self.access.check_operator(request, is_metrics=True)
        kind, body = render(self.metrics, request.headers.get("accept", ""))
        return Response(body, headers={"Content-Type": kind})

    async def _calls(self, request: Request) -> Response:
        self.access.check_host(request)
        self.access.check_operator(request)
        return JSONResponse({"calls": [_describe(each) for each in self.host.live]})

    async def _hang_up(self, request: Request) -> Response:
        self.access.check_host(request)
        self.access.check_origin(request)
        self.access.check_operator(request)
        call = self.host.calls.get(request.path_params["call_id"])
        if call is None:
            return _refuse(404, "call_not_found", "The call is not live")
        call.hang_up("the operator hung up")
        return JSONResponse({"status": "ending"}, 202)

    # ------------------------------------------------------------------------- pages

    async def _list_page(self, request: Request) -> Response:
        self.access.check_host(request)
        return _file("index.html")

    async def _page(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name in _page_files():
            if name not in _PUBLIC_FILES:
                self.access.check_host(request)
            return _file(name)
        self.access.check_host(request)
        if self.host.agents.find(name) is None:
            return _refuse(404, "agent_not_found", f"No agent is called '{name[:80]}'")
        return _file("page.html")

    async def _agents(self, request: Request) -> Response:
        self.access.check_host(request)
        agents = [self._about(each.name) for each in self.host.agents]
        return self._cross_origin(request, JSONResponse({"agents": agents}))

    async def _agent(self, request: Request) -> Response:
        self.access.check_host(request)
        hosted = self.host.agents.find(request.path_params["agent_id"])
        if hosted is None:
            return _refuse(404, "agent_not_found", "Agent not found")
        answer = JSONResponse(self._about(hosted.name))
        return self._cross_origin(request, answer)

    def _about(self, name: str) -> dict[str, Any]:
        options = self.host.options
        return {
            "agent_id": name,
            "name": name,
            "show_tools": options.show_tools,
            "max_duration_seconds": options.duration,
        }

    def _cross_origin(self, request: HTTPConnection, answer: Response) -> Response:
        """Lets pages of allowed origins read an answer."""
        origin = request.headers.get("origin")
        if origin is not None and self.access.allows_origin(origin):
            answer.headers["Access-Control-Allow-Origin"] = origin
            answer.headers["Access-Control-Allow-Headers"] = "Authorization"
            answer.headers["Vary"] = "Origin"
        return answer

    # ------------------------------------------------------------------------ tokens

    async def _token(self, request: Request) -> Response:
        self.access.check_host(request)
        self.access.check_origin(request)
        if request.method == "OPTIONS":
            return self._cross_origin(request, Response(status_code=204))
        agent_id = request.query_params.get("agent")
        hosted = self.host.agents.find(agent_id)
        if agent_id is not None and hosted is None:
            return _refuse(404, "agent_not_found", "Agent not found")
        seconds = _read_seconds(request.query_params.get("expires_in_seconds"))
        if seconds is None:
            text = "expires_in_seconds is a whole number from 1 to 600"
            return _refuse(422, "invalid_value", text)
        self.access.check_minting(request)
        caller = self.access.identify(request)
        refusal = self.host.refusal(caller)
        if refusal is not None:
            return self._cross_origin(request, _answer_refusal(refusal))
        subject = caller.identity
        if self.access.token_key is not None:  # the backend of a site asks for it
            subject = request.query_params.get("for") or subject
        name = agent_id or (hosted.name if hosted else "")
        try:
            token = self.access.mint(name, subject, seconds)
        except ValueError as error:
            return _refuse(422, "invalid_value", str(error))
        scheme = "wss" if request.url.scheme in ("https", "wss") else "ws"
        url = request.url.replace(
            scheme=scheme, path=request.scope.get("root_path", "") + "/v1/ws", query=""
        )
        body = {
            "token": token,
            "expires_in_seconds": seconds,
            "url": self.access.public_socket or str(url),
        }
        return self._cross_origin(request, JSONResponse(body))

    # ----------------------------------------------------------------------- sockets

    async def _socket(self, socket: WebSocket) -> None:
        try:
            self.access.check_host(socket)
            self.access.check_origin(socket)
        except AccessRefused as refused:
            await socket.send_denial_response(_answer_refusal(refused.refusal))
            return
        credentials = _credentials(socket)
        try:
            caller = self._identify(socket, credentials)
            refusal = None if self._may_resume() else self.host.refusal(caller)
        except AccessRefused as refused:
            refusal = refused.refusal
        if refusal is not None:
            await _refuse_socket(socket, refusal)
            return
        await socket.accept()
        client = _Client(socket, credentials)
        self._sockets.add(client)
        try:
            await client.serve(self.host, caller)
        finally:
            self._sockets.remove(client)

    def _may_resume(self) -> bool:
        """True if a new socket may belong to a session that lost its connection."""
        return any(
            call.session.phase is Phase.LIVE and not call.is_connected
            for call in self.host.calls.values()
        )

    def _identify(self, socket: WebSocket, credentials: Sequence[str]) -> Caller:
        for each in credentials:
            known = self.host.caller_of_token(each)
            if known is not None:
                return known
        return self.access.redeem(socket, credentials)


async def _refuse_socket(socket: WebSocket, refusal: Refusal) -> None:
    """Refuses a socket with its reason.

    A page cannot read the HTTP answer to an upgrade, so it gets a message.
    """
    if "origin" not in socket.headers:
        await socket.send_denial_response(_answer_refusal(refusal))
        return
    await socket.accept()
    error = {
        "type": "session.error",
        "code": refusal.code,
        "message": refusal.message,
        "param": None,
        "session_id": None,
        "timestamp": time.time(),
    }
    if refusal.retry_after is not None:
        error["retry_after"] = max(1, round(refusal.retry_after))
    await socket.send_json(error)
    # RFC 6455: 1013 is "try again later" in the registry of close codes.
    await socket.close(1008 if refusal.status == 401 else 1013)


class _Client:
    """One socket: reads its messages, and sends those of its call."""

    def __init__(self, socket: WebSocket, credentials: Sequence[str]) -> None:
        self._socket = socket
        self._credentials = credentials
        self._task = asyncio.current_task()
        self.outbox = Outbox(self.abort)

    @property
    def has_session(self) -> bool:
        """True while a session uses the socket."""
        return self.outbox.has_session

    def abort(self) -> None:
        """Closes the socket at once."""
        if self._task is not None:
            self._task.cancel()

    async def serve(self, host: CallHost, caller: Caller) -> None:
        """Serves the client until either side closes."""
        writing = asyncio.create_task(self._write())
        call = host.open(caller)
        call.attach(self.outbox)
        try:
            call = await self._read(host, call)
            if self.outbox.is_closing:
                await writing
        except asyncio.CancelledError:
            if not self.outbox.is_closing:
                self.outbox.close(1008)
        finally:
            writing.cancel()
            self.outbox.has_session = False
            call.detach(self.outbox)

    async def _read(self, host: CallHost, call: HostedCall) -> HostedCall:
        """Reads messages until the socket is closed; returns the call at the end."""
        loop = asyncio.get_running_loop()
        budget, rate = CpuBudget(loop.time()), MessageRate(loop.time())
        # After a close by this side, the last message is that the client is gone.
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            began = time.thread_time()
            call = self._dispatch(host, call, _read_event(message))
            spent = time.thread_time() - began
            pause = budget.pause_seconds(spent, loop.time())
            pause = max(pause, rate.pause_seconds(loop.time()))
            if pause > 0:
                await asyncio.sleep(pause)
        return call

    def _dispatch(
        self, host: CallHost, call: HostedCall, event: HostedEvent
    ) -> HostedCall:
        if call.session.phase is Phase.OPENING and isinstance(event, Received):
            message = event.message
            if isinstance(message, SessionResume):
                found = host.find_live(message.session_id)
                if found is not None and self._may_take(found):
                    call.detach(self.outbox)
                    self.outbox.has_session = True
                    found.resume(self.outbox)
                    return found
        call.post(event)
        self.outbox.has_session = call.session.phase in (Phase.STARTING, Phase.LIVE)
        return call

    def _may_take(self, call: HostedCall) -> bool:
        """True if this client may resume a session: it is dropped, or proves itself."""
        return not call.is_connected or call.session.resume_token in self._credentials

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError, OSError):
            async for text in self.outbox:
                await self._socket.send_text(text)
            await self._socket.close(self.outbox.code)


def _read_event(message: Mapping[str, Any]) -> HostedEvent:
    text = message.get("text")
    if text is None:  # audio is sent as text, in Base64
        error = RemoteProtocolError("Invalid audio data", code="invalid_audio")
        return Malformed(error)
    try:
        return Received(decode_client(text))
    except RemoteProtocolError as error:
        if error.message_type == "vagent.playback":
            report = _read_report(text)
            if report is not None:
                return report
        return Malformed(error)


def _read_report(text: str) -> PlaybackReport | None:
    content = loads(text)
    reply_id, played = content.get("reply_id"), content.get("played_ms")
    is_number = isinstance(played, int | float) and not isinstance(played, bool)
    if not isinstance(reply_id, str) or not is_number:
        return None
    return PlaybackReport(reply_id, float(played))


def _credentials(connection: HTTPConnection) -> list[str]:
    """Returns the tokens and keys of a client, from query and header."""
    found = []
    if token := connection.query_params.get("token"):
        found.append(token)
    header = connection.headers.get("authorization", "").strip()
    if header:
        kind, _, rest = header.partition(" ")
        found.append(rest.strip() if kind.lower() == "bearer" and rest else header)
    return found


def _read_seconds(text: str | None) -> int | None:
    if text is None:
        return _TOKEN_SECONDS
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 3):
        return None
    return int(text) if 1 <= int(text) <= 600 else None


def _describe(call: HostedCall) -> dict[str, Any]:
    info = call.info
    return {
        "call_id": info.call_id,
        "agent": info.agent,
        "caller": info.caller,
        "started_at": info.started_at,
        "connected": call.is_connected,
        "chat": [
            {
                "at": round(each.at, 3),
                "by": each.by,
                "text": each.text,
                "interrupted": each.interrupted,
            }
            for each in info.chat
        ],
    }


def _refuse(status: int, code: str, message: str) -> Response:
    return JSONResponse({"code": code, "message": message}, status, _READABLE)


def _answer_refusal(refusal: Refusal) -> Response:
    body: dict[str, Any] = {"code": refusal.code, "message": refusal.message}
    headers = dict(_READABLE)
    if refusal.retry_after is not None:
        seconds = max(1, round(refusal.retry_after))
        body["retry_after"] = seconds
        headers["Retry-After"] = str(seconds)
    return JSONResponse(body, refusal.status, headers)


def _answer_refused(request: Request, refused: AccessRefused) -> Response:
    del request
    return _answer_refusal(refused.refusal)


def _page_files() -> frozenset[str]:
    return frozenset(each.name for each in PAGE.iterdir() if each.suffix in _TYPES)


def _file(name: str) -> Response:
    path = PAGE / name
    headers = dict(_SECURITY_HEADERS)
    if path.suffix == ".html":
        headers["Content-Security-Policy"] = _PAGE_POLICY
    if name in _PUBLIC_FILES:
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers["Cache-Control"] = "no-cache"
    kind = f"{_TYPES[path.suffix]}; charset=utf-8"
    return Response(path.read_bytes(), headers={**headers, "Content-Type": kind})
