"""Whether the clock can be believed: certificates and time-outs do."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from runner.doctor.findings import Finding, failed, passed, skipped
from runner.doctor.platforms import Platform, this_platform
from runner.doctor.wishes import Wishes

# No later than this was written, no earlier than certificates are made for.
_YEARS = range(2025, 2100)
# Seconds. A judgement: what no certificate minds, and temporary tokens may (they live
# for a minute or more), with a second of the header's own roundness.
_MOST_OFF = 30.0


def check_clock(wishes: Wishes) -> Iterator[Finding]:
    """Look at the clocks of this machine; the service's is asked with the key."""
    del wishes
    before = time.monotonic()
    now = datetime.now(UTC)
    yield judge_clock(now, time.monotonic() - before, this_platform())


def judge_clock(now: datetime, passed_seconds: float, platform: Platform) -> Finding:
    """Judge a date, and what a monotonic clock counted since a moment ago."""
    shown = f"{now:%Y-%m-%d %H:%M:%S} UTC"
    if now.year not in _YEARS:
        return failed("clock", f"{shown} cannot be right", platform.set_clock())
    if passed_seconds < 0:
        return failed(
            "clock",
            "the monotonic clock ran backwards: the machine is at fault",
            "update the system, or the hypervisor that it runs on",
        )
    return passed("clock", shown)


def judge_date(date: str | None, now: datetime, platform: Platform) -> Finding:
    """Judge this clock by the Date header of the service, HTTP's own format."""
    name = "clock-online"
    try:
        theirs = parsedate_to_datetime(date or "")
    except ValueError:
        return skipped(name, "the service does not tell the time")
    if theirs.tzinfo is None:
        theirs = theirs.replace(tzinfo=UTC)
    off = (now - theirs).total_seconds()
    # The header has whole seconds.
    if abs(off) <= _MOST_OFF:
        return passed(name, f"within {max(1.0, abs(off)):.0f} s of the service's")
    way = "ahead of" if off > 0 else "behind"
    detail = f"{abs(off):,.0f} s {way} the service's"
    return failed(name, detail, platform.set_clock())
