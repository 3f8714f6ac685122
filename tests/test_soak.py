"""A short soak: what `benchmarks/soak.py` does at length."""

from __future__ import annotations

from benchmarks.soak import Figures, far_end, long_session, many_sessions, report


async def test_calls_one_after_another_leave_nothing_behind() -> None:
    async with far_end() as url:
        taken = await many_sessions(url, 8)

    for figure in ("tasks", "threads", "files"):
        steady = {getattr(each, figure) for each in taken[2:]}
        assert len(steady) == 1, f"{figure}: {[getattr(t, figure) for t in taken]}"


async def test_a_long_call_survives_its_drops() -> None:
    async with far_end(drop=300) as url:
        taken = await long_session(url, 800, 2_000.0, step=200)

    assert taken[-1].threads == taken[0].threads
    assert taken[-1].files == taken[0].files


def test_what_grows_is_noticed() -> None:
    flat = [Figures(1_000, 100, 1, 1, 9)] * 50
    grown = [Figures(1_000 + 2 * n, 100, 1, 1, 9) for n in range(50)]
    leaking = [Figures(1_000, 100, 1 + n // 25, 1, 9) for n in range(50)]

    assert report("flat", flat, "session")
    assert not report("grown", grown, "session")
    assert not report("leaking", leaking, "session")
