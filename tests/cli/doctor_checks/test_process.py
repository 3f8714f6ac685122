from __future__ import annotations

import sys
from pathlib import Path

import pytest

from runner.cli.doctor_checks.model import CheckResult, DoctorOptions, State
from runner.cli.doctor_checks.process import Check, run_checks

PROBES = "tests.cli.doctor_checks.probes"
TOKEN = "t0k3n-that-is-a-secret"
FINE = Check("fine", f"{PROBES}:fine")


def run(folder: Path, *checks: Check) -> list[CheckResult]:
    return list(run_checks(checks, DoctorOptions({"SOME_TOKEN": TOKEN}, folder)))


def names(results: list[CheckResult]) -> list[str]:
    return [each.name for each in results]


def test_results_are_in_order_and_have_their_options(tmp_path: Path) -> None:
    announced: list[str] = []
    checks = [FINE, Check("talks", f"{PROBES}:talks")]
    options = DoctorOptions({"SOME_TOKEN": TOKEN}, tmp_path)
    found = run_checks(checks, options, lambda check: announced.append(check.name))

    assert names(list(found)) == ["fine", "fine-too", "talks"]
    assert announced == ["fine", "talks"]


def test_a_hanging_check_fails_and_the_others_run(tmp_path: Path) -> None:
    hanging = Check("hangs", f"{PROBES}:hangs", seconds=0.2, fix="unplug it")

    before, line, *rest = run(tmp_path, hanging, FINE)

    assert before.name == "before"
    assert line == CheckResult(
        "hangs", State.FAILED, "no answer within 0.2 s", "unplug it"
    )
    assert names(rest) == ["fine", "fine-too"]


def test_a_check_that_ends_the_process_fails_and_the_others_run(
    tmp_path: Path,
) -> None:
    line, *rest = run(tmp_path, Check("leaves", f"{PROBES}:leaves"), FINE)

    assert line == CheckResult(
        "leaves", State.FAILED, "this check ended with exit code 7", None
    )
    assert names(rest) == ["fine", "fine-too"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no signals")
def test_a_signal_is_named(tmp_path: Path) -> None:
    (line,) = run(tmp_path, Check("dies", f"{PROBES}:dies"))

    assert line.detail == "this check was killed by SIGKILL"


def test_an_exception_is_one_line_without_secrets(tmp_path: Path) -> None:
    checks = (
        Check("breaks", f"{PROBES}:breaks"),
        Check("exits", f"{PROBES}:exits"),
        FINE,
    )
    broken, left, *rest = run(tmp_path, *checks)

    assert broken.detail == "this check failed: LookupError: no such thing as ***"
    assert broken.fix == "VAGENT_DEBUG=1 shows the traceback"
    assert left.detail == "this check failed: SystemExit: this tool wants a terminal"
    assert names(rest) == ["fine", "fine-too"]


def test_what_an_agent_takes_from_the_environment_is_redacted(tmp_path: Path) -> None:
    agent = tmp_path / "agent.yaml"
    agent.write_text(
        "version: 1\nname: t\nprompt: You help.\n"
        'service: {url: "wss://voice.example/ws?ticket=${env:VOICE_TICKET}"}\n'
    )
    environment = {"SOME_TOKEN": "x", "VOICE_TICKET": "tk_live_9f8e"}
    options = DoctorOptions(environment, tmp_path, agent)

    (line,) = run_checks([Check("quotes", f"{PROBES}:quotes")], options)

    assert line.detail == "wss://voice.example/ws?ticket=***"


def test_the_output_of_a_check_is_discarded(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (line,) = run(tmp_path, Check("talks", f"{PROBES}:talks"))

    assert line.detail == "key ***"
    assert capfd.readouterr() == ("", "")


def test_a_check_that_cannot_be_loaded_refers_to_the_packages(tmp_path: Path) -> None:
    line, *rest = run(tmp_path, Check("gone", "tests.missing:look"), FINE)

    assert line == CheckResult(
        "gone",
        State.FAILED,
        "this check cannot be loaded: No module named 'tests.missing'",
        "see the line `packages`",
    )
    assert names(rest) == ["fine", "fine-too"]
