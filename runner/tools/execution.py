"""Runs tool code under a timeout; exceptions, SystemExit and hangs become values.

The result is `Finished` with the text for the model or `Failed` with the exception. All
exceptions of tools are caught here and nowhere else.
"""

from __future__ import annotations

import asyncio
import inspect
import sys
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Generator, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Generic, TextIO, TypeVar

T = TypeVar("T")

# Time that a cancelled tool has to clean up.
CLEANUP_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The tool returned; `text` is the JSON of its result."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The tool or the encoding of its result raised `error`."""

    error: BaseException


Ended = Finished | Failed
Encode = Callable[[object], str]


def call_plain(
    function: Callable[[], object], encode: Encode
) -> Ended | Awaitable[object]:
    """Runs a plain function in this thread; never raises.

    Returns an awaitable if the function does, such as a plain decorator around a
    coroutine function.
    """
    with tool_output():
        try:
            result = function()
            if inspect.isawaitable(result):
                return result
            return Finished(encode(result))
        except BaseException as error:  # also SystemExit; ^C never reaches a thread
            return Failed(error)


async def call_async(
    function: Callable[[], object], encode: Encode, seconds: float
) -> Ended:
    """Runs a coroutine function on this loop for at most `seconds`.

    Raises TimeoutError after that time. On timeout and on cancellation of the caller,
    the coroutine is cancelled and, after `CLEANUP_TIMEOUT_S`, closed.
    """
    abandonable: AbandonableTask[Ended] = AbandonableTask(_guard(function, encode))
    task = asyncio.ensure_future(abandonable.drive())
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
        if done:
            return task.result()
    finally:
        if not task.done():
            await _stop(task, abandonable)
    raise TimeoutError


async def _guard(function: Callable[[], object], encode: Encode) -> Ended:
    with tool_output():
        try:
            result = function()
            return Finished(
                encode(await result if inspect.isawaitable(result) else result)
            )
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return Failed(error)  # a cancelled task that the tool awaited
        except BaseException as error:
            # Libraries in other languages derive their panics from BaseException, and
            # SystemExit in a task would stop the event loop. A ^C that is raised here
            # ends the tool call that blocks the loop; the session handles the next one.
            # GeneratorExit, of an abandoned call or of the tool, may end in a value.
            return Failed(error)


async def _stop(task: asyncio.Task[Ended], abandonable: AbandonableTask[Ended]) -> None:
    task.cancel()
    try:
        await asyncio.wait({task}, timeout=CLEANUP_TIMEOUT_S)
    finally:
        if not task.done():
            abandonable.is_abandoned = True
            task.cancel()


class AbandonableTask(Generic[T]):
    """Runs a coroutine that can be closed even if it swallows its cancellation.

    `asyncio.run` waits forever for a task whose coroutine catches CancelledError and
    continues. Once `is_abandoned` is set, the next cancellation closes the coroutine
    instead of being thrown into it.
    """

    def __init__(self, coroutine: Coroutine[Any, Any, T]) -> None:
        self._coroutine = coroutine
        self.is_abandoned = False

    async def drive(self) -> T:
        return await self

    def __await__(self) -> Generator[Any, Any, T]:
        steps = self._coroutine.__await__()
        error: BaseException | None = None
        while True:
            try:
                waited_for = steps.send(None) if error is None else steps.throw(error)
            except StopIteration as stop:
                result: T = stop.value
                return result
            try:
                yield waited_for
                error = None
            except GeneratorExit:
                self._close()
                raise
            except (
                BaseException
            ) as thrown:  # thrown into the coroutine, as `await` does
                if self.is_abandoned:
                    self._close()
                    raise
                error = thrown

    def _close(self) -> None:
        try:
            self._coroutine.close()
        except RuntimeError:
            # It awaits again in its cleanup; without the task nothing resumes it.
            return


async def close_bounded(close: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Runs `close` for at most `CLEANUP_TIMEOUT_S`; returns the exception, if any."""

    def discard(_: object) -> str:
        return ""

    try:
        ended = await call_async(close, discard, CLEANUP_TIMEOUT_S)
    except TimeoutError as error:
        return error
    return ended.error if isinstance(ended, Failed) else None


# Worker threads for plain functions. `concurrent.futures.ThreadPoolExecutor` joins its
# threads at exit, so that one hung function would block the exit forever. These are
# daemon threads.


class TooManyHung(Exception):
    """Raised if the limit of hung functions is reached."""


@dataclass(slots=True, eq=False)
class _Job(Generic[T]):
    function: Callable[[], T]
    future: Future[T] = field(default_factory=Future)
    is_running: bool = False
    is_abandoned: bool = False


class Workers:
    """Runs functions on at most `size` threads.

    The thread of an abandoned function is counted in `hung` and replaced. With
    `max_hung` of them no further function is started.
    """

    def __init__(self, size: int, *, max_hung: int = 32) -> None:
        self._size = size
        self._max_hung = max_hung
        self._changed = threading.Condition()
        self._waiting: deque[_Job[Any]] = deque()
        self._threads = 0  # without the hung ones
        self._idle = 0
        self._hung = 0
        self._closed = False

    @property
    def hung(self) -> int:
        """The number of abandoned functions that still run."""
        return self._hung

    async def run(self, function: Callable[[], T]) -> T:
        """Runs `function` in a thread; abandon it on cancellation.

        `function` must not raise. Raises `TooManyHung` at the limit of hung functions.
        """
        job = _Job(function)
        self._submit(job)
        try:
            return await asyncio.wrap_future(job.future)
        except asyncio.CancelledError:
            self._abandon(job)
            raise

    def close(self) -> None:
        """Ends idle threads; a hung thread ends with its function."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _submit(self, job: _Job[Any]) -> None:
        with self._changed:
            if self._closed:
                raise RuntimeError("the workers are closed")
            if self._hung >= self._max_hung:
                raise TooManyHung
            self._waiting.append(job)
            self._start_thread_if_needed()
            self._changed.notify()

    def _start_thread_if_needed(self) -> None:
        """Starts a thread if no idle one is left for a job. Call with the lock."""
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
            self._start_thread_if_needed()

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


# Output of tools goes to stderr, because stdout carries the command's data.
# `contextlib.redirect_stdout` would redirect all other code too while a tool runs.
# Here `sys.stdout` is replaced by a stream that reads a context variable at each write;
# tasks and worker threads inherit it from the tool call. Bytes that a tool writes to
# file descriptor 1 (a child process) are not redirected.

_in_tool: ContextVar[bool] = ContextVar("vagent_in_tool", default=False)


class SplitStdout:
    """Replaces `sys.stdout`; within `tool_output` it writes to stderr."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if _in_tool.get() else self._stdout, name)

    def restore(self) -> None:
        """Restores the original stdout, unless `sys.stdout` was replaced since."""
        if sys.stdout is self:
            sys.stdout = self._stdout


def split_stdout() -> SplitStdout | None:
    """Installs a `SplitStdout`; returns None if there is one or stdout is closed."""
    stdout: object = sys.stdout
    if stdout is None or isinstance(stdout, SplitStdout):
        return None
    split = SplitStdout(sys.stdout)
    sys.stdout = split
    return split


@contextmanager
def tool_output() -> Iterator[None]:
    """Redirect output to stderr, also of tasks and threads started inside."""
    token = _in_tool.set(True)
    try:
        yield
    finally:
        _in_tool.reset(token)
