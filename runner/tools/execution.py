"""The guard around a tool's own code: it may raise, exit, hang or cling to life.

What comes back is a value: `Finished` with the text for the model or `Failed` with what
was raised. This is the one place where a tool's exceptions are caught wholesale.
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

# How long a cancelled tool may clean up after itself, in seconds.
CLEANUP_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Finished:
    """The tool returned; `text` is what it returned, as JSON."""

    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """The tool, or saying what it returned, raised."""

    error: BaseException


Ended = Finished | Failed
Encode = Callable[[object], str]


def call_plain(
    function: Callable[[], object], encode: Encode
) -> Ended | Awaitable[object]:
    """Run a plain function in this thread; never raises.

    Returns what has to be awaited for the result, if the function returns that: a
    plain decorator around a coroutine function does.
    """
    with tool_output():
        try:
            result = function()
            if inspect.isawaitable(result):
                return result
            return Finished(encode(result))
        except BaseException as error:  # a tool may raise SystemExit; threads get no ^C
            return Failed(error)


async def call_async(
    function: Callable[[], object], encode: Encode, seconds: float
) -> Ended:
    """Run a coroutine function on this loop for at most `seconds`.

    Raises TimeoutError when the time is up. Then, and when the caller is cancelled, the
    coroutine is cancelled, has `CLEANUP_TIMEOUT_S` seconds, and is closed if it still goes on.
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
            return Failed(error)  # of something that the tool itself waited for
        except (Exception, SystemExit, KeyboardInterrupt) as error:
            # SystemExit in a task would stop the event loop. A ^C that lands here ends
            # the call that holds the loop up; the session's own handling comes after.
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
    """A coroutine that can be made to end although it swallows its cancellation.

    A task whose coroutine catches CancelledError and goes on would hold up
    `asyncio.run` for ever. Once `is_abandoned` is set, the next cancellation closes the
    coroutine instead of being offered to it.
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
            except BaseException as thrown:  # handed on, as `await` would do
                if self.is_abandoned:
                    self._close()
                    raise
                error = thrown

    def _close(self) -> None:
        try:
            self._coroutine.close()
        except RuntimeError:
            # It waits for something even now; without its task nothing wakes it up.
            return


async def close_bounded(close: Callable[[], Awaitable[None]]) -> BaseException | None:
    """Run a tool's own `close` for at most `CLEANUP_TIMEOUT_S` seconds; return what it raised."""

    def nothing(_: object) -> str:
        return ""

    try:
        ended = await call_async(close, nothing, CLEANUP_TIMEOUT_S)
    except TimeoutError as error:
        return error
    return ended.error if isinstance(ended, Failed) else None


# Threads for plain functions: bounded, replaced when one hangs, no burden at exit.
#
# `concurrent.futures.ThreadPoolExecutor` joins its threads when the interpreter ends,
# so that one hung function would hold up the exit for ever. These are daemon threads.


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


# What a tool prints goes to stderr: stdout belongs to the command's own data.
#
# `contextlib.redirect_stdout` would take the prints of everyone else too, for as long
# as any call runs. Here `sys.stdout` is replaced by a stream that asks a context
# variable on each write who is speaking; tasks and worker threads inherit it from the
# call. Bytes that a tool writes to file descriptor 1 itself (a child process) are out
# of reach.


_in_tool: ContextVar[bool] = ContextVar("vagent_in_tool", default=False)


class SplitStdout:
    """Stands for `sys.stdout`; within `tool_output` it is stderr."""

    def __init__(self, stdout: TextIO) -> None:
        self._stdout = stdout

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr if _in_tool.get() else self._stdout, name)

    def restore(self) -> None:
        """Give the real stdout back, unless somebody else has taken it meanwhile."""
        if sys.stdout is self:
            sys.stdout = self._stdout


def split_stdout() -> SplitStdout | None:
    """Put a `SplitStdout` in place; None if one is there or stdout is closed."""
    stdout: object = sys.stdout
    if stdout is None or isinstance(stdout, SplitStdout):
        return None
    split = SplitStdout(sys.stdout)
    sys.stdout = split
    return split


@contextmanager
def tool_output() -> Iterator[None]:
    """Send to stderr what is printed inside, here and in what is started from here."""
    token = _in_tool.set(True)
    try:
        yield
    finally:
        _in_tool.reset(token)
