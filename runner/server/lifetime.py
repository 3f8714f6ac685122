"""How long a server serves: until Ctrl-C, or until the process that owns it is gone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading

from runner.server.journal import Report
from runner.service.app import EmbeddedServer


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
