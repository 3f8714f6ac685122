"""Hooks for all tests: a skip under continuous integration is a failure.

Property tests have no time limits, because a busy machine exceeds each.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "busy", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("busy")

# The only reasons for which continuous integration may skip a test: there it runs on
# Linux, and may run as root.
MAY_BE_SKIPPED = (
    "drives are Windows's",
    "everything may be written",  # by root, for whom no file is read-only
)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Fails a test that was skipped under continuous integration.

    On other machines, tests are skipped if a program or the weights are missing.
    """
    report = yield
    # An expected failure counts as skipped, too.
    if not hasattr(report, "wasxfail"):
        refuse_skip(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """Fails a file that was skipped as a whole under continuous integration."""
    report = yield
    refuse_skip(report)
    return report


def refuse_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    """Turns a skip that is not allowed into a failure."""
    if not report.skipped or not os.environ.get("CI"):
        return
    skipped: Any = report.longrepr  # file, line and "Skipped: reason"
    reason = skipped[2].removeprefix("Skipped: ")
    if reason not in MAY_BE_SKIPPED:
        report.outcome = "failed"
        report.longrepr = f"skipped under continuous integration: {reason}"
