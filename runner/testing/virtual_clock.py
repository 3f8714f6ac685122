"""An event loop on virtual time: waiting takes no real time.

When nothing is ready to run, the clock goes to the next timer at once instead of
sleeping until then. Work in a thread or behind a socket takes no virtual time: the
clock is stopped during `real_work`. The same program therefore sees the same times,
independent of the load of the machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

from runner.event_loop import run_async

T = TypeVar("T")

# The first time of the clock; not zero, which could be a forgotten default.
EPOCH = 1_000.0
# After this time, or the work's own limit if it is lower, real work counts as hanging:
# timers fire again, so that its own timeout can end it.
MAX_REAL_WORK_SECONDS = 20.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, for a program without external inputs.

    Without a timer it waits for its sockets and threads, like any loop.
    """

    def __init__(self) -> None:
        self._virtual_now = EPOCH
        self._still = 0  # count of real work that takes no virtual time
        self._still_until = 0.0  # real time
        self._paced = 0  # count of real work that takes its real time
        self._anchor = (0.0, 0.0)  # real and virtual time when the first of them began
        super().__init__(_VirtualSelector(selectors.DefaultSelector(), self))

    def time(self) -> float:
        """Returns the virtual time in seconds."""
        return self._virtual_now

    @contextlib.contextmanager
    def real_work(
        self, *, paced: bool = False, seconds: float = MAX_REAL_WORK_SECONDS
    ) -> Iterator[None]:
        """Stops the clock during work in a thread or behind a socket, for `seconds`.

        With `paced` it follows real time instead, for work that itself waits on timers
        of this loop.
        """
        if paced:
            if not self._paced:
                self._anchor = (time.monotonic(), self._virtual_now)
            self._paced += 1
        else:
            self._still += 1
            until = time.monotonic() + min(seconds, MAX_REAL_WORK_SECONDS)
            self._still_until = max(self._still_until, until)
        try:
            yield
        finally:
            if paced:
                self._paced -= 1
            else:
                self._still -= 1

    def pass_time(self) -> float | None:
        """Lets the clock jump if possible; else returns the real seconds to wait."""
        due = self._next_timer()
        if self._still:
            left = self._still_until - time.monotonic()
            if left > 0:
                return left
        if self._paced:
            began, then = self._anchor
            left = (due - then) - (time.monotonic() - began)
            if left > 0:
                return left
        # The exact time of the timer, not a sum of rounded steps.
        self._virtual_now = max(self._virtual_now, due)
        return None

    def _next_timer(self) -> float:
        # asyncio has no public access to the next timer.
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # of BaseEventLoop, untyped
        return scheduled[0].when() if scheduled else self._virtual_now


class _VirtualSelector(selectors.BaseSelector):
    """Polls the real selector without sleeping, and lets the clock jump."""

    def __init__(self, real: selectors.BaseSelector, loop: VirtualTimeLoop) -> None:
        self._real = real
        self._loop = loop

    def select(
        self, timeout: float | None = None
    ) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= 0:
            return self._real.select(timeout)
        ready = self._real.select(0)
        if ready:
            return ready
        wait = self._loop.pass_time()
        return ready if wait is None else self._real.select(wait)

    def register(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return self._real.register(fileobj, events, data)

    def unregister(self, fileobj: Any) -> Any:
        return self._real.unregister(fileobj)

    def modify(self, fileobj: Any, events: int, data: Any = None) -> Any:
        return self._real.modify(fileobj, events, data)

    def get_map(self) -> Any:
        return self._real.get_map()

    def close(self) -> None:
        self._real.close()


def run_virtually(program: Coroutine[Any, Any, T]) -> T:
    """Runs a program on virtual time in its own loop; returns its result."""
    return run_async(program, VirtualTimeLoop)


@contextlib.contextmanager
def real_work(
    *, paced: bool = False, seconds: float = MAX_REAL_WORK_SECONDS
) -> Iterator[None]:
    """Calls `VirtualTimeLoop.real_work` if the running loop has virtual time."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        with loop.real_work(paced=paced, seconds=seconds):
            yield
    else:
        yield
