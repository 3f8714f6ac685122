"""The clock jumps to timers and stops during real work."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from runner.testing.virtual_clock import VirtualTimeLoop, real_work, run_virtually


def test_an_hour_of_sleep_takes_an_hour_on_this_clock_and_none_on_the_wall() -> None:
    async def program() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await asyncio.sleep(3_600)
        return loop.time() - began

    began = time.process_time()

    assert run_virtually(program()) == 3_600
    assert time.process_time() - began < 60  # it would be an hour if it waited


def test_timers_fire_in_their_order_and_at_their_own_times() -> None:
    async def program() -> list[tuple[str, float]]:
        loop = asyncio.get_running_loop()
        began, fired = loop.time(), list[tuple[str, float]]()

        async def fire(name: str, after: float) -> None:
            await asyncio.sleep(after)
            fired.append((name, round(loop.time() - began, 9)))

        await asyncio.gather(fire("late", 0.3), fire("early", 0.1), fire("mid", 0.2))
        return fired

    assert run_virtually(program()) == [("early", 0.1), ("mid", 0.2), ("late", 0.3)]


def test_a_timeout_fires() -> None:
    async def program() -> None:
        async with asyncio.timeout(30):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        run_virtually(program())


def test_real_work_takes_no_time_on_this_clock() -> None:
    async def program() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        done = threading.Event()
        ticking = asyncio.create_task(asyncio.sleep(0.001))
        with real_work():
            await asyncio.to_thread(done.wait, 0.05)
        took = loop.time() - began
        ticking.cancel()
        return took

    assert run_virtually(program()) == 0


def test_paced_work_can_wait_on_timers_of_its_own() -> None:
    async def program() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with real_work(paced=True):
            await asyncio.sleep(0.05)
        return loop.time() - began

    began = time.monotonic()
    took = run_virtually(program())

    assert took == pytest.approx(0.05)
    assert time.monotonic() - began >= 0.045  # it took its time in real life, too


def test_after_real_work_the_clock_jumps_again() -> None:
    async def program() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with real_work():
            await asyncio.to_thread(time.sleep, 0.01)
        await asyncio.sleep(600)
        return loop.time() - began

    assert run_virtually(program()) == 600


def test_work_that_hangs_is_ended_by_its_own_timeout(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runner.testing.virtual_clock.MAX_REAL_WORK_SECONDS", 0.05)
    never = threading.Event()

    async def program() -> float:
        loop = asyncio.get_running_loop()
        began = loop.time()
        with real_work():
            try:
                async with asyncio.timeout(30):
                    await asyncio.to_thread(never.wait, 5)
            except TimeoutError:
                never.set()
        return loop.time() - began

    assert run_virtually(program()) == 30


def test_on_another_loop_real_work_is_nothing_special() -> None:
    async def program() -> str:
        with real_work():
            await asyncio.sleep(0)
        return "done"

    assert asyncio.run(program()) == "done"


def test_sockets_are_served_without_a_timer() -> None:
    async def program() -> bytes:
        async def greet(
            reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            writer.write(b"hello")
            writer.close()
            await writer.wait_closed()

        server = await asyncio.start_server(greet, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            said = await reader.read()
            writer.close()
            await writer.wait_closed()
            return said

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        assert runner.run(program()) == b"hello"
