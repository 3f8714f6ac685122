"""Event loops and processes whose end does not wait for what a tool left behind.

`asyncio.run` waits without a limit for a task that swallows its cancellation and for
each thread of `asyncio.to_thread`, and Python itself for each thread that is not a
daemon. A tool that hangs would keep `vagent` alive after the call.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Self, TypeVar

T = TypeVar("T")

# Time for the cleanup of tasks that still run when the program has returned.
_CLEANUP_SECONDS = 0.5
# Time for the exit handlers of Python, of libraries and of tools.
_EXIT_SECONDS = 1.0


class DaemonExecutor(ThreadPoolExecutor):
    """Runs each function in a daemon thread of its own; nothing waits for its end.

    A subclass, because asyncio accepts no other executor as its default. It is used for
    `asyncio.to_thread` and for looking up host names.
    """

    def submit(
        self, function: Callable[..., T], /, *args: Any, **kwargs: Any
    ) -> Future[T]:
        """Starts the function in a new thread."""
        future: Future[T] = Future()
        job = partial(_run_job, future, partial(function, *args, **kwargs))
        threading.Thread(target=job, name="vagent-worker", daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Returns at once."""


def _run_job(future: Future[T], function: Callable[[], T]) -> None:
    if not future.set_running_or_notify_cancel():
        return
    try:
        result = function()
    except BaseException as error:  # the waiting task gets it
        future.set_exception(error)
    else:
        future.set_result(result)


class LoopRunner:
    """An `asyncio.Runner` that closes within a second; a context manager."""

    def __init__(
        self, loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None
    ) -> None:
        self._runner = asyncio.Runner(loop_factory=loop_factory)

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._runner.get_loop().set_default_executor(DaemonExecutor())
        return self

    def __exit__(self, *exception: object) -> None:
        """Closes the loop; tasks that do not end when cancelled are abandoned."""
        _end_tasks(self._runner.get_loop())
        self._runner.close()

    def run(self, program: Coroutine[Any, Any, T]) -> T:
        """Runs a coroutine to its end and returns its result."""
        return self._runner.run(program)


def run_async(
    program: Coroutine[Any, Any, T],
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> T:
    """Runs a program in a new event loop that closes within a second."""
    with LoopRunner(loop_factory) as runner:
        return runner.run(program)


def _end_tasks(loop: asyncio.AbstractEventLoop) -> None:
    tasks = asyncio.all_tasks(loop)
    if not tasks:
        return
    for task in tasks:
        task.cancel()
    _, pending = loop.run_until_complete(asyncio.wait(tasks, timeout=_CLEANUP_SECONDS))
    if not pending:
        return
    # asyncio reports each of them when it is deleted.
    loop.set_exception_handler(lambda loop, context: None)
    for task in pending:
        # Without this, the runner waits for it forever.
        asyncio._unregister_task(task)
        coroutine = task.get_coro()
        if coroutine is not None:
            # It may await again in its cleanup, or be the one that runs.
            with contextlib.suppress(RuntimeError, ValueError):
                coroutine.close()


def exit_soon(code: int) -> None:
    """Ends the process with `code` if Python's own exit takes longer than a second.

    Python waits for threads and processes that a tool has started. The caller exits the
    ordinary way afterwards.
    """

    def end() -> None:
        time.sleep(_EXIT_SECONDS)
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(Exception):
                stream.flush()
        os._exit(code)

    threading.Thread(target=end, name="vagent-exit", daemon=True).start()
