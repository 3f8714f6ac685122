"""The guard around a tool's own code: it may raise, exit, hang or cling to life.

What comes back is a value: `Finished` with the text for the model or `Failed` with what
was raised. This is the one place where a tool's exceptions are caught wholesale.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from runner.tools.output import tool_output

T = TypeVar("T")

# How long a cancelled tool may clean up after itself, in seconds.
CLEANUP = 1.0


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
    coroutine is cancelled, has `CLEANUP` seconds, and is closed if it still goes on.
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
        await asyncio.wait({task}, timeout=CLEANUP)
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
    """Run a tool's own `close` for at most `CLEANUP` seconds; return what it raised."""

    def nothing(_: object) -> str:
        return ""

    try:
        ended = await call_async(close, nothing, CLEANUP)
    except TimeoutError as error:
        return error
    return ended.error if isinstance(ended, Failed) else None
