"""An event loop whose clock jumps: what takes an hour of waiting takes no time.

When nothing is ready to run, the clock goes to the next timer at once instead of
sleeping until then. What happens in real life meanwhile, in a thread or behind a
socket, takes no time on this clock: as long as `real_work` goes on, it stands still.
The same program therefore sees the same times, whatever the machine is busy with.
"""

from __future__ import annotations

import asyncio
import contextlib
import selectors
import time
from collections.abc import Coroutine, Iterator
from typing import Any, TypeVar

T = TypeVar("T")

# The clock's first time; far from zero, which a forgotten default would equal.
EPOCH = 1_000.0
# Real work that takes longer than this hangs: from then on timers fire in spite of it,
# so that its own timeout can end it.
PATIENCE_SECONDS = 20.0


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """A loop on virtual time, for one program that waits on nothing outside.

    With no timer set it waits for its sockets and threads, as any loop does.
    """

    def __init__(self) -> None:
        self._virtual_now = EPOCH
        self._still = 0  # real works that take no time on this clock
        self._stuck_since = 0.0
        self._paced = 0  # real works that take as long as they take
        self._anchor = (0.0, 0.0)  # real and virtual time when the first of them began
        super().__init__(_Jumping(selectors.DefaultSelector(), self))

    def time(self) -> float:
        """Return the virtual time in seconds."""
        return self._virtual_now

    @contextlib.contextmanager
    def real_work(self, *, paced: bool = False) -> Iterator[None]:
        """Keep the clock still: something that is awaited goes on in real life.

        With `paced` it goes on with real time instead, for work that waits on this
        loop's timers itself.
        """
        if paced:
            if not self._paced:
                self._anchor = (time.monotonic(), self._virtual_now)
            self._paced += 1
        else:
            self._still += 1
            self._stuck_since = time.monotonic()
        try:
            yield
        finally:
            if paced:
                self._paced -= 1
            else:
                self._still -= 1

    def pass_time(self) -> float | None:
        """Let the clock jump if it may; else return how long to wait in real life."""
        due = self._next_timer()
        if self._still:
            left = self._stuck_since + PATIENCE_SECONDS - time.monotonic()
            if left > 0:
                return left
        if self._paced:
            began, then = self._anchor
            left = (due - then) - (time.monotonic() - began)
            if left > 0:
                return left
        # The timer's own time, not a sum of many steps that were rounded each.
        self._virtual_now = max(self._virtual_now, due)
        return None

    def _next_timer(self) -> float:
        # The loop has just asked to sleep until this one; there is no public way.
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # of BaseEventLoop, untyped
        return scheduled[0].when() if scheduled else self._virtual_now


class _Jumping(selectors.BaseSelector):
    """Looks at real file descriptors without sleeping, and lets the clock jump."""

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
    """Run a program to its end on virtual time, in a loop of its own."""
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(program)


@contextlib.contextmanager
def real_work(*, paced: bool = False) -> Iterator[None]:
    """As `VirtualTimeLoop.real_work` on the running loop; on any other, nothing."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualTimeLoop):
        with loop.real_work(paced=paced):
            yield
    else:
        yield
