"""Confidence intervals of pass rates."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runner.testing.results import Flake, Report, ScenarioResult, Status, find_flakes
from runner.testing.scenarios.model import Place
from tests.testing.builders import scenario

HERE = Place(Path("a.test.yaml"), 3, 5)


@pytest.mark.parametrize(
    ("passed", "runs", "low", "high"),
    # Wilson's interval as computed elsewhere: Newcombe 1998, table I, and R's prop.test
    # without its correction.
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611)],
)
def test_the_interval_is_wilsons(
    passed: int, runs: int, low: float, high: float
) -> None:
    interval = Flake(HERE, "x", passed, runs).interval

    assert interval == pytest.approx((low, high), abs=1e-4)


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_rate_is_in_its_interval(counts: tuple[int, int]) -> None:
    passed, runs = counts
    low, high = Flake(HERE, "x", passed, runs).interval

    assert 0 <= low <= passed / runs + 1e-12
    assert passed / runs - 1e-12 <= high <= 1


def test_repeated_scenarios_are_counted_without_those_skipped() -> None:
    tried = scenario(Path("a.yaml"))
    other = replace(tried, name="other")
    elsewhere = replace(tried, place=HERE)  # called the same, in another file
    statuses = [Status.PASSED, Status.FAILED, Status.PASSED, Status.SKIPPED]
    results = [ScenarioResult(tried, "script", each) for each in statuses]
    results.append(ScenarioResult(other, "script", Status.PASSED))
    results.append(ScenarioResult(elsewhere, "script", Status.PASSED))

    assert find_flakes(Report(tuple(results))) == [
        Flake(tried.place, "tried out", 2, 3)
    ]
