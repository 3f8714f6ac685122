"""The end of a loop or a process does not wait for work that a tool left behind."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable

import pytest

from runner.event_loop import LoopRunner, run_async

LOOPS: list[Callable[[], asyncio.AbstractEventLoop] | None] = [None]
if sys.platform != "win32":
    import uvloop

    LOOPS.append(uvloop.new_event_loop)


@pytest.fixture(params=LOOPS, ids=["asyncio", "uvloop"][: len(LOOPS)])
def loop_factory(
    request: pytest.FixtureRequest,
) -> Callable[[], asyncio.AbstractEventLoop] | None:
    factory: Callable[[], asyncio.AbstractEventLoop] | None = request.param
    return factory


def test_the_result_is_returned(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    async def program() -> int:
        return await asyncio.to_thread(lambda: 7)

    assert run_async(program(), loop_factory) == 7


def test_an_exception_in_a_thread_reaches_the_program() -> None:
    async def program() -> None:
        await asyncio.to_thread(int, "x")

    with pytest.raises(ValueError, match="invalid literal"):
        run_async(program())


def test_a_task_is_cancelled_and_can_clean_up(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    cleaned = []

    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            cleaned.append(True)

    async def program() -> None:
        program.task = asyncio.create_task(tidy())  # type: ignore[attr-defined]  # keeps a reference
        await asyncio.sleep(0)

    run_async(program(), loop_factory)
    assert cleaned == [True]


def test_a_task_that_swallows_its_cancellation_is_abandoned(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    tasks = []

    async def cling() -> None:
        while True:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                continue

    async def program() -> str:
        tasks.append(asyncio.create_task(cling()))
        await asyncio.sleep(0)
        return "done"

    assert run_async(program(), loop_factory) == "done"


def test_a_thread_that_hangs_is_not_waited_for(
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None,
) -> None:
    release = threading.Event()

    async def program() -> str:
        hanging = asyncio.create_task(asyncio.to_thread(release.wait))
        await asyncio.wait({hanging}, timeout=0)
        return "done"

    assert run_async(program(), loop_factory) == "done"
    release.set()


def test_several_programs_run_in_one_loop() -> None:
    async def name_loop() -> int:
        return id(asyncio.get_running_loop())

    with LoopRunner() as runner:
        assert runner.run(name_loop()) == runner.run(name_loop())


LEFT_BEHIND = {
    "a pool": "concurrent.futures.ThreadPoolExecutor().submit(forever.wait)",
    "a thread": "threading.Thread(target=forever.wait).start()",
    "an exit handler": "atexit.register(forever.wait)",
}


@pytest.mark.parametrize("code", LEFT_BEHIND.values(), ids=LEFT_BEHIND)
def test_a_process_ends_with_its_code_and_its_output(code: str) -> None:
    script = f"""
        import atexit, concurrent.futures, sys, threading
        from runner.event_loop import exit_soon
        forever = threading.Event()
        {code}
        print("the output")
        exit_soon(5)
        sys.exit(5)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stdout) == (5, "the output\n")
