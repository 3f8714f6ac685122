"""A server of hosted agents on a free port, with a scripted service behind it."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import websockets

from runner.hosting.asgi import HostingApp
from runner.hosting.build import HostingOptions, build_app
from runner.hosting.call import HostedCall
from runner.hosting.host import CallHost
from runner.hosting.limits import Limits
from runner.hosting.server import ServerOptions, address_of, listen, serve
from runner.service.app import LocalService
from runner.speech.interfaces import (
    AgentContext,
    HistoryMessage,
    ModelOutput,
    TextChunk,
    ToolCallRequest,
    ToolMessage,
    UserMessage,
)
from tests.service.client import Client
from tests.service.scripted import ScriptedSpeech, whistle

ORDER, STOP = 500.0, 1500.0
LINES = {ORDER: "Where is my order?", STOP: "Stop that now, please."}
AGENT = """\
version: 1
name: support
prompt: "Help {name}."
greeting: "Hello."
tools:
  - python: tools/orders.py:look
"""
TOOL = '''\
def look(at: str) -> str:
    """Look something up."""
    return f"{at} is in the warehouse"
'''


def decide(
    context: AgentContext, history: Sequence[HistoryMessage]
) -> Iterable[ModelOutput]:
    match history[-1]:
        case UserMessage(text="Where is my order?") if context.tools:
            yield ToolCallRequest("look", {"at": "it"})
        case UserMessage(text="prompt"):
            yield TextChunk(context.prompt)
        case UserMessage(text="long"):
            yield TextChunk("This answer is long. " * 12)
        case ToolMessage(result=str(result)):
            yield TextChunk(f"The result is {json.loads(result)}.")
        case UserMessage(text=text):
            yield TextChunk(f"You said {text}")
        case other:
            yield TextChunk(f"{type(other).__name__}.")


def write_agent(folder: Path, text: str = AGENT, name: str = "support") -> Path:
    """Writes an agent file and its tool."""
    (folder / "tools").mkdir(exist_ok=True)
    (folder / "tools" / "orders.py").write_text(TOOL, "utf-8")
    path = folder / f"{name}.yaml"
    path.write_text(text.replace("{name}", "the caller"), "utf-8")
    return path


@dataclass
class Hosted:
    """A running server; `log` are its lines."""

    app: HostingApp
    address: str
    log: list[str] = field(default_factory=list)
    serving: asyncio.Task[None] | None = None

    @property
    def host(self) -> CallHost:
        return self.app.host

    @property
    def socket(self) -> str:
        return self.address.replace("http:", "ws:") + "/v1/ws"

    async def empty(self) -> None:
        """Returns once no session is left."""
        while self.host.calls:  # noqa: ASYNC110 - the host has no event for tests
            await asyncio.sleep(0.01)

    @contextlib.asynccontextmanager
    async def client(self, query: str = "", **options: Any) -> AsyncIterator[Client]:
        # Without a limit, a client that does not read still sees the close.
        connecting = websockets.connect(self.socket + query, max_queue=None, **options)
        async with connecting as socket:
            yield Client(socket)


@contextlib.asynccontextmanager
async def hosting(
    agents: Sequence[Path],
    *,
    speech: ScriptedSpeech | None = None,
    service: str | None = None,
    change: Any = None,
    server: Mapping[str, Any] | None = None,
    calls: int | None = None,
    **options: Any,
) -> AsyncIterator[Hosted]:
    """Hosts agents; `change` is called with the application before it is opened."""
    lines: list[str] = []

    def log(text: str, call: HostedCall | None) -> None:
        lines.append(text)

    ready = asyncio.Event()
    async with asyncio.timeout(30), contextlib.AsyncExitStack() as stack:
        if service is None:
            far = LocalService(speech or ScriptedSpeech(LINES, decide))
            service = (await stack.enter_async_context(far)).url
        options.setdefault("limits", Limits(calls=calls))
        app = build_app(HostingOptions(agents, service=service, **options), {}, log)
        if change is not None:
            change(app)
        listener = stack.enter_context(listen("127.0.0.1", 0))
        hosted = Hosted(app, address_of(listener), lines)
        running = serve(
            app,
            listener,
            ServerOptions(**(server or {})),
            lines.append,
            lambda host, address: ready.set(),
        )
        hosted.serving = asyncio.create_task(running)
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait(
            (hosted.serving, waiting), return_when=asyncio.FIRST_COMPLETED
        )
        waiting.cancel()
        if hosted.serving.done():
            await hosted.serving
        try:
            yield hosted
        finally:
            hosted.serving.cancel()
            await asyncio.gather(hosted.serving, return_exceptions=True)


def sentence(pitch: float, seconds: float = 0.6) -> bytes:
    """Returns a line of the caller, with silence around it."""
    return bytes(9_600) + whistle(pitch, seconds) + bytes(48_000)
