"""The thread to which PortAudio belongs.

The library is not made for several threads, and on Windows what it holds belongs to the
one that first used it (COM). Away from the loop, because opening takes some 10 ms, a
look at what is plugged in up to half a second, and a call to a sound server that hangs
half a minute: a conversation goes on meanwhile.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future
from queue import SimpleQueue
from threading import Thread
from typing import Protocol, TypeVar

_T = TypeVar("_T")
_Job = Callable[[], None]


class Worker(Protocol):
    """Does PortAudio's work somewhere; tests give one that does it at once."""

    async def run(self, work: Callable[[], _T]) -> _T: ...

    def stop(self, last: Callable[[], None] | None = None) -> None: ...


class AudioWorker:
    """Does what it is given, one after another; made by whoever opens a sound card.

    The thread begins with the first job. It is a daemon: a device that hangs keeps
    nobody from leaving.
    """

    def __init__(self) -> None:
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread: Thread | None = None

    async def run(self, work: Callable[[], _T]) -> _T:
        """Return what `work` returns, or raise what it raises.

        Giving up the wait does not stop the work: what is asked next waits for its end.
        """
        if self._thread is None:
            self._thread = Thread(target=self._serve, name="portaudio", daemon=True)
            self._thread.start()
        outcome: Future[_T] = Future()

        def job() -> None:
            # Nobody waits any more: done all the same, since later jobs build on it.
            is_awaited = outcome.set_running_or_notify_cancel()
            try:
                result = work()
            except (
                BaseException
            ) as error:  # whatever it is, the awaiting side raises it
                if is_awaited:
                    outcome.set_exception(error)
            else:
                if is_awaited:
                    outcome.set_result(result)

        self._jobs.put(job)
        return await asyncio.wrap_future(outcome)

    def stop(self, last: Callable[[], None] | None = None) -> None:
        """Let the thread end once all that it was given is done, `last` at the end."""
        if self._thread is not None:
            if last is not None:
                self._jobs.put(last)
            self._jobs.put(None)
            self._thread = None

    def _serve(self) -> None:
        _enter_com()
        while (job := self._jobs.get()) is not None:
            job()


def _enter_com() -> None:
    """Let this thread use Windows' sound system, if another one loaded PortAudio."""
    if sys.platform == "win32":
        import ctypes

        ctypes.windll.ole32.CoInitializeEx(None, 0)  # 0: no window, so multithreaded
