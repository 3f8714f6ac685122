"""Threads for the speech models, so that they do not block the event loop."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from runner.errors import SpeechError
from runner.speech.interfaces import Cancelled

T = TypeVar("T")


class Workers:
    """A thread pool, shared by all sessions of a server."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="vagent-speech")

    async def run(self, task: str, function: Callable[[], T]) -> T:
        """Runs a function in a thread and returns its result.

        Raises SpeechError if it fails; the message begins with `task`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _guarded, task, function)

    def stream(
        self, task: str, produce: Callable[[Cancelled], Iterator[T]]
    ) -> Stream[T]:
        """Runs a generator in a thread; the stream yields its items as they come."""
        stream: Stream[T] = Stream(asyncio.get_running_loop())
        self._pool.submit(stream.fill, task, produce)
        return stream

    def close(self) -> None:
        """Drops waiting tasks; the owner of a running task cancels it."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Stream(Generic[T]):
    """The items of a generator in a thread, as an asynchronous iterator."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[T | SpeechError | None] = asyncio.Queue()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stops the generator the next time it polls for cancellation."""
        self._cancelled.set()

    def fill(self, task: str, produce: Callable[[Cancelled], Iterator[T]]) -> None:
        """Runs the generator until it ends or is cancelled. Call in the thread."""

        def drain() -> None:
            for item in produce(self._cancelled.is_set):
                if self._cancelled.is_set():
                    break
                self._put(item)

        try:
            _guarded(task, drain)
        except SpeechError as error:
            self._put(error)
        else:
            self._put(None)

    def _put(self, item: T | SpeechError | None) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:
            # The loop is closed: the server has stopped.
            self._cancelled.set()

    async def __aiter__(self) -> AsyncIterator[T]:
        while (item := await self._queue.get()) is not None:
            if isinstance(item, SpeechError):
                raise item
            yield item


def _guarded(task: str, function: Callable[[], T]) -> T:
    try:
        return function()
    except SpeechError:
        raise
    # Engines are native code with exceptions of their own; one fails this task, and
    # must neither end the session nor print a traceback.
    except Exception as error:
        raise SpeechError(f"{task} failed: {type(error).__name__}: {error}") from error
