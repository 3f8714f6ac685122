"""The threads in which models work, so that the event loop never waits for one."""

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
    """A bounded pool of threads; one for the whole server."""

    def __init__(self, count: int) -> None:
        self._pool = ThreadPoolExecutor(count, thread_name_prefix="vagent-speech")

    async def run(self, task: str, function: Callable[[], T]) -> T:
        """Return what the function returns.

        Raises:
            SpeechError: the function failed; the message begins with `task`.
        """
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._pool, _guarded, task, function)

    def stream(
        self, task: str, produce: Callable[[Cancelled], Iterator[T]]
    ) -> Stream[T]:
        """Start a producer in a thread and return its products as they come."""
        stream: Stream[T] = Stream(asyncio.get_running_loop())
        self._pool.submit(stream.fill, task, produce)
        return stream

    def close(self) -> None:
        """Take no more work; running work must be canceled by its owner."""
        self._pool.shutdown(wait=False, cancel_futures=True)


class Stream(Generic[T]):
    """What a thread produces, as an asynchronous iterator; `cancel` ends both."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._queue: asyncio.Queue[T | SpeechError | None] = asyncio.Queue()
        self._cancelled = threading.Event()

    def cancel(self) -> None:
        """Stop the producer at its next question."""
        self._cancelled.set()

    def fill(self, task: str, produce: Callable[[Cancelled], Iterator[T]]) -> None:
        """Produce until the end or the cancellation; runs in the thread."""

        def drain() -> None:
            for product in produce(self._cancelled.is_set):
                if self._cancelled.is_set():
                    break
                self._put(product)

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
            # The loop is gone: the server was stopped, so the item is discarded.
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
    # Engines are foreign native code with their own exceptions; whatever one throws
    # fails one piece of work, and must neither end a session nor show a traceback.
    except Exception as error:
        raise SpeechError(f"{task} failed: {type(error).__name__}: {error}") from error
