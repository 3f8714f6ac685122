from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest

from runner.tools.execution import (
    Failed,
    Finished,
    call_async,
    call_plain,
    close_bounded,
)


def raiser(error: BaseException) -> Callable[[], object]:
    def function() -> object:
        raise error

    return function


def async_raiser(error: BaseException) -> Callable[[], object]:
    async def function() -> object:
        raise error

    return function


ERRORS = [
    ValueError(),
    SystemExit(3),
    KeyboardInterrupt(),
    StopIteration(),
    asyncio.CancelledError(),
    TimeoutError(),
    RecursionError(),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_exception_of_a_plain_function_is_returned(error: BaseException) -> None:
    assert call_plain(raiser(error), str) == Failed(error)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
async def test_an_exception_of_a_coroutine_is_returned(error: BaseException) -> None:
    ended = await call_async(async_raiser(error), str, 5)

    assert isinstance(ended, Failed)
    # Python itself turns a StopIteration in a coroutine into a RuntimeError.
    assert ended.error is error or ended.error.__cause__ is error


async def test_a_result_is_encoded() -> None:
    async def function() -> int:
        await asyncio.sleep(0)
        return 3

    assert call_plain(lambda: 3, str) == Finished("3")
    assert await call_async(function, str, 5) == Finished("3")


async def test_a_coroutine_of_a_plain_function_is_returned_to_be_awaited() -> None:
    async def function() -> int:
        return 3

    pending = call_plain(function, str)

    assert not isinstance(pending, Finished | Failed)
    assert await pending == 3


async def test_a_hung_coroutine_is_cancelled_and_can_clean_up() -> None:
    cleaned: list[str] = []

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append("yes")

    with pytest.raises(TimeoutError):
        await call_async(hang, str, 0.01)

    assert cleaned == ["yes"]


async def test_cancelling_the_caller_cancels_the_coroutine() -> None:
    started, cleaned = asyncio.Event(), asyncio.Event()

    async def hang() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cleaned.set()

    task = asyncio.create_task(call_async(hang, str, 60))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert cleaned.is_set()


CLINGING = """
import asyncio
from runner.tools import execution

execution.CLEANUP_TIMEOUT_S = 0.05  # so that the test is quick

async def cling():
    while True:
        try:
            await asyncio.sleep(3600)
        except {caught}:
            pass

async def main():
    try:
        await execution.call_async(cling, str, 0.05)
    except TimeoutError:
        print("given up")

asyncio.run(main())
"""


@pytest.mark.parametrize("caught", ["asyncio.CancelledError", "BaseException"])
def test_a_coroutine_that_swallows_cancellation_does_not_block_the_exit(
    caught: str,
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CLINGING.format(caught=caught)],
        capture_output=True,
        text=True,
        timeout=30,
    )

    assert (done.returncode, done.stdout) == (0, "given up\n")


async def test_errors_of_closing_are_returned() -> None:
    async def fail() -> None:
        raise OSError("no")

    async def fine() -> None: ...

    def broken() -> Any:
        raise ValueError

    assert isinstance(await close_bounded(fail), OSError)
    assert isinstance(await close_bounded(broken), ValueError)
    assert await close_bounded(fine) is None
