"""Recordings of calls under test."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from runner.recording.reader import read_recording
from runner.testing import ScenarioResult, Status, TestOptions, run_scenario
from runner.testing.scenarios.model import Place, Scenario
from tests.testing.builders import AGENT, ORDER, agent_says, scenario, write_agent

SECRET = "hunter2-hunter2"


def attempt(tried: Scenario, keep: Path, run: int = 0) -> ScenarioResult:
    return run_scenario(tried, TestOptions(keep=keep), run)


@pytest.fixture
def failing(tmp_path: Path) -> Scenario:
    return scenario(write_agent(tmp_path), ORDER, agent_says("never said"))


def test_a_recording_is_called_as_its_file_its_line_and_its_scenario(
    failing: Scenario, tmp_path: Path
) -> None:
    first = attempt(failing, tmp_path / "kept")
    second = attempt(failing, tmp_path / "kept", run=1)

    assert first.recording == tmp_path / "kept" / "orders-1-tried-out"
    assert second.recording == tmp_path / "kept" / "orders-1-tried-out-2"


def test_a_later_run_writes_in_place_of_the_last(
    failing: Scenario, tmp_path: Path
) -> None:
    first = attempt(failing, tmp_path / "kept")
    again = attempt(failing, tmp_path / "kept")

    assert first.recording == again.recording
    assert len(list((tmp_path / "kept").iterdir())) == 1


def test_no_two_scenarios_write_to_the_same_place(
    failing: Scenario, tmp_path: Path
) -> None:
    place = failing.place
    others = [
        failing,
        replace(failing, place=Place(Path("a") / place.path, 1, 7)),
        replace(failing, place=Place(Path("b") / place.path, 1, 7)),
        *[replace(failing, parameters={"words": each}) for each in ("你好", "再见")],
        *[replace(failing, name="x" * 90 + each) for each in "ab"],
        *[replace(failing, name=each) for each in ("Tried out", "tried/out", "…")],
    ]

    folders = [attempt(each, tmp_path / "kept").recording for each in others]

    # Letter case makes no difference: some file systems know none.
    assert len({str(each).lower() for each in folders}) == len(others) - 1
    assert folders[0] == folders[-3]
    assert all(str(each.name).isascii() for each in folders if each)


def test_a_failure_is_reported_if_it_cannot_be_recorded(
    failing: Scenario, tmp_path: Path
) -> None:
    (tmp_path / "taken").write_text("a file", "utf-8")

    result = attempt(failing, tmp_path / "taken")

    assert result.status is Status.FAILED
    assert result.recording is None
    assert "cannot be written" in result.left_out[0]


def test_recordings_of_failures_are_kept_and_others_are_not(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    options = TestOptions(keep=tmp_path / "kept")

    passed = run_scenario(scenario(agent, agent_says("help")), options)
    failed = run_scenario(scenario(agent, agent_says("goodbye")), options)

    assert (passed.recording, failed.status) == (None, Status.FAILED)
    assert failed.recording is not None
    assert [each.name for each in (tmp_path / "kept").iterdir()] == [
        failed.recording.name
    ]
    assert read_recording(failed.recording).header.agent.name == "orders"


@pytest.mark.parametrize("spelling", ["${env:TOKEN}", SECRET])
def test_no_secret_is_recorded(tmp_path: Path, spelling: str) -> None:
    url = 'url: "https://orders.example/{order_id}"'
    headers = url + f', headers: {{Authorization: "Bearer {spelling}"}}'
    agent = write_agent(tmp_path, AGENT.replace(url, headers))
    options = TestOptions(
        environment={"TOKEN": SECRET}, keep=tmp_path / "kept", keep_passed=True
    )

    result = run_scenario(scenario(agent, ORDER, agent_says("shipped")), options)

    assert result.recording is not None
    for path in result.recording.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name
