from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from runner.tools.execution import TooManyHung, Workers


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Holds functions until it is set, at the latest when the test is over."""
    gate = threading.Event()
    yield gate
    gate.set()


async def give_up(workers: Workers, gate: threading.Event) -> None:
    """Start a function that waits for the gate, and cancel it once it runs."""
    started = threading.Event()

    def hang() -> bool:
        started.set()
        return gate.wait()

    task = asyncio.create_task(workers.run(hang))
    await asyncio.sleep(0)  # let it begin
    await asyncio.to_thread(started.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_functions_run_concurrently() -> None:
    workers, barrier = Workers(3), threading.Barrier(3)

    await asyncio.gather(*(workers.run(barrier.wait) for _ in range(3)))
    workers.close()


async def test_more_functions_than_threads_all_end() -> None:
    workers, names = Workers(2), set()

    def note() -> None:
        names.add(threading.current_thread())

    await asyncio.gather(*(workers.run(note) for _ in range(50)))
    workers.close()

    assert len(names) <= 2


async def test_a_hung_function_is_counted_and_its_thread_replaced(
    gate: threading.Event,
) -> None:
    workers = Workers(1)

    await give_up(workers, gate)

    assert workers.hung == 1
    assert await workers.run(lambda: "next") == "next"


async def test_a_hung_function_that_ends_is_no_longer_counted(
    gate: threading.Event,
) -> None:
    workers = Workers(1)
    before = set(threading.enumerate())
    await give_up(workers, gate)
    (hung,) = (
        set(threading.enumerate())
        - before
        - {threading.main_thread()}
        - {
            thread
            for thread in threading.enumerate()
            if not thread.name.startswith("vagent-tool")
        }
    )

    gate.set()
    await asyncio.to_thread(hung.join)

    assert workers.hung == 0


async def test_too_many_hung_functions_are_refused_at_once(
    gate: threading.Event,
) -> None:
    workers = Workers(1, max_hung=2)
    await give_up(workers, gate)
    await give_up(workers, gate)

    with pytest.raises(TooManyHung):
        await workers.run(lambda: None)


async def test_a_function_cancelled_while_it_waits_never_runs(
    gate: threading.Event,
) -> None:
    workers, ran = Workers(1), threading.Event()
    busy = asyncio.create_task(workers.run(gate.wait))
    waiting = asyncio.create_task(workers.run(ran.set))
    await asyncio.sleep(0)  # let both begin
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    gate.set()
    await busy
    await workers.run(lambda: None)

    assert not ran.is_set()
    assert workers.hung == 0


async def test_closed_workers_refuse_functions() -> None:
    workers = Workers(1)
    workers.close()

    with pytest.raises(RuntimeError, match="closed"):
        await workers.run(lambda: None)


def test_a_hung_function_does_not_block_the_exit() -> None:
    program = """
import asyncio, threading
from runner.tools.execution import Workers

async def main():
    workers = Workers(1)
    while not workers.hung:
        try:
            async with asyncio.timeout(0.05):
                await workers.run(threading.Event().wait)
        except TimeoutError:
            pass
    print("given up")

asyncio.run(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30
    )

    assert (done.returncode, done.stdout, done.stderr) == (0, "given up\n", "")
