import asyncio

import pytest

from runner.audio.devices import LoopClock, Ticker
from tests.audio.fakes import JumpingClock


class StallingPace(JumpingClock):
    """Wakes up late, by the next of these delays."""

    def __init__(self, *delays: float) -> None:
        super().__init__()
        self.delays = list(delays)

    async def wait_until(self, due: float) -> None:
        await super().wait_until(due)
        self.time += self.delays.pop(0) if self.delays else 0.0


async def ticks(clock: JumpingClock, count: int) -> list[float]:
    ticker = Ticker(clock, 0.05)
    start = clock.now()
    return [round(await ticker.tick() - start, 6) for _ in range(count)]


async def test_the_first_tick_comes_after_one_period() -> None:
    assert await ticks(JumpingClock(), 3) == [0.05, 0.10, 0.15]


async def test_waking_up_late_does_not_add_up() -> None:
    assert await ticks(StallingPace(0.01, 0.02, 0.01), 4) == [0.06, 0.12, 0.16, 0.20]


async def test_a_delay_of_up_to_a_period_more_is_made_up_for() -> None:
    # Due at 0.05, awake at 0.12: the tick of 0.10 comes at once, that of 0.15 in time.
    assert await ticks(StallingPace(0.07), 3) == [0.12, 0.12, 0.15]


async def test_a_stall_delays_what_follows_and_makes_no_burst() -> None:
    # Due at 0.10, awake at 0.50: one tick at once, then a period between each two.
    assert await ticks(StallingPace(0, 0.4), 5) == [0.05, 0.50, 0.50, 0.55, 0.60]


async def test_the_loops_clock_is_the_default() -> None:
    clock = LoopClock()
    loop = asyncio.get_running_loop()
    before = loop.time()
    assert before <= clock.now() <= loop.time()
    due = clock.now() + 0.01
    await clock.wait_until(due)
    assert clock.now() >= due - 0.001


async def test_a_time_that_is_past_still_lets_others_run() -> None:
    ran: list[bool] = []
    asyncio.get_running_loop().call_soon(ran.append, True)
    await LoopClock().wait_until(0.0)
    assert ran == [True]


@pytest.mark.parametrize("count", [1, 2_000])
async def test_an_hour_of_ticks_does_not_drift(count: int) -> None:
    late = StallingPace(*[0.003] * count)
    assert (await ticks(late, count))[-1] == pytest.approx(0.05 * count + 0.003)
