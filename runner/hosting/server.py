"""Runs the server of hosted agents: listens, and leaves without cutting calls."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FrameType
from typing import Any

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from runner.errors import TransportError, counted, os_error_text
from runner.hosting.asgi import MAX_MESSAGE_BYTES, HostingApp
from runner.hosting.host import CallHost

# A connection that sends no complete request for this long, at most twice, is closed.
_REQUEST_SECONDS = 10.0
_KEEP_ALIVE_SECONDS = 15
_PING_SECONDS = 20.0
# Time for answers and close frames to be sent, once no call is left.
_SHUTDOWN_SECONDS = 5
_INTERRUPTED = 130  # 128 + SIGINT, the convention of shells
_MAX_FILES = 65_536


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where the server listens, and how long it waits for calls when it leaves."""

    host: str = "127.0.0.1"
    port: int = 8080
    leave_after: float = 1_800.0  # seconds
    reload: bool = False


def listen(host: str, port: int) -> socket.socket:
    """Returns a listening socket; port 0 selects a free port.

    Raises:
        TransportError: the address is not available.
    """
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        with contextlib.ExitStack() as stack:
            stack.callback(listener.close)
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((host, port))
            listener.listen(1_024)
            stack.pop_all()
        return listener
    except (OSError, OverflowError) as error:
        text = os_error_text(error) if isinstance(error, OSError) else str(error)
        raise TransportError(
            f"cannot listen on {host}:{port}: {text}",
            hint="choose another port with --port; --port 0 takes a free one",
        ) from error


def address_of(listener: socket.socket) -> str:
    """Returns the HTTP address of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


async def serve(
    app: HostingApp,
    listener: socket.socket,
    options: ServerOptions,
    notice: Callable[[str], None],
    ready: Callable[[CallHost, str], None],
) -> None:
    """Serves until a signal asks the process to leave and its calls have ended.

    `ready` is called once the agents are loaded.

    Raises:
        VagentError: an agent cannot be loaded, or its service does not start.
    """
    _allow_many_files()
    preparing = asyncio.current_task()
    with _handle_signals() as signals:
        if preparing is not None:
            signals.on_signal = preparing.cancel
        async with app.lifespan():
            server = _Server(_configure(app))
            leaving = _Leaving(app.host, server, options.leave_after, notice)
            signals.on_signal = leaving.begin
            tasks: list[asyncio.Task[None]] = []
            if options.reload:
                tasks.append(asyncio.create_task(app.host.agents.watch()))
            ready(app.host, address_of(listener))
            try:
                await server.serve(sockets=[listener])
            finally:
                # After a cancellation, uvicorn has not closed them.
                for each in getattr(server, "servers", ()):
                    each.close()
                for task in (*tasks, *leaving.tasks):
                    task.cancel()
                await asyncio.gather(*tasks, *leaving.tasks, return_exceptions=True)


class _Server(uvicorn.Server):
    """A server whose signals are handled by `serve`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Leaving:
    """Leaves at the first signal; ends the calls at the second.

    uvicorn closes every socket when it exits, so that must not begin before the calls
    have ended.
    """

    def __init__(
        self,
        host: CallHost,
        server: uvicorn.Server,
        wait_seconds: float,
        notice: Callable[[str], None],
    ) -> None:
        self.tasks: list[asyncio.Task[None]] = []
        self._host = host
        self._server = server
        self._wait_seconds = wait_seconds
        self._notice = notice

    def begin(self) -> None:
        """Called on the event loop for each signal."""
        number = len(self.tasks)
        if number == 0:
            live = len(self._host.live)
            if live:
                self._notice(
                    f"leaving: no new calls; {counted(live, 'call')} may last "
                    f"{self._wait_seconds:g} s more; a second signal ends them"
                )
            self._start(self._host.leave(self._wait_seconds))
        elif number == 1:
            self._notice("ending all calls")
            self._start(self._host.end_all())
        else:
            os._exit(_INTERRUPTED)

    def _start(self, work: Any) -> None:
        async def leave() -> None:
            await work
            self._server.should_exit = True

        self.tasks.append(asyncio.create_task(leave()))


class _HttpProtocol(H11Protocol):
    """Closes connections that do not send a complete request.

    uvicorn itself waits forever, so that idle connections would use up all files.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # narrower, as in uvicorn
        super().connection_made(transport)
        self._was_idle_in: Any = None
        self.loop.call_later(_REQUEST_SECONDS, self._check)

    def _check(self) -> None:
        if self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        is_waiting = self.conn.their_state in (h11.IDLE, h11.SEND_BODY)
        if is_waiting and self._was_idle_in == (self.cycle, self.conn.their_state):
            self.transport.abort()
            return
        state = (self.cycle, self.conn.their_state)
        self._was_idle_in = state if is_waiting else None
        self.loop.call_later(_REQUEST_SECONDS, self._check)


def _configure(app: HostingApp) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        http=_HttpProtocol,
        ws="websockets-sansio",
        ws_max_size=MAX_MESSAGE_BYTES,
        ws_ping_interval=_PING_SECONDS,
        ws_ping_timeout=_PING_SECONDS,
        # Base64 of audio does not compress; trying costs time.
        ws_per_message_deflate=False,
        lifespan="off",
        log_config=None,
        log_level=logging.CRITICAL,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
    )


@dataclass(slots=True)
class _Signals:
    on_signal: Callable[[], object] = lambda: None


@contextlib.contextmanager
def _handle_signals() -> Iterator[_Signals]:
    """Calls `on_signal` on the event loop for SIGINT and SIGTERM."""
    signals = _Signals()
    loop = asyncio.get_running_loop()

    def handle(number: int, frame: FrameType | None) -> None:
        del number, frame
        loop.call_soon_threadsafe(lambda: signals.on_signal())

    numbers = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield signals
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)


def _allow_many_files() -> None:
    """Raises the limit of open files as far as the system allows."""
    if sys.platform == "win32":
        return
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MAX_FILES if hard == resource.RLIM_INFINITY else min(hard, _MAX_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
