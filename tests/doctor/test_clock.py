from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from runner.doctor.clock import check_clock, judge_clock, judge_date
from runner.doctor.findings import State
from runner.doctor.platforms import Platform
from runner.doctor.wishes import Wishes

LINUX = Platform("linux", ("debian",))
NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def test_a_plausible_date_is_shown() -> None:
    finding = judge_clock(NOW, 0.0, LINUX)

    assert (finding.state, finding.detail) == (State.OK, "2026-03-01 12:00:00 UTC")


@pytest.mark.parametrize("year", [1970, 2024, 2100])
def test_an_implausible_year_names_the_command(year: int) -> None:
    finding = judge_clock(NOW.replace(year=year), 0.0, LINUX)

    assert finding.state is State.FAILED
    assert finding.fix == "sudo timedatectl set-ntp true"


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
def test_the_clock_is_held_against_the_services(
    seconds: int, state: State, detail: str
) -> None:
    date = format_datetime(NOW, usegmt=True)
    finding = judge_date(date, NOW + timedelta(seconds=seconds), LINUX)

    assert (finding.state, finding.detail) == (state, detail)


@pytest.mark.parametrize("date", [None, "", "yesterday"])
def test_a_service_without_the_time_is_no_fault_of_this_machine(
    date: str | None,
) -> None:
    assert judge_date(date, NOW, LINUX).state is State.SKIPPED


def test_this_machine_has_a_clock(tmp_path: Path) -> None:
    (finding,) = check_clock(Wishes({}, tmp_path))

    assert finding.state is State.OK
