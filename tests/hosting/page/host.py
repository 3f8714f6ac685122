"""A scripted host of agents: serves the page; the test is the far end of the wire.

The host runs in a thread of its own. In front of it is a relay that a test can cut as a
network is cut: without a closing handshake.
"""

from __future__ import annotations

import asyncio
import base64
import json
import math
import queue
import socket
import threading
from array import array
from collections.abc import Coroutine, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

PAGE = Path(__file__).parents[3] / "runner" / "hosting" / "page"
CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; "
    "connect-src 'self' ws: wss:; img-src 'self' data:; media-src 'self' blob:; "
    "worker-src 'self'"
)
TYPES = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".ts": "text/plain",
}
SECONDS = 20.0  # for anything that a test waits for
Message = dict[str, Any]
T = TypeVar("T")


class Connection:
    """The far end of one WebSocket: what the client sent, and what the test answers."""

    def __init__(self, host: Host, websocket: WebSocket) -> None:
        self.path = websocket.url.path
        self.query = dict(websocket.query_params)
        self.received: list[Message] = []
        self.closed = threading.Event()
        self._host = host
        self._socket = websocket
        self._inbox: queue.Queue[Message] = queue.Queue()

    def put(self, message: Message) -> None:
        """Records a message; audio and playback reports are not waited for."""
        self.received.append(message)
        if message["type"] not in ("input.audio", "vagent.playback"):
            self._inbox.put(message)

    def next(self) -> Message:
        """Returns the next message that is not audio or a report."""
        return self._inbox.get(timeout=SECONDS)

    def of_type(self, kind: str) -> list[Message]:
        """Returns the messages of one type so far."""
        return [each for each in self.received if each["type"] == kind]

    def send(self, kind: str, **fields: Any) -> None:
        """Sends one message to the page."""
        self._host.run(self._socket.send_json({"type": kind, **fields}))

    def close(self, code: int = 1000) -> None:
        """Closes the socket from the side of the host."""
        self._host.run(self._socket.close(code))

    def ready(self, session: str = "sess_1", token: str = "resume_1") -> None:
        """Accepts the session."""
        self.send("session.updated", config={})
        self.send("session.ready", session_id=session, resume_token=token, config={})

    def reply(self, reply_id: str, text: str, *, ms: int, done: bool = True) -> None:
        """Speaks: the words, and a tone of this length."""
        self.send("reply.started", reply_id=reply_id, item_id=f"msg_{reply_id}")
        for word in text.split():
            self.send("transcript.agent.delta", reply_id=reply_id, delta=word)
        for data in tone(ms):
            self.send("reply.audio", reply_id=reply_id, data=data)
        if done:
            self.send("transcript.agent", reply_id=reply_id, text=text)
            self.send("reply.done", reply_id=reply_id, status="completed")

    def interrupt(self, reply_id: str, heard: str) -> None:
        """Interrupts a reply as a service does when the caller speaks."""
        self.send("input.speech.started")
        self.send("transcript.agent", reply_id=reply_id, text=heard, interrupted=True)
        self.send("reply.done", reply_id=reply_id, status="interrupted")


def tone(ms: int) -> list[str]:
    """Returns a tone of 330 Hz in pieces of 50 ms, as the wire has them."""
    pieces = []
    for start in range(0, 24 * ms, 1200):
        length = min(1200, 24 * ms - start)
        samples = array(
            "h",
            (
                round(9000 * math.sin(2 * math.pi * 330 * (start + k) / 24000))
                for k in range(length)
            ),
        )
        pieces.append(base64.b64encode(samples.tobytes()).decode())
    return pieces


class Host:
    """The server behind the relay. `refusal` is what the token request is answered."""

    def __init__(self) -> None:
        self.connections: queue.Queue[Connection] = queue.Queue()
        self.refusal: tuple[int, Mapping[str, Any]] | None = None
        self.tokens: list[Mapping[str, str]] = []  # the queries of token requests
        self.is_reachable = True
        self.accepts_sockets = True  # otherwise, an upgrade is refused by HTTP
        self.port = 0  # of the relay
        self._relayed: set[asyncio.Transport | asyncio.WriteTransport] = set()
        self._loop = asyncio.new_event_loop()
        self._server = uvicorn.Server(
            uvicorn.Config(
                self._application(),
                log_level="warning",
                ws="websockets-sansio",
                lifespan="off",
            )
        )
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._started = threading.Event()

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    @property
    def foreign_url(self) -> str:
        """The same server under another origin."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Host:
        self._thread.start()
        assert self._started.wait(SECONDS)
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = True
        self._server.force_exit = True
        self.cut()
        self._thread.join(SECONDS)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine on the loop of the server."""
        future: Future[T] = asyncio.run_coroutine_threadsafe(work, self._loop)
        return future.result(SECONDS)

    def connection(self) -> Connection:
        """Returns the next connection of a client."""
        return self.connections.get(timeout=SECONDS)

    def cut(self) -> None:
        """Aborts all connections."""

        async def abort() -> None:
            for each in list(self._relayed):
                each.abort()

        self.run(abort())

    # ------------------------------------------------------------------- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        # It listens before the server runs, so nothing has to wait for that.
        listener = socket.create_server(("127.0.0.1", 0))
        inner = listener.getsockname()[1]
        serving = asyncio.create_task(self._server.serve([listener]))
        relay = await asyncio.start_server(
            lambda reader, writer: self._relay(reader, writer, inner), "127.0.0.1", 0
        )
        self.port = relay.sockets[0].getsockname()[1]
        self._started.set()
        await serving
        relay.close()

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int
    ) -> None:
        if not self.is_reachable:
            writer.transport.abort()
            return
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        transports = {writer.transport, inner_writer.transport}
        self._relayed |= transports
        await asyncio.gather(pipe(reader, inner_writer), pipe(inner_reader, writer))
        self._relayed -= transports

    # -------------------------------------------------------------- the application

    def _application(self) -> Starlette:
        routes = [
            Route("/v1/token", self._token),
            Route("/v1/agents", self._agents),
            Route("/v1/agents/{agent}", self._agent),
            WebSocketRoute("/v1/ws", self._socket),
            Route("/", self._list),
            Route("/{name}", self._file),
        ]
        pages = [
            Route("/site/token", self._site_token),
            Route("/site/caller", self._site_caller),
            Route("/site/caller.js", self._site_caller_script),
            Route("/site/blank", lambda _: Response("", media_type="text/html")),
            Route("/site/{name}", self._site),
        ]
        return Starlette(routes=[*pages, Mount("/voice", routes=routes), *routes])

    async def _list(self, request: Request) -> Response:
        return serve(PAGE / "index.html")

    async def _file(self, request: Request) -> Response:
        """Serves a file of the page; every other name is the page of an agent."""
        path = PAGE / request.path_params["name"]
        return serve(path if path.is_file() else PAGE / "page.html")

    async def _site(self, request: Request) -> Response:
        """Serves a page of another site that embeds the widget."""
        attributes = request.query_params.get("attributes", 'data-agent="support"')
        text = (
            "<!doctype html><html lang=en>"
            "<meta name=viewport content=width=device-width>"
            "<style>button,p,div{color:red;font:40px serif}</style>"
            "<title>Shop</title><body><h1>Shop</h1><p>Something to buy.</p>"
            f'<script src="{self.url}/widget.js" {attributes} async></script>'
        )
        return Response(text, media_type="text/html")

    async def _site_token(self, request: Request) -> Response:
        """Mints a token, as the backend of another site does."""
        return JSONResponse({"token": "from_the_site"})

    async def _site_caller(self, request: Request) -> Response:
        text = '<script type="module" src="/site/caller.js"></script>'
        return Response(text, media_type="text/html")

    async def _site_caller_script(self, request: Request) -> Response:
        """A page of another site that calls at once, without a click."""
        text = f"""
        import {{ createCall }} from "{self.url}/call.js";
        window.errors = [];
        createCall({{
          agent: "support",
          microphone: false,
          onError: ({{ code }}) => window.errors.push(code),
          onPlayback: ({{ playedMs }}) => (window.played = playedMs),
        }});
        """
        return Response(text, media_type="text/javascript")

    async def _token(self, request: Request) -> Response:
        headers = {"Access-Control-Allow-Origin": "*"}
        self.tokens.append(dict(request.query_params))
        if self.refusal is not None:
            status, body = self.refusal
            return JSONResponse(body, status, headers)
        address = request.url.replace(scheme="ws", path=request.url.path[:-5] + "ws")
        body = {
            "token": f"token_{len(self.tokens)}",
            "expires_in_seconds": 60,
            "url": str(address.replace(query="")),
        }
        return JSONResponse(body, headers=headers)

    async def _agents(self, request: Request) -> Response:
        agents = [
            {"agent_id": "support", "name": "Support", "show_tools": True},
            {"agent_id": "booking", "name": "Booking", "show_tools": False},
        ]
        return JSONResponse({"agents": agents})

    async def _agent(self, request: Request) -> Response:
        agent = request.path_params["agent"]
        headers = {"Access-Control-Allow-Origin": "*"}
        if agent == "missing":
            body = {"code": "agent_not_found", "message": "no agent 'missing'"}
            return JSONResponse(body, 404, headers)
        found = {"agent_id": agent, "name": agent.title(), "show_tools": True}
        return JSONResponse(found, headers=headers)

    async def _socket(self, websocket: WebSocket) -> None:
        if not self.accepts_sockets:
            await websocket.close()
            return
        await websocket.accept()
        connection = Connection(self, websocket)
        self.connections.put(connection)
        try:
            while True:
                connection.put(json.loads(await websocket.receive_text()))
        except (WebSocketDisconnect, RuntimeError):
            connection.closed.set()


def serve(path: Path) -> Response:
    """Serves a file as the host does: with its policy, and for other origins, too."""
    headers = {"Content-Security-Policy": CSP, "Access-Control-Allow-Origin": "*"}
    return Response(path.read_bytes(), headers=headers, media_type=TYPES[path.suffix])


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copies bytes until one side is closed."""
    try:
        while data := await reader.read(65536):
            writer.write(data)
    except OSError:
        pass
    finally:
        writer.close()
