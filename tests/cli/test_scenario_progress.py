"""The progress of `vagent test`."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli.scenario_progress import show_progress
from runner.testing.results import ScenarioResult, Status
from tests.testing.builders import ORDER, scenario

SCENARIO = scenario(Path("shop.yaml"), ORDER)
JOBS = [(replace(SCENARIO, name=name), 0) for name in ("greets", "looks\x1b[2J up")]


class Stream(io.StringIO):
    """A stderr that is a terminal, or not."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self._is_terminal = is_terminal

    def isatty(self) -> bool:
        return self._is_terminal


def shown(
    monkeypatch: pytest.MonkeyPatch, *, is_spoken: bool, is_terminal: bool
) -> str:
    stream = Stream(is_terminal)
    monkeypatch.setattr("sys.stderr", stream)
    with show_progress(JOBS, is_spoken=is_spoken) as progress:
        for number, (each, _) in enumerate(JOBS):
            progress.state("agent: Hello")
            status = Status.FAILED if number else Status.PASSED
            progress.end(ScenarioResult(each, "local", status, seconds=4.25))
    return stream.getvalue()


def test_a_log_has_a_line_for_each_begin_and_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    text = shown(monkeypatch, is_spoken=True, is_terminal=False)

    assert text.splitlines() == [
        "[1/2] greets: running",
        "[1/2] greets: passed, 4.2 s",
        r"[2/2] looks\u001b[2J up: running",
        r"[2/2] looks\u001b[2J up: failed, 4.2 s",
    ]


def test_a_terminal_has_a_line_for_each_result(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    text = shown(monkeypatch, is_spoken=True, is_terminal=True)

    assert "[1/2] greets: passed, 4.2 s" in text
    assert "\x1b[2J" not in text


@pytest.mark.parametrize("is_terminal", [True, False])
def test_few_scripted_scenarios_have_no_progress(
    monkeypatch: pytest.MonkeyPatch, is_terminal: bool
) -> None:
    assert shown(monkeypatch, is_spoken=False, is_terminal=is_terminal) == ""
