from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.doctor.findings import Finding, State
from runner.doctor.watchdog import Check, examine
from runner.doctor.wishes import Wishes

TOKEN = "t0k3n-that-nobody-may-see"
FINE = Check("fine", "tests.doctor.probes:fine")


def look(folder: Path, *checks: Check) -> list[Finding]:
    return list(examine(checks, Wishes({"SOME_TOKEN": TOKEN}, folder)))


def names(findings: list[Finding]) -> list[str]:
    return [each.name for each in findings]


def test_findings_come_in_order_with_what_was_wished(tmp_path: Path) -> None:
    announced: list[str] = []
    checks = [FINE, Check("talks", "tests.doctor.probes:talks")]
    wishes = Wishes({"SOME_TOKEN": TOKEN}, tmp_path)
    found = examine(checks, wishes, lambda check: announced.append(check.name))

    assert names(list(found)) == ["fine", "fine-too", "talks"]
    assert announced == ["fine", "talks"]


def test_a_check_that_hangs_is_a_line_and_the_rest_goes_on(tmp_path: Path) -> None:
    hanging = Check("hangs", "tests.doctor.probes:hangs", seconds=0.2, fix="unplug it")

    before, line, *rest = look(tmp_path, hanging, FINE)

    assert before.name == "before"
    assert line == Finding("hangs", State.FAILED, "no answer within 0.2 s", "unplug it")
    assert names(rest) == ["fine", "fine-too"]


def test_a_check_whose_process_dies_is_a_line_and_the_rest_goes_on(
    tmp_path: Path,
) -> None:
    line, *rest = look(tmp_path, Check("leaves", "tests.doctor.probes:leaves"), FINE)

    assert line == Finding(
        "leaves", State.FAILED, "this check died with exit code 7", None
    )
    assert names(rest) == ["fine", "fine-too"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no signals")
def test_a_signal_is_named(tmp_path: Path) -> None:
    (line,) = look(tmp_path, Check("dies", "tests.doctor.probes:dies"))

    assert line.detail == "this check was killed by SIGKILL"


def test_what_a_check_raises_is_one_line_without_secrets(tmp_path: Path) -> None:
    checks = (
        Check("breaks", "tests.doctor.probes:breaks"),
        Check("exits", "tests.doctor.probes:exits"),
        FINE,
    )
    broken, left, *rest = look(tmp_path, *checks)

    assert broken.detail == "this check failed: LookupError: no such thing as ***"
    assert broken.fix == "VAGENT_DEBUG=1 shows where it happened"
    assert left.detail == "this check failed: SystemExit: this tool wants a terminal"
    assert names(rest) == ["fine", "fine-too"]


def test_nothing_that_a_check_writes_gets_into_the_report(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (line,) = look(tmp_path, Check("talks", "tests.doctor.probes:talks"))

    assert line.detail == "key ***"
    assert capfd.readouterr() == ("", "")


def test_a_check_that_cannot_be_loaded_points_at_the_packages(tmp_path: Path) -> None:
    line, *rest = look(tmp_path, Check("gone", "tests.doctor.nowhere:look"), FINE)

    assert line == Finding(
        "gone",
        State.FAILED,
        "this check cannot be loaded: No module named 'tests.doctor.nowhere'",
        "see the line `packages`",
    )
    assert names(rest) == ["fine", "fine-too"]
