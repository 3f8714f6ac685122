"""The limits of a soak test; `tests/project/test_benchmarks.py` runs a short one."""

from __future__ import annotations

from benchmarks.soak import Figures, report


def test_growth_is_reported() -> None:
    flat = [Figures(1_000, 100, 1, 1, 9)] * 50
    grown = [Figures(1_000 + 2 * n, 100, 1, 1, 9) for n in range(50)]
    leaking = [Figures(1_000, 100, 1 + n // 25, 1, 9) for n in range(50)]

    assert report("flat", flat, "session")
    assert not report("grown", grown, "session")
    assert not report("leaking", leaking, "session")


def test_a_short_soak_bounds_what_is_open_but_no_slope() -> None:
    grown = [Figures(1_000 + 2 * n, 100, 1, 1, 9) for n in range(50)]
    leaking = [Figures(1_000, 100, 1 + n // 25, 1, 9) for n in range(50)]

    assert report("grown", grown, "session", {})
    assert not report("leaking", leaking, "session", {})
