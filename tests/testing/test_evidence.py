"""Recordings of scenarios: kept where they are wanted, with no secret in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from runner.recording.reader import read_recording
from runner.testing import Status, Wishes, try_out
from tests.testing.builders import AGENT, ORDER, agent_says, scenario, write_agent

SECRET = "hunter2-hunter2"


def test_what_fails_is_kept_and_what_passes_is_not(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    wishes = Wishes(keep=tmp_path / "kept")

    passed = try_out(scenario(agent, agent_says("help")), wishes)
    failed = try_out(scenario(agent, agent_says("goodbye")), wishes)

    assert (passed.recording, failed.status) == (None, Status.FAILED)
    assert failed.recording is not None
    assert [each.name for each in (tmp_path / "kept").iterdir()] == [
        failed.recording.name
    ]
    assert read_recording(failed.recording).header.agent.name == "orders"


def test_a_recording_takes_the_place_of_the_last_one(tmp_path: Path) -> None:
    agent = write_agent(tmp_path)
    wishes = Wishes(keep=tmp_path / "kept", keep_passed=True)

    first = try_out(scenario(agent, agent_says("help")), wishes)
    second = try_out(scenario(agent, ORDER, agent_says("shipped")), wishes)

    assert first.recording == second.recording
    assert second.recording is not None
    assert len(read_recording(second.recording).entries) > 50


@pytest.mark.parametrize("spelling", ["${env:TOKEN}", SECRET])
def test_no_secret_is_recorded(tmp_path: Path, spelling: str) -> None:
    url = 'url: "https://orders.example/{order_id}"'
    headers = url + f', headers: {{Authorization: "Bearer {spelling}"}}'
    agent = write_agent(tmp_path, AGENT.replace(url, headers))
    wishes = Wishes(
        environment={"TOKEN": SECRET}, keep=tmp_path / "kept", keep_passed=True
    )

    result = try_out(scenario(agent, ORDER, agent_says("shipped")), wishes)

    assert result.recording is not None
    for path in result.recording.iterdir():
        assert SECRET.encode() not in path.read_bytes(), path.name


def test_a_folder_that_cannot_be_written_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "kept").write_text("a file", "utf-8")
    agent = write_agent(tmp_path)

    result = try_out(
        scenario(agent, agent_says("goodbye")), Wishes(keep=tmp_path / "kept")
    )

    assert result.status is Status.ERROR
    assert "cannot be written" in str(result.error)
