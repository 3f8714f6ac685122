"""Lines of standard input as they come, without holding the event loop up."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import AsyncIterator


def is_terminal() -> bool:
    """Whether stdin is a terminal, so that a person may type."""
    return sys.stdin is not None and not sys.stdin.closed and sys.stdin.isatty()


def is_in_foreground() -> bool:
    """Whether the terminal's keyboard is this process's to read.

    A job in the background that reads from its terminal is stopped by the system.
    """
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(sys.stdin.fileno()) == os.getpgrp()
    except OSError:  # not the terminal of this session: nobody stops us
        return True


async def typed_lines() -> AsyncIterator[str]:
    """Yield what is typed or piped in, line by line, leaving out empty lines.

    A daemon thread reads, because a blocking read of a terminal can be ended neither by
    cancelling nor by closing; it must not hold the exit up.
    """
    loop = asyncio.get_running_loop()
    lines: asyncio.Queue[str | None] = asyncio.Queue()

    def put(line: str | None) -> None:
        try:
            loop.call_soon_threadsafe(lines.put_nowait, line)
        except RuntimeError:  # the loop is closed: the call is over
            sys.exit()

    def read() -> None:
        try:
            for line in sys.stdin or ():
                put(line)
        except (OSError, ValueError):  # closed under our hands: the input is over
            pass
        put(None)

    threading.Thread(target=read, name="keyboard", daemon=True).start()
    while (line := await lines.get()) is not None:
        if text := line.strip():
            yield text
