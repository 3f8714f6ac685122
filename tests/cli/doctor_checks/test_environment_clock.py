from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from runner.cli.doctor_checks.environment import check_clock, judge_clock, judge_date
from runner.cli.doctor_checks.model import DoctorOptions, Platform, State

LINUX = Platform("linux", ("debian",))
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_a_plausible_date_is_shown() -> None:
    result = judge_clock(NOW, 0.0, LINUX)

    assert (result.state, result.detail) == (State.OK, "2026-03-01 12:00:00 UTC")


@pytest.mark.parametrize("year", [1970, 2024, 2100])
def test_an_implausible_year_has_the_command(year: int) -> None:
    result = judge_clock(NOW.replace(year=year), 0.0, LINUX)

    assert result.state is State.FAILED
    assert result.fix == "sudo timedatectl set-ntp true"


def test_a_clock_that_runs_backwards_is_found() -> None:
    assert judge_clock(NOW, -0.1, LINUX).state is State.FAILED


@pytest.mark.parametrize(
    ("seconds", "state", "detail"),
    [
        (0, State.OK, "within 1 s of the service's"),
        (-20, State.OK, "within 20 s of the service's"),
        (31, State.FAILED, "31 s ahead of the service's"),
        (-7200, State.FAILED, "7,200 s behind the service's"),
    ],
)
def test_the_clock_is_compared_with_the_service(
    seconds: int, state: State, detail: str
) -> None:
    date = format_datetime(NOW, usegmt=True)
    result = judge_date(date, NOW + timedelta(seconds=seconds), LINUX)

    assert (result.state, result.detail) == (state, detail)


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_a_service_without_a_date_is_not_a_failure(
    date: str | None,
) -> None:
    assert judge_date(date, NOW, LINUX).state is State.SKIPPED


def test_this_machine_has_a_clock(tmp_path: Path) -> None:
    (result,) = check_clock(DoctorOptions({}, tmp_path))

    assert result.state is State.OK
