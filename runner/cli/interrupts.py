"""Ctrl-C: the first one ends politely, the second one leaves at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from types import FrameType

INTERRUPTED = 130  # 128 + SIGINT, as shells have it


@contextlib.contextmanager
def graceful_sigint(
    on_first: Callable[[], None], at_once: Callable[[], None] = lambda: None
) -> Iterator[None]:
    """Call `on_first` on the running loop at the first Ctrl-C.

    At the second the process is left at once with exit code 130, without cleaning up
    but for `at_once`: a hung tool or device must not hold up somebody who has asked
    twice. Works with
    `signal.signal`, since event loops on Windows know no signal handlers. SIGTERM is
    taken as a first Ctrl-C.
    """
    loop = asyncio.get_running_loop()
    asked = False

    def interrupt(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        del frame
        if asked:
            at_once()
            os._exit(INTERRUPTED)
        asked = number == signal.SIGINT
        loop.call_soon_threadsafe(on_first)

    before = {
        number: signal.signal(number, interrupt)
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
