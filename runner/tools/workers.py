"""Threads for plain functions: bounded, replaced when one hangs, no burden at exit.

`concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter ends, so
that one hung function would hold up the exit for ever. These are daemon threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


class TooManyHung(Exception):
    """So many functions hang that no further thread is given to them."""


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    function: Callable[[], T]
    future: Future[T] = field(default_factory=Future)
    is_running: bool = False
    is_abandoned: bool = False


class Workers:
    """Runs functions on at most `size` threads; the registry is its only caller.

    A function that is given up keeps its thread, which is counted in `hung` and
    replaced; at `hung_limit` of them no further function is begun.
    """

    def __init__(self, size: int, *, hung_limit: int = 32) -> None:
        self._size = size
        self._hung_limit = hung_limit
        self._changed = threading.Condition()
        self._waiting: deque[_Job[Any]] = deque()
        self._threads = 0  # without the hung ones
        self._idle = 0
        self._hung = 0
        self._closed = False

    @property
    def hung(self) -> int:
        """How many functions were given up and still run."""
        return self._hung

    async def run(self, function: Callable[[], T]) -> T:
        """Run `function` in a thread; when cancelled, leave it to itself.

        `function` must not raise: what it has to tell, it returns. Raises
        `TooManyHung` at once when too many hang.
        """
        job = _Job(function)
        self._begin(job)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def close(self) -> None:
        """Let idle threads end; those that hang end when their function does."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _begin(self, job: _Job[Any]) -> None:
        with self._changed:
            if self._closed:
                raise RuntimeError("the workers are closed")
            if self._hung >= self._hung_limit:
                raise TooManyHung
            self._waiting.append(job)
            self._staff()
            self._changed.notify()

    def _staff(self) -> None:
        """Start a thread if work waits that no idle one will take; under the lock."""
        if self._threads < self._size and len(self._waiting) > self._idle:
            self._threads += 1
            thread = threading.Thread(
                target=self._work, name="vagent-tool", daemon=True
            )
            thread.start()

    def _abandon(self, job: _Job[Any]) -> None:
        with self._changed:
            if not job.is_running:
                if job in self._waiting:
                    self._waiting.remove(job)
                return
            job.is_abandoned = True
            self._hung += 1
            self._threads -= 1
            self._staff()

    def _work(self) -> None:
        while (job := self._next_job()) is not None:
            if not job.is_running:
                continue  # cancelled while it waited
            result = job.function()
            with self._changed:
                job.is_running = False
                if job.is_abandoned:
                    self._hung -= 1
                    return
            job.future.set_result(result)

    def _next_job(self) -> _Job[Any] | None:
        with self._changed:
            self._idle += 1
            self._changed.wait_for(lambda: self._waiting or self._closed)
            self._idle -= 1
            if not self._waiting:
                self._threads -= 1
                return None
            job = self._waiting.popleft()
            job.is_running = job.future.set_running_or_notify_cancel()
            return job
